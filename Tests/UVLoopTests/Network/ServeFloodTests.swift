import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Very many connections, and ones that fail before anybody has them.
@Suite(.alone) struct ServeFloodTests {
  @Test func `L-64 a flood of connects leaves a 10 ms tick hardly late`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        let listener = try await loop.listen(on: .loopback(port: 0))
        let lateness = OwnLateness(loop.clock, period: .milliseconds(10))
        let server = loop.task { _ in
          try await listener.serve { _, stream in
            lateness.look()
            stream.close()
          }
        }
        let (isOver, address) = (Shared(false), listener.address.plain)
        let flood = (0..<2).map { _ in
          PlainThread { while !isOver.value { try? PlainSocket(connectingTo: address).reset() } }
        }
        var latest = Duration.zero
        var ticks = try loop.ticks(every: .milliseconds(10), missed: .burst).makeAsyncIterator()
        for _ in 0..<100 {
          let tick = try #require(try await ticks.next(isolation: loop))
          latest = max(latest, lateness.arrived(tick))
        }
        isOver.value = true
        for thread in flood { try await thread.join() }
        // 20 ms on a machine that does nothing else.
        #expect(latest < .milliseconds(200))
        #expect(listener.statistics.accepted > 500)
        listener.close()
        try await server.value
      }
    }
  }

  @Test func `L-59 an echo that never has to wait leaves a 10 ms tick hardly late`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        let listener = try await loop.listen(on: .loopback(port: 0))
        let lateness = OwnLateness(loop.clock, period: .milliseconds(10))
        let server = loop.task { _ in
          try await listener.serve { _, stream in
            while true {
              try await stream.write([UInt8](repeating: 7, count: 4_096))
              lateness.look()
            }
          }
        }
        let address = listener.address.plain
        let reader = PlainThread {
          guard let peer = try? PlainSocket(connectingTo: address) else { return }
          while let bytes = try? peer.receive(), !bytes.isEmpty {}
        }
        var latest = Duration.zero
        var ticks = try loop.ticks(every: .milliseconds(10), missed: .burst).makeAsyncIterator()
        for _ in 0..<100 {
          let tick = try #require(try await ticks.next(isolation: loop))
          latest = max(latest, lateness.arrived(tick))
        }
        server.cancel()
        try await expectCancelled { try await server.value }
        try await reader.join()
        #expect(latest < .milliseconds(200))
      }
    }
  }

  // MARK: - Connections that are lost on the way

  @Test func `L-63 a connection of which no stream can be made is counted, told of, and ends nothing`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop { loop, _ in
        let listener = try await loop.listen(on: .loopback(port: 0))
        let failures = Shared<[(address: SocketAddress?, error: any Error)]>([])
        let lost = try PlainSocket(connectingTo: listener.address.plain)

        // libuv refuses a number that it watches already. This one is closed behind its back: the next accept gets it.
        let pair = SocketPair()
        let poll = try PollHandle(descriptor: pair.watched)
        try poll.start(for: .readable) { _ in }
        try await turn(loop)
        pair.closeFirst()
        let server = loop.task { _ in
          try await listener.serve(onFailure: { address, error in failures.update { $0.append((address, error)) } }) {
            _, stream in for try await bytes in stream { try await stream.write(bytes) }
          }
        }
        #expect(try await onPlainThread { try lost.receiveAll() } == [])
        #expect(failures.value.map(\.address) == [lost.ownAddress])
        #expect((failures.value.first?.error as? UVError)?.code == .fileExists)
        #expect(listener.statistics == Listener.Statistics(accepted: 0, open: 0, failed: 1, backOffs: 0))

        poll.close()
        let next = try PlainSocket(connectingTo: listener.address.plain)
        #expect(try await onPlainThread { try next.exchange("served") } == "served")
        #expect(failures.value.count == 1)
        next.close()
        listener.close()
        try await server.value
      }
    }
  }

  #if os(Linux) && (arch(x86_64) || arch(arm64))
    @Test func `L-62 connections that are lost before they are accepted are counted, and end nothing`() async {
      await #expect(processExitsWith: .success) {
        try await warmUpProcess()
        try await onTestLoop { loop, _ in
          let unlucky = try await loop.listen(on: .loopback(port: 0))
          let lucky = try await loop.listen(on: .loopback(port: 0))
          let number = try unlucky.withUnsafeDescriptor { $0 }
          // From now on the kernel answers so of the one socket, on this thread.
          try #require(SystemCallFilter.fail(SystemCallFilter.accept, ofDescriptor: number, with: ECONNABORTED))
          let servers = [unlucky, lucky].map { listener in
            loop.task { _ in
              try await listener.serve { _, stream in for try await bytes in stream { try await stream.write(bytes) } }
            }
          }
          let peer = try PlainSocket(connectingTo: unlucky.address.plain)
          await expectEventually { unlucky.statistics.failed >= 64 }
          // None is that unlucky: it is the call that fails, and so it is left alone for a while.
          await expectEventually { unlucky.statistics.backOffs >= 2 }
          #expect(unlucky.statistics.failed <= 64 * unlucky.statistics.backOffs + 64)
          #expect(unlucky.statistics.accepted == 0)
          let other = try PlainSocket(connectingTo: lucky.address.plain)
          #expect(try await onPlainThread { try other.exchange("served") } == "served")
          other.close()
          #expect(!unlucky.isClosed)
          unlucky.close()
          lucky.close()
          for server in servers { try await server.value }
          #expect(throws: PlainFailure("recv", errno: ECONNRESET)) { try peer.receive() }
        }
      }
    }
  #endif
}

#if os(Linux) && (arch(x86_64) || arch(arm64))
  /// Lets the kernel refuse system calls of the calling thread (seccomp). It cannot be taken back.
  private enum SystemCallFilter {
    #if arch(x86_64)
      static let accept: UInt32 = 288
    #else
      static let accept: UInt32 = 242
    #endif

    /// `prctl` takes any number of arguments, which Swift does not call.
    static func fail(_ call: UInt32, ofDescriptor number: Int32, with error: Int32) -> Bool {
      guard let symbol = unsafe dlsym(nil, "prctl") else { return false }
      typealias Control = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
      let control = unsafe unsafeBitCast(symbol, to: Control.self)
      // struct sock_filter: code, jumps, operand. Loads the call's number, then its first argument.
      func step(_ code: UInt16, _ operand: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) -> UInt64 {
        UInt64(code) | UInt64(ifTrue) << 16 | UInt64(ifFalse) << 24 | UInt64(operand) << 32
      }
      let steps = [
        step(0x20, 0), step(0x15, call, ifFalse: 3), step(0x20, 16),
        step(0x15, UInt32(bitPattern: number), ifFalse: 1), step(0x06, 0x0005_0000 | UInt32(error)),
        step(0x06, 0x7fff_0000),
      ]
      return unsafe steps.withUnsafeBufferPointer { steps in
        // struct sock_fprog.
        var program = (UInt(steps.count), UInt(bitPattern: steps.baseAddress))
        return unsafe withUnsafePointer(to: &program) { program in
          // PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP with SECCOMP_MODE_FILTER.
          if control(38, 1, 0, 0, 0) != 0 { return false }
          return control(22, 2, UInt(bitPattern: program), 0, 0) == 0
        }
      }
    }
  }
#endif
