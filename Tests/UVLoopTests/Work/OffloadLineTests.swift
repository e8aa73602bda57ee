import Testing

@testable import UVLoop

/// The line of the calls that wait, beside an array. Nothing of a loop's pool sees them.
@Suite(.sideBySide) struct OffloadLineTests {
  private func isSame(_ calls: [Offload], _ others: [Offload]) -> Bool {
    calls.map(ObjectIdentifier.init) == others.map(ObjectIdentifier.init)
  }

  @Test(arguments: [1, 2, 3])
  func `calls that come, begin and are withdrawn at random stay in their order`(seed: UInt64) async throws {
    try await onTestLoop { loop, _ in
      let line = OffloadLine()
      var model: [Offload] = []
      var random = SplitMix(seed: seed)
      // More come at first, and more go in the end, so that the line grows and gets gaps of all sizes.
      for round in 0..<30_000 {
        let isGrowing = round < 15_000
        switch Int.random(in: 0..<10, using: &random) {
        case ..<(isGrowing ? 6 : 3):
          let call = loop.probe.call()
          line.append(call)
          model.append(call)
        case ..<8:
          let (call, expected) = (line.popFirst(), model.isEmpty ? nil : model.removeFirst())
          #expect(call === expected)
        default:
          guard let index = model.indices.randomElement(using: &random) else { continue }
          line.remove(model.remove(at: index))
        }
        #expect(line.count == model.count && line.isEmpty == model.isEmpty)
        if round % 1_000 == 0 { #expect(isSame(line.waiting, model)) }
      }
      #expect(isSame(line.removeAll(), model))
      #expect(line.isEmpty && line.popFirst() == nil)
    }
  }

  @Test func `a burst passes, and the line takes calls as before`() async throws {
    try await onTestLoop { loop, _ in
      let line = OffloadLine()
      for _ in 0..<2 {
        let calls = (0..<10_000).map { _ in loop.probe.call() }
        for call in calls { line.append(call) }
        for call in calls.reversed() { line.remove(call) }
        #expect(line.isEmpty)
      }
      let last = loop.probe.call()
      line.append(last)
      #expect(line.popFirst() === last)
    }
  }

  @Test func `nothing is kept of a call that has left the line`() async throws {
    try await onTestLoop { loop, _ in
      let line = OffloadLine()
      weak var popped: Offload?
      weak var withdrawn: Offload?
      for number in 0..<3 {
        let call = loop.probe.call()
        if number == 0 { popped = call } else if number == 1 { withdrawn = call }
        line.append(call)
      }
      _ = line.popFirst()
      if let withdrawn { line.remove(withdrawn) }
      #expect(popped == nil && withdrawn == nil && line.count == 1)
      _ = line.removeAll()
    }
  }
}
