import Testing

@testable import UVLoop

@Suite(.sideBySide) struct HappyEyeballsTests {
  private typealias Eyeballs = HappyEyeballs<String>

  @Test func `addresses alternate between the families, beginning with the first one's`() {
    #expect(["6a", "6b", "6c", "4a", "4b"].interleaved(by: \.first) == ["6a", "4a", "6b", "4b", "6c"])
    #expect(["4a", "6a", "6b", "4b"].interleaved(by: \.first) == ["4a", "6a", "4b", "6b"])
    #expect(["4a", "4b"].interleaved(by: \.first) == ["4a", "4b"])
    #expect([String]().interleaved(by: \.first) == [])
  }

  @Test func `the only address is tried without a delay behind it`() {
    var eyeballs = Eyeballs(count: 1)
    #expect(eyeballs.start() == [.disarm, .start(0)])
    #expect(eyeballs.delayEnded() == [])
    #expect(eyeballs.succeeded(0) == [.disarm, .succeed(0)])
  }

  @Test func `the next address is tried beside the last one after the delay`() {
    var eyeballs = Eyeballs(count: 3)
    #expect(eyeballs.start() == [.arm, .start(0)])
    #expect(eyeballs.delayEnded() == [.arm, .start(1)])
    #expect(eyeballs.delayEnded() == [.disarm, .start(2)])
    #expect(eyeballs.delayEnded() == [])
  }

  @Test func `the first success wins, and the others are cancelled`() {
    var eyeballs = Eyeballs(count: 4)
    _ = eyeballs.start()
    _ = eyeballs.delayEnded()
    _ = eyeballs.delayEnded()
    #expect(eyeballs.succeeded(1) == [.disarm, .cancel(0), .cancel(2), .succeed(1)])
    #expect(eyeballs.delayEnded() == [])
  }

  @Test func `the next address is tried at once when the last one has failed, with a delay of its own`() {
    var eyeballs = Eyeballs(count: 3)
    _ = eyeballs.start()
    #expect(eyeballs.failed(0, "refused") == [.arm, .start(1)])
    #expect(eyeballs.failed(1, "refused") == [.disarm, .start(2)])
    #expect(eyeballs.succeeded(2) == [.disarm, .succeed(2)])
  }

  @Test func `the failure of an earlier attempt starts none, and leaves the delay of the last one as it is`() {
    var eyeballs = Eyeballs(count: 3)
    _ = eyeballs.start()
    _ = eyeballs.delayEnded()
    #expect(eyeballs.failed(0, "refused") == [])
    #expect(eyeballs.delayEnded() == [.disarm, .start(2)])
  }

  @Test func `where all fail, the failures stand in the order of the addresses, and the last one is named`() {
    var eyeballs = Eyeballs(count: 3)
    _ = eyeballs.start()
    _ = eyeballs.delayEnded()
    #expect(eyeballs.failed(1, "b") == [.disarm, .start(2)])
    #expect(eyeballs.failed(2, "c") == [])
    #expect(eyeballs.failed(0, "a") == [.disarm, .fail(["a", "b", "c"], last: 0)])
  }

  @Test func `a success that comes too late is cancelled, and a failure is nothing`() {
    var eyeballs = Eyeballs(count: 2)
    _ = eyeballs.start()
    _ = eyeballs.delayEnded()
    #expect(eyeballs.succeeded(1) == [.disarm, .cancel(0), .succeed(1)])
    #expect(eyeballs.succeeded(0) == [.cancel(0)])
    #expect(eyeballs.failed(0, "refused") == [])
  }

  @Test func `cancelled, all attempts are, and nothing more happens`() {
    var eyeballs = Eyeballs(count: 3)
    _ = eyeballs.start()
    _ = eyeballs.delayEnded()
    #expect(eyeballs.cancel() == [.disarm, .cancel(0), .cancel(1)])
    #expect(eyeballs.cancel() == [])
    #expect(eyeballs.delayEnded() == [])
    #expect(eyeballs.succeeded(0) == [.cancel(0)])
  }

  // MARK: At random

  /// What carries out the actions, and holds them to their promises.
  private struct World {
    let count: Int
    var eyeballs: Eyeballs
    var isArmed = false
    var started: [Int] = []
    var open: Set<Int> = []
    var failed: [String] = []
    var ends: [Eyeballs.Action] = []

    init(count: Int) {
      self.count = count
      eyeballs = Eyeballs(count: count)
      perform(eyeballs.start())
    }

    mutating func perform(_ actions: [Eyeballs.Action]) {
      for action in actions {
        #expect(ends.isEmpty, "\(action) after the end")
        switch action {
        case .start(let index):
          #expect(index == started.count)
          started.append(index)
          open.insert(index)
        case .arm: isArmed = true
        case .disarm: isArmed = false
        case .cancel(let index): #expect(open.remove(index) != nil, "\(index) has nothing to cancel")
        case .succeed, .fail: ends.append(action)
        }
      }
    }

    mutating func succeed(_ index: Int) {
      perform(eyeballs.succeeded(index))
      #expect(ends == [.succeed(index)])
      #expect(open == [index])
    }

    mutating func fail(_ index: Int) {
      let newest = started.count - 1
      open.remove(index)
      failed.append("\(index)")
      perform(eyeballs.failed(index, "\(index)"))
      if failed.count == count {
        #expect(ends == [.fail((0..<count).map(String.init), last: index)])
      } else {
        #expect(ends.isEmpty)
        #expect(started.count - 1 == (index == newest && newest + 1 < count ? newest + 1 : newest))
      }
    }

    mutating func endDelay() {
      isArmed = false
      let before = started.count
      perform(eyeballs.delayEnded())
      #expect(started.count == before + 1)
    }
  }

  @Test(arguments: UInt64(1)...20)
  func `in random orders one wins or all fail, nothing stays open, and no attempt is waited for in vain`(seed: UInt64) {
    var random = SplitMix(seed: seed)
    var wins = 0
    for _ in 0..<200 {
      var world = World(count: Int.random(in: 1...8, using: &random))
      while world.ends.isEmpty {
        // Something must be under way: an attempt, or the delay before the next one.
        #expect(!world.open.isEmpty, "seed \(seed)")
        #expect(world.isArmed == (world.started.count < world.count), "seed \(seed)")
        guard let index = world.open.sorted().randomElement(using: &random) else { break }
        switch random.next() % 6 {
        case 0: world.succeed(index)
        case 1...2 where world.isArmed: world.endDelay()
        default: world.fail(index)
        }
      }
      if case .succeed? = world.ends.first { wins += 1 } else { #expect(world.open.isEmpty) }
      #expect(!world.isArmed)
    }
    #expect(wins > 0 && wins < 200)
  }
}
