import Testing

@testable import UVLoop

@Suite(.alone) struct HandleStateTests {
  static let all: [HandleState] = [
    .inactive, .active, .closing(.owner), .closing(.loop), .closed(.owner), .closed(.loop),
  ]

  @Test(arguments: all)
  func `activate starts an open handle and refuses a closed one`(before: HandleState) {
    var state = before
    let open = before == .inactive || before == .active
    #expect(state.activate() == open)
    #expect(state == (open ? .active : before))
  }

  @Test(arguments: all)
  func `deactivate stops an active handle and changes no other`(before: HandleState) {
    var state = before
    #expect(state.deactivate() == (before == .active))
    #expect(state == (before == .active ? .inactive : before))
  }

  @Test(arguments: all, [Closer.owner, .loop])
  func `close closes an open handle and keeps the first closer`(before: HandleState, closer: Closer) {
    var state = before
    let open = before == .inactive || before == .active
    #expect(state.close(by: closer) == open)
    #expect(state == (open ? .closing(closer) : before))
  }

  @Test(arguments: [HandleState.inactive, .active])
  func `close says yes exactly once`(before: HandleState) {
    var state = before
    #expect(state.close(by: .owner) == true)
    #expect(state.close(by: .owner) == false)
    #expect(state.close(by: .loop) == false)
  }

  @Test(arguments: [Closer.owner, .loop])
  func `finish ends a closing handle and keeps its closer`(closer: Closer) {
    var state = HandleState.closing(closer)
    state.finish()
    #expect(state == .closed(closer))
  }

  @Test(arguments: all)
  func `isActive, isClosed and closer describe the state`(state: HandleState) {
    #expect(state.isActive == (state == .active))
    #expect(state.isClosed == (state != .inactive && state != .active))
    switch state {
    case .inactive, .active: #expect(state.closer == nil)
    case .closing(let closer), .closed(let closer): #expect(state.closer == closer)
    }
  }

  @Test func `a close callback without a close traps`() async {
    await #expect(processExitsWith: .failure) {
      var state = HandleState.active
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
