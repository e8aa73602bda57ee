import Testing

@testable import UVLoop

extension HandleActivity {
  /// As a kind of handles adds one in its own file.
  fileprivate static let other = HandleActivity(rawValue: 2)
}

@Suite(.alone) struct HandleStateTests {
  static let open: [HandleState] = [.inactive, .open(.started), .open(.other), .open([.started, .other])]
  static let closed: [HandleState] = [.closing(.owner), .closing(.loop), .closed(.owner), .closed(.loop)]

  @Test(arguments: open, [HandleActivity.started, .other])
  func `activate adds a reason to an open handle`(before: HandleState, reason: HandleActivity) {
    var state = before
    #expect(state.activate(reason) == true)
    #expect(state == .open(before.activity.union(reason)))
    #expect(state.isActive)
  }

  @Test(arguments: open, [HandleActivity.started, .other])
  func `deactivate takes a reason away, and tells when the last one has gone`(
    before: HandleState, reason: HandleActivity
  ) {
    var state = before
    #expect(state.deactivate(reason) == (before == .open(reason)))
    #expect(state == .open(before.activity.subtracting(reason)))
  }

  @Test(arguments: closed, [HandleActivity.started, .other])
  func `a closed handle has no reasons and gets none`(before: HandleState, reason: HandleActivity) {
    var state = before
    #expect(state.activate(reason) == false)
    #expect(state.deactivate(reason) == false)
    #expect(state == before)
    #expect(state.activity.isEmpty && !state.isActive)
  }

  @Test(arguments: open, [CloseReason.owner, .loop])
  func `close closes an open handle once and keeps the first reason`(before: HandleState, closeReason: CloseReason) {
    var state = before
    #expect(state.close(by: closeReason) == true)
    #expect(state == .closing(closeReason))
    #expect(state.close(by: .owner) == false)
    #expect(state.close(by: .loop) == false)
    #expect(state == .closing(closeReason))
  }

  @Test(arguments: [CloseReason.owner, .loop])
  func `finish ends a closing handle and keeps its reason`(closeReason: CloseReason) {
    var state = HandleState.closing(closeReason)
    state.finish()
    #expect(state == .closed(closeReason))
    #expect(state.close(by: .owner) == false)
  }

  @Test func `isClosed and closeReason describe the state`() {
    for state in HandleStateTests.open { #expect(!state.isClosed && state.closeReason == nil) }
    for state in HandleStateTests.closed { #expect(state.isClosed && state.closeReason != nil) }
    #expect(HandleState.closing(.loop).closeReason == .loop && HandleState.closed(.owner).closeReason == .owner)
  }

  @Test func `a close callback without a close traps`() async {
    await #expect(processExitsWith: .failure) {
      var state = HandleState.open(.started)
      state.finish()
    }
  }

  @Test func `a second close callback traps`() async {
    await #expect(processExitsWith: .failure) {
      var state = HandleState.closed(.owner)
      state.finish()
    }
  }
}
