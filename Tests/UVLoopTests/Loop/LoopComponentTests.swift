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

extension LoopCore {
  fileprivate var recorder: Recorder { component(Recorder.key) { _ in Recorder() } }
}

@Suite(.sideBySide) struct LoopComponentTests {
  @Test func `a component is made once, at its first use, and takes part in the loop's iterations`() async throws {
    try await onTestLoop { loop, calls in
      #expect(!loop.core.components.all.contains { $0 is Recorder })
      let recorder = loop.core.recorder
      #expect(loop.core.recorder === recorder)
      try await turn(loop)
      #expect(recorder.didPoll)
    }
  }

  @Test func `each loop has a component of its own, and drops it at its end`() async throws {
    let gone = Counter()
    try await onTestLoop { loop, _ in
      let one = ObjectIdentifier(loop.core.recorder)
      loop.core.recorder.witness = Witness(gone)
      try await onTestLoop("other") { other, _ in #expect(ObjectIdentifier(other.core.recorder) != one) }
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
      let recorder = loop.core.recorder
      loop.task { loop in
        try? await loop.sleep(for: .seconds(3_600))
        loop.core.recorder.log.append("the task ends")
      }
      try loop.onShutdown {
        recorder.log.append("a hook")
        // Behind it nothing but the close comes.
        log.value = recorder.log
      }
      try await turn(loop)
    }
    let (isHeld, mayGoOn) = (Event("the loop's thread"), Event("the request"))
    try loop.post {
      isHeld.signal()
      mayGoOn.waitBlocking()
    }
    try await isHeld.wait()
    if isAskedOnLoop { try loop.post { loop in loop.core.shutdown.request(within: nil) } }
    try loop.post { loop in loop.core.recorder.log.append("accepted") }
    if !isAskedOnLoop { loop.core.shutdown.request(within: nil) }
    mayGoOn.signal()
    await loop.shutdown()
    #expect(log.value == ["quiesce", "accepted", "the task ends", "release the waits", "a hook"])
  }
}
