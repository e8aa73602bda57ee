import Testing

@testable import UVLoop

/// A component that no floor knows.
private final class Recorder: LoopComponent {
  static let key = ComponentKey<Recorder>()

  var log: [String] = []
  var didPoll = false
  var witness: Witness?

  func afterPoll() { didPoll = true }
  func quiesce() { log.append("quiesce") }
  func releaseWaits() { log.append("release the waits") }
  func close() { log.append("close") }
}

extension EventLoop {
  fileprivate var recorder: Recorder { probe.component(Recorder.key) { Recorder() } }
}

@Suite(.sideBySide) struct LoopComponentsTests {
  @Test func `a component is made once, at its first use, and takes part in the loop's iterations`() async throws {
    try await onTestLoop { loop, calls in
      #expect(!loop.probe.components.contains { $0 is Recorder })
      let recorder = loop.recorder
      #expect(loop.recorder === recorder)
      try await iterate(loop)
      #expect(recorder.didPoll)
    }
  }

  @Test func `each loop has a component of its own, and drops it at its end`() async throws {
    let gone = Counter()
    try await onTestLoop { loop, _ in
      let one = ObjectIdentifier(loop.recorder)
      loop.recorder.witness = Witness(gone)
      try await onTestLoop("other") { other, _ in #expect(ObjectIdentifier(other.recorder) != one) }
      #expect(gone.value == 0)
    }
    #expect(gone.value == 1)
  }

  @Test(arguments: [true, false])
  func `G-24 a shutdown quiesces, runs what was accepted, cancels tasks, releases waits, runs hooks and then closes`(
    isAskedOnLoop: Bool
  ) async throws {
    let loop = try EventLoop()
    let log = Shared<[String]>([])
    try await loop.run { loop in
      let recorder = loop.recorder
      loop.task { loop in
        try? await loop.sleep(for: .seconds(3_600))
        loop.recorder.log.append("the task ends")
      }
      try loop.onShutdown {
        recorder.log.append("a hook")
        // Behind it nothing but the close comes.
        log.value = recorder.log
      }
      try await iterate(loop)
    }
    let (isHeld, mayGoOn) = (Event("the loop's thread"), Event("the request"))
    try loop.post {
      isHeld.signal()
      mayGoOn.waitBlocking()
    }
    try await isHeld.wait()
    if isAskedOnLoop { try loop.post { loop in loop.probe.requestStop() } }
    try loop.post { loop in loop.recorder.log.append("accepted") }
    if !isAskedOnLoop { loop.probe.requestStop() }
    mayGoOn.signal()
    await loop.shutdown()
    #expect(log.value == ["quiesce", "accepted", "the task ends", "release the waits", "a hook"])
  }
}
