import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.sideBySide) struct AcceptStateTests {
  private var state = AcceptState()

  @Test mutating func `each connection is followed by the next one until none waits`() {
    #expect(state.becameReadable() == .accept)
    for descriptor: Int32 in [7, 0, 8] { #expect(state.accepted(descriptor) == .accept) }
    #expect(state.accepted(-EAGAIN) == .watch)
    #expect(state.accepted == 3)
    #expect(state.failed == 0 && state.backOffs == 0)
  }

  @Test mutating func `64 connections are enough for an iteration, and the next one has as many`() {
    for _ in 0..<2 {
      #expect(state.becameReadable() == .accept)
      for _ in 0..<63 { #expect(state.accepted(7) == .accept) }
      #expect(state.accepted(7) == .watch)
    }
    #expect(state.accepted == 128)
  }

  @Test(arguments: [EMFILE, ENFILE, ENOBUFS, ENOMEM])
  func `without descriptors or memory it pauses for 10 ms, doubling to a second`(error: Int32) {
    var state = state
    #expect(state.becameReadable() == .accept)
    for milliseconds in [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000] {
      #expect(state.accepted(-error) == .pause(.milliseconds(milliseconds)))
      #expect(state.pauseEnded() == .accept)
    }
    #expect(state.backOffs == 9)
    #expect(state.failed == 0)
  }

  @Test mutating func `a connection makes the next pause the shortest again`() {
    _ = state.becameReadable()
    _ = state.accepted(-EMFILE)
    _ = state.pauseEnded()
    #expect(state.accepted(-EMFILE) == .pause(.milliseconds(20)))
    _ = state.pauseEnded()
    #expect(state.accepted(7) == .accept)
    #expect(state.accepted(-EMFILE) == .pause(.milliseconds(10)))
  }

  @Test mutating func `an empty queue does not make the next pause shorter`() {
    _ = state.becameReadable()
    _ = state.accepted(-EMFILE)
    _ = state.pauseEnded()
    #expect(state.accepted(-EAGAIN) == .watch)
    _ = state.becameReadable()
    #expect(state.accepted(-EMFILE) == .pause(.milliseconds(20)))
  }

  @Test mutating func `a descriptor that came free ends a pause, and one that somebody else took makes it no longer`() {
    _ = state.becameReadable()
    #expect(state.accepted(-EMFILE) == .pause(.milliseconds(10)))
    for _ in 0..<5 {
      #expect(state.descriptorCameFree() == .accept)
      #expect(state.accepted(-EMFILE) == .pause(.milliseconds(10)))
    }
    #expect(state.descriptorCameFree() == .accept)
    #expect(state.accepted(7) == .accept)
  }

  @Test mutating func `descriptors that come free in one iteration bring no more than its 64 calls and one each`() {
    #expect(state.becameReadable() == .accept)
    for _ in 0..<63 { _ = state.accepted(7) }
    #expect(state.accepted(-EMFILE) == .pause(.milliseconds(10)))
    #expect(state.descriptorCameFree() == .accept)
    #expect(state.accepted(7) == .watch)
  }

  @Test mutating func `what does not end a pause is without effect in it, and what ends one without effect outside`() {
    #expect(state.pauseEnded() == nil)
    #expect(state.descriptorCameFree() == nil)
    _ = state.becameReadable()
    #expect(state.pauseEnded() == nil)
    #expect(state.descriptorCameFree() == nil)
    #expect(state.becameReadable() == nil)
    _ = state.accepted(-EMFILE)
    #expect(state.becameReadable() == nil)
    #expect(state.pauseEnded() == .accept)
  }

  @Test(arguments: [
    ECONNABORTED, ECONNRESET, EPROTO, EINTR, EPERM, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH, ENOPROTOOPT,
    EOPNOTSUPP, EPROTONOSUPPORT, ESOCKTNOSUPPORT, ETIMEDOUT,
  ])
  func `a connection that was lost is counted, and the next one taken`(error: Int32) {
    var state = state
    _ = state.becameReadable()
    #expect(state.accepted(-error) == .accept)
    #expect(state.accepted(7) == .accept)
    #expect(state.failed == 1 && state.accepted == 1 && state.backOffs == 0)
  }

  #if os(Linux)
    @Test mutating func `a machine without a network loses connections too`() {
      _ = state.becameReadable()
      #expect(state.accepted(-ENONET) == .accept)
      #expect(state.failed == 1)
    }
  #endif

  @Test mutating func `lost connections count for the iteration's 64`() {
    _ = state.becameReadable()
    for _ in 0..<32 {
      #expect(state.accepted(-ECONNABORTED) == .accept)
      #expect(state.accepted(7) == (state.accepted == 32 ? .watch : .accept))
    }
  }

  @Test mutating func `a call that only ever fails is made 64 times, and then pauses`() {
    _ = state.becameReadable()
    for milliseconds in [10, 20, 40] {
      for _ in 0..<63 { #expect(state.accepted(-EPERM) == .accept) }
      #expect(state.accepted(-EPERM) == .pause(.milliseconds(milliseconds)))
      #expect(state.pauseEnded() == .accept)
    }
    #expect(state.failed == 192)
    #expect(state.backOffs == 3)
  }

  @Test mutating func `a connection among those that fail shows that the call does not`() {
    for _ in 0..<3 {
      _ = state.becameReadable()
      for _ in 0..<63 { #expect(state.accepted(-ECONNABORTED) == .accept) }
      #expect(state.accepted(7) == .watch)
    }
    #expect(state.backOffs == 0)
  }

  @Test(arguments: [EBADF, EINVAL, ENOTSOCK, EFAULT, EIO, 4_711])
  func `an error of the socket itself ends it, once`(error: Int32) {
    var state = state
    _ = state.becameReadable()
    #expect(state.accepted(-error) == .end(-error))
    #expect(state.accepted(-error) == nil)
    #expect(state.becameReadable() == nil)
    #expect(state.pauseEnded() == nil)
    #expect(state.descriptorCameFree() == nil)
  }
}
