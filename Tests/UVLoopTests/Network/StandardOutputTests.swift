import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What is behind the numbers 1 and 2. Each is a process of its own, whose output that is.
@Suite(.alone) struct StandardOutputTests {
  @Test(arguments: StandardInputTests.Case.all)
  func `L-99 standard output is written the same whatever it is, and left as it was`(
    _ output: StandardInputTests.Case
  ) async {
    await #expect(processExitsWith: .success) { [output] in
      let end = try StandardEnd(output.kind, at: 1, isNonBlocking: output.isNonBlocking)
      // More than a pipe holds. Of digits, which no terminal changes.
      let text = [UInt8]((0..<300_000).map { UInt8(ascii: "0") + UInt8($0 % 10) })
      try await withTestLoop { loop, _ in
        async let taken = onPlainThread { output.kind == .null || output.kind == .file ? [] : end.taken(300_000) }
        try await loop.standardOutput.write(Array(text[..<100_000]))
        #expect(try loop.standardOutput.enqueue(Array(text[100_000..<200_000])))
        try await loop.standardOutput.finishWriting()
        #expect(loop.standardOutput.queuedBytes == 0)
        // It is not ours alone, and so that was no end.
        try await loop.standardOutput.write(Array(text[200_000...]))
        try await loop.standardOutput.finishWriting()
        #expect(loop.standardOutput.bytesWritten == 300_000)
        switch output.kind {
        case .null: _ = try await taken
        case .file: #expect(end.taken(300_000) == text)
        default: #expect(try await taken == text)
        }
        if end.kind != .socket { #expect(end.isNonBlocking == output.isNonBlocking) }
      }
      #expect(end.isNonBlocking == output.isNonBlocking)
    }
  }

  @Test(arguments: [StandardKind.pipe, .namedPipe, .socket], [0, 1])
  func `L-101 output whose reader has gone is a broken pipe, and no signal`(_ kind: StandardKind, _ before: Int) async {
    await #expect(processExitsWith: .success) { [kind, before] in
      _ = signal(SIGPIPE, SIG_DFL)
      let end = try StandardEnd(kind, at: 1)
      if before == 0 { Posix.close(end.peer) }
      try await withTestLoop { loop, _ in
        if before > 0 {
          // It waits for room, which does not come.
          let writer = Task {
            try await errorCode { try await loop.standardOutput.write([UInt8](repeating: 1, count: 1 << 22)) }
          }
          await expectEventually { loop.standardOutput.queuedBytes > 0 }
          Posix.close(end.peer)
          #expect(try await writer.value == .brokenPipe)
        }
        try await expectCode(.brokenPipe) { try await loop.standardOutput.write("x") }
        try await expectCode(.brokenPipe) { try await loop.standardOutput.write("y") }
      }
      #expect(end.isNonBlocking == false)
      end.remove()
    }
  }

  @Test func `L-99 of output and errors at one socket the flag is put back when both have closed`() async {
    await #expect(processExitsWith: .success) {
      let end = try StandardEnd(.socket, at: 1)
      dup2(1, 2)
      try await withTestLoop { loop, _ in
        try await loop.standardOutput.write("out ")
        try await loop.standardError.write("err ")
        #expect(end.isNonBlocking == true)
        loop.standardOutput.close()
        try await loop.run { loop in try await iterate(loop) }
        #expect(end.isNonBlocking == true)
        loop.standardError.close()
        try await loop.run { loop in try await iterate(loop) }
        #expect(end.isNonBlocking == false)
      }
      #expect(end.taken(8) == Array("out err ".utf8))
    }
  }

  @Test func `L-99 what is written to a file begins where its position is, and others go on behind it`() async {
    await #expect(processExitsWith: .success) {
      let end = try StandardEnd(.file, at: 1)
      PlainBytes.write(Array("title\n".utf8), to: 1)
      try await withTestLoop { loop, _ in
        async let one: Void = loop.standardOutput.write([UInt8](repeating: 1, count: 100_000))
        async let other: Void = loop.standardOutput.write([UInt8](repeating: 2, count: 100_000))
        _ = try await (one, other)
      }
      PlainBytes.write(Array("end\n".utf8), to: 1)
      let text = PlainBytes.readAll(from: end.peer)
      #expect(text.prefix(6) == Array("title\n".utf8)[...] && text.suffix(4) == Array("end\n".utf8)[...])
      let middle = text.dropFirst(6).dropLast(4)
      #expect(middle.count == 200_000)
      // Each call's bytes stay together.
      #expect(zip(middle, middle.dropFirst()).count { $0 != $1 } == 1)
    }
  }

  @Test func `L-99 a file that takes no more says so`() async {
    await #expect(processExitsWith: .success) {
      let full = unsafe open("/dev/full", O_WRONLY)
      dup2(full, 1)
      try await withTestLoop { loop, _ in
        try await expectCode(.noSpace) { try await loop.standardOutput.write("x") }
        try await expectCode(.noSpace) { try await loop.standardOutput.write("y") }
      }
    }
  }

  @Test func `L-99 what was cancelled while it waits for the pool is written whole, also behind a shutdown`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      let end = try StandardEnd(.file, at: 1)
      let (loop, other) = (try EventLoop(), try EventLoop())
      let held = try await HeldWorkers(1, on: other)
      let writer = Task { try await loop.standardOutput.write([UInt8](repeating: 1, count: 10_000)) }
      await expectEventually { await loop.snapshot().requests.contains { $0.kind == "write" } }
      writer.cancel()
      try await expectCancelled { try await writer.value }
      async let report = loop.shutdown(within: .seconds(20))
      await expectEventually { loop.state != .running }
      try await held.release()
      #expect(await report.unfinished.isEmpty)
      #expect(PlainBytes.readAll(from: end.peer) == [UInt8](repeating: 1, count: 10_000))
      await other.shutdown()
    }
  }

  @Test func `L-99 a graceful close of an output waits for what is queued, and reads nothing`() async {
    await #expect(processExitsWith: .success) {
      let end = try StandardEnd(.socket, at: 1)
      PlainBytes.write(Array("typed".utf8), to: end.peer)
      try await withTestLoop { loop, _ in
        let isTaken = try loop.standardOutput.enqueue(Array("all".utf8))
        #expect(isTaken)
        await loop.standardOutput.closeGracefully(within: .seconds(20))
      }
      #expect(end.taken(3) == Array("all".utf8))
      #expect(PlainBytes.read(from: 1) == Array("typed".utf8))
    }
  }

  @Test func `L-99 input goes to a peer, and what that answers to the output`() async {
    await #expect(processExitsWith: .success) {
      let (input, output) = (try StandardEnd(.pipe, at: 0), try StandardEnd(.pipe, at: 1))
      let listener = try PlainListener()
      try await withTestLoop { loop, _ in
        async let heard = onPlainThread {
          let client = try listener.accept()
          let bytes = try client.receiveAll()
          try client.sendAll("an answer")
          return bytes
        }
        input.bring("a question")
        let peer = try await loop.connect(to: .loopback(port: listener.port))
        _ = try await loop.concurrently({ try await loop.standardInput.copy(to: peer) }) {
          try await peer.copy(to: loop.standardOutput)
        }
        peer.close()
        #expect(try await heard == Array("a question".utf8))
        #expect(output.taken(9) == Array("an answer".utf8))
      }
      output.remove()
    }
  }
}
