import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What passing streams does where descriptors are counted, in processes of their own.
@Suite(.alone) struct StreamPassingLeakTests {
  @Test func `L-97 a stream for which there is no descriptor is lost, and said, and those behind it come`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onPassingPipe { loop, pipe, other in
        try await warmUp(loop)
        let pairs = try (0..<3).map { _ in try PlainSocket.pair() }
        let limit = ProcessLimit.descriptors
        try other.pass([pairs[0].0.descriptor], with: [1])
        try other.pass([pairs[1].0.descriptor], with: [2])
        limit.leave(0)
        try await expectCode(.tooManyOpenFiles) { _ = try await pipe.receiveStream() }
        #expect(try await pipe.read(exactly: 1) == [1])
        limit.restore()
        let stream = try #require(try await pipe.receiveStream())
        try await stream.write([7])
        #expect(try pairs[1].1.receiveNow() == [7])
        stream.close()

        // And one that cannot be sent for want of a second descriptor is not sent.
        let (kept, _) = try await StreamKind.tcp.connect(on: loop)
        limit.leave(0)
        try await expectCode(.tooManyOpenFiles) { try await pipe.send(kept, with: [9]) }
        limit.restore()
        try await pipe.write([8])
        #expect(try other.receiveNow() == [8])
        kept.close()
      }
    }
  }

  #if os(Linux)
    @Test func `L-97 descriptors that nobody has asked for are closed`() async {
      await #expect(processExitsWith: .success) {
        try await warmUpProcess()
        try await onPassingPipe { loop, pipe, other in
          try await warmUp(loop)
          // SO_PASSPIDFD: each message brings a descriptor of its sender.
          let status = try pipe.withUnsafeDescriptor(isolation: loop) { Socket.set($0, SOL_SOCKET, 76, 1) }
          if status < 0 { return print("this kernel has no SO_PASSPIDFD, and that was not tested") }
          let before = Process.descriptors
          for _ in 0..<50 {
            try other.sendAll("x")
            #expect(try await pipe.read(exactly: 1) == [UInt8(ascii: "x")])
          }
          #expect(Process.descriptors == before)
        }
      }
    }

    @Test func `L-26 where too many descriptors are under way one is refused, and the pipe goes on`() async {
      await #expect(processExitsWith: .success) {
        try await warmUpProcess()
        try await onPassingPipe { loop, pipe, other in
          try await warmUp(loop)
          let (stream, _) = try await StreamKind.tcp.connect(on: loop)
          // The kernel counts for whoever may not do everything: as many as a process may have open.
          ProcessLimit.descriptors.lower(to: 60)
          try #require(setuid(65_432) == 0)
          var sent = 0
          var failure: UVError?
          while failure == nil, sent < 200 {
            do {
              try await pipe.send(stream, with: [1])
              sent += 1
            } catch let error as UVError { failure = error }
          }
          #expect(failure?.errno == ETOOMANYREFS)
          #expect(failure?.call == "PipeStream.send")
          #expect(pipe.queuedBytes == 0)
          try await pipe.write([2])
          let received = try other.receiveWithDescriptors(upTo: 1)
          for descriptor in received.descriptors { Posix.close(descriptor) }
          try await pipe.send(stream, with: [3])
          stream.close()
          let rest = try other.receiveWithDescriptors(exactly: sent + 1)
          for descriptor in rest.descriptors { Posix.close(descriptor) }
          #expect(rest.bytes == [UInt8](repeating: 1, count: sent - 1) + [2, 3])
        }
      }
    }
  #endif

  @Test func `L-97 whatever is cancelled or closed at a random moment, no descriptor is left`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop { loop, _ in
        try await warmUp(loop)
        let random = SplitMix(seed: 97)
        let before = Process.loopDescriptors
        for round in 0..<UInt64(200) {
          var (near, far) = try await loop.makePipe(options: .passing)
          let choice = random[round]
          if choice % 5 == 0 { try near.fill() }
          let sending = loop.task { [near] _ in
            for _ in 0..<4 {
              let (stream, other) = try await loop.makePipe()
              other.close()
              try await near.send(stream, with: [UInt8](repeating: 1, count: choice % 2 == 0 ? 1 : 70_000))
              stream.close()
            }
            try await near.finishWriting()
          }
          let receiving = loop.task { [far] _ in
            while let stream = try await far.receiveStream() { stream.close() }
          }
          let reading = loop.task { [far] _ in while try await far.read() != nil {} }
          for _ in 0..<(choice >> 8) % 40 { await Task.yield() }
          switch (choice >> 16) % 6 {
          case 0: sending.cancel()
          case 1: receiving.cancel()
          case 2: reading.cancel()
          case 3: near.close()
          case 4: far.close()
          default: break
          }
          for _ in 0..<(choice >> 24) % 40 { await Task.yield() }
          near.close()
          far.close()
          (near, far) = try await loop.makePipe()
          for task in [sending, receiving, reading] { _ = await task.result }
          near.close()
          far.close()
        }
        await expectEventually { Process.loopDescriptors.isSubset(of: before) }
        #expect(Process.loopDescriptors.isSubset(of: before))
      }
    }
  }
}
