@testable import UVLoop

/// Some parts of a loop without the rest: nothing runs it, and it must be closed.
final class LoopPartsFixture {
  let rawLoop: RawLoop
  let thread = LoopThread()
  let inbox: LoopInbox
  let tasks: LoopTasks
  let observer = Observer()
  let observation: LoopObservation
  let queue: LoopQueue

  init() throws {
    rawLoop = try RawLoop()
    inbox = LoopInbox(waker: try LoopWaker(), spin: nil)
    tasks = LoopTasks(inbox)
    observation = LoopObservation(observer, unsafe try LoopUptime(rawLoop.loop, measuresIdle: false))
    queue = LoopQueue(thread, inbox, LoopExecutors(thread), observation, tasks)
  }

  func close() { rawLoop.close() }

  /// Notes what it is told.
  final class Observer: LoopObserver {
    let told = Shared<[String]>([])

    private func note(_ text: String) { told.update { $0.append(text) } }

    func willRun(_ call: LoopCall) { note("will run \(call.kind) since \(call.since == nil ? "-" : "then")") }
    func didRun() { note("did run") }
    func identify(_ name: String?) { note("identify") }
    func willPoll() { note("will poll") }
    func didAdd(_ component: any LoopComponent) { note("did add") }
    func loopEnds() { note("ends") }
    func handleWasDropped(_ typeName: StaticString, _ site: CallSite) { note("dropped") }
    func loopNeverWaits(_ typeName: StaticString, _ site: CallSite) { note("never waits") }
    func loopWasDropped(_ sentence: String) { note(sentence) }
    func shutdownReturns() { note("returns") }
  }
}
