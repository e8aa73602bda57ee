import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Connecting to Unix sockets.
@Suite(.sideBySide) struct ConnectUnixTests {
  @Test func `L-24 a path that is not there, a plain file and a socket of another kind throw the system's code`()
    async throws
  {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        let error = await #expect(throws: UVError.self) { _ = try await loop.connect(to: .unix(path)) }
        #expect(error?.code == .noSuchFileOrDirectory)
        #expect(error?.call == "EventLoop.connect")
        #expect(error?.message.contains(path) == true)

        try Files.write("a file", to: path)
        // Linux says the one, macOS the other.
        let code = try await errorCode { _ = try await loop.connect(to: .unix(path)) }
        #expect(code == .connectionRefused || code == .notSocket)
        unsafe unlink(path)

        let datagram = OwnedDescriptor(owning: Socket.make(AF_UNIX, Socket.datagram))
        let status = unsafe PlainAddress.unix(path).withSockaddr { unsafe bind(datagram.rawValue, $0, $1) }
        try #require(status == 0)
        try await expectCode(.protocolWrongTypeForSocket) { _ = try await loop.connect(to: .unix(path)) }
      }
    }
  }

  @Test func `a socket at which nobody listens any more refuses`() async throws {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        let listener = try await loop.listen(on: .unix(path))
        let number = try await listener.detach().release()
        Posix.close(number)
        try await expectCode(.connectionRefused) { _ = try await loop.connect(to: .unix(path)) }
      }
    }
  }

  #if os(Linux)
    @Test func `a listener whose queue is full makes a connect wait, and it succeeds when there is room`() async throws
    {
      try await withSocketPath { path in
        try await withTestLoop { loop, _ in
          let silent = try SilentListener(on: .unix(path))
          let connecting = Task { try await loop.connect(to: .unix(path)) }
          // It has found the queue full, and sleeps.
          await expectEventually { await loop.run { $0.probe.timers } == 1 }
          #expect(!connecting.isCancelled)
          let first = try silent.acceptOne()
          let stream = try await connecting.value
          let second = try silent.acceptOne()
          try await stream.write("in")
          #expect(try second.receive(exactly: 2) == Array("in".utf8))
          _ = first
        }
      }
    }

    @Test func `a connect that waits for room ends with its cancellation, and with its timeout`() async throws {
      try await withSocketPath { path in
        try await onTestLoop(time: .manual) { loop, _ in
          let silent = try SilentListener(on: .unix(path))
          let cancelled = loop.task { loop in _ = try await loop.connect(to: .unix(path)) }
          let limited = loop.task { loop in _ = try await loop.connect(to: .unix(path), timeout: .milliseconds(20)) }
          try await loop.advance(by: .milliseconds(19))
          cancelled.cancel()
          try await expectCancelled { try await cancelled.value }
          try await loop.advance(by: .milliseconds(1))
          try await expectCode(.timedOut) { try await limited.value }
          #expect(loop.probe.timers == 0)
          // Nobody has come meanwhile.
          _ = try silent.acceptOne()
          let next = try await loop.connect(to: .unix(path))
          #expect(next.peerAddress?.path == path)
        }
      }
    }
  #endif
}
