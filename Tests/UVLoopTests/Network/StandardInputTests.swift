import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What is behind number 0. Each is a process of its own, whose standard input that is.
@Suite(.alone) struct StandardInputTests {
  /// A kind, and whether somebody had made it non-blocking before.
  struct Case: Codable, Sendable, CustomTestStringConvertible {
    let kind: StandardKind
    let isNonBlocking: Bool
    var testDescription: String { "\(kind)\(isNonBlocking ? ", non-blocking" : "")" }

    static let all = StandardKind.allCases.flatMap { kind in [false, true].map { Case(kind: kind, isNonBlocking: $0) } }
  }

  @Test(arguments: Case.all)
  func `L-99 standard input is read the same whatever it is, and left as it was`(_ input: Case) async {
    await #expect(processExitsWith: .success) { [input] in
      let end = try StandardEnd(input.kind, at: 0, isNonBlocking: input.isNonBlocking)
      let text = input.kind == .null ? "" : "one\ntwo\n"
      end.bring(text)
      try await withTestLoop { loop, _ in
        // A task of the loop, and one that is elsewhere.
        let first = try await loop.run { loop in try await loop.standardInput.readLine() }
        #expect(first == (text.isEmpty ? nil : "one"))
        #expect(try await loop.standardInput.readAll(limit: 100) == Array(text.utf8.dropFirst(4)))
        #expect(try await loop.standardInput.read() == nil)
        // The shell sees nothing of it where it can be opened again: a named pipe that has ended is not.
        if ![.socket, .namedPipe].contains(end.kind) { #expect(end.isNonBlocking == input.isNonBlocking) }
      }
      #expect(end.isNonBlocking == input.isNonBlocking)
    }
  }

  @Test(arguments: StandardKind.waiting)
  func `L-99 a read of standard input that waits ends with the shutdown, and what comes later is still there`(
    _ kind: StandardKind
  ) async {
    await #expect(processExitsWith: .success) { [kind] in
      let end = try StandardEnd(kind, at: 0)
      let loop = try EventLoop()
      let reader = Task { try await errorCode { _ = try await loop.standardInput.read() } }
      await expectEventually { await loop.snapshot().streams.first?.isReading == true }
      let report = await loop.shutdown(within: .seconds(20))
      #expect(report.unfinished.isEmpty, "\(report)")
      #expect(try await reader.value == .loopClosed)
      #expect(end.isNonBlocking == false)
      // For whoever reads next.
      end.bring("later\n")
      #expect(PlainBytes.read(from: 0) == Array("later\n".utf8))
    }
  }

  @Test func `L-99 a number that was closed when the first loop began stays so, whatever has it now`() async {
    await #expect(processExitsWith: .success) {
      // Whatever a thread of Swift's opens gets the number that is free: its first sleep opens something.
      await expectEventually { Process.hasSleepTimer }
      Posix.close(0)
      StandardDescriptor.inspect()
      try await onTestLoop { loop, _ in
        try await expectCode(.badFileDescriptor) { _ = try await loop.standardInput.read() }
        let other = try StandardEnd(.file, at: 0)
        other.bring("of somebody else")
        try await expectCode(.badFileDescriptor) { _ = try await loop.standardInput.read() }
        try await expectCode(.badFileDescriptor) { try await loop.standardInput.write("x") }
      }
      #expect(Posix.isOpen(0))
    }
  }

  @Test(arguments: StandardKind.allCases)
  func `L-99 close ends the stream and not the descriptor`(_ kind: StandardKind) async {
    await #expect(processExitsWith: .success) { [kind] in
      let end = try StandardEnd(kind, at: 0)
      try await onTestLoop { loop, _ in
        end.bring("one\n", andEnd: false)
        if kind != .null { #expect(try await loop.standardInput.read(exactly: 4) == Array("one\n".utf8)) }
        loop.standardInput.close()
        loop.standardInput.close()
        #expect(loop.standardInput.isClosed)
        // At the next iteration at the latest.
        try await iterate(loop)
        #expect(end.isNonBlocking == false)
        try await expectCode(.handleClosed) { _ = try await loop.standardInput.read() }
      }
      if kind == .null { return }
      end.bring("two\n")
      #expect(PlainBytes.read(from: 0) == Array("two\n".utf8))
    }
  }

  @Test func `L-99 a named pipe whose writers had gone ends behind what they have written`() async {
    await #expect(processExitsWith: .success) {
      let end = try StandardEnd(.namedPipe, at: 0)
      end.bring("all\n")
      try await onTestLoop { loop, _ in
        let text = try await loop.withTimeout(.seconds(20)) { try await loop.standardInput.readAll(limit: 100) }
        #expect(text == Array("all\n".utf8))
      }
      #expect(end.isNonBlocking == false)
    }
  }

  @Test func `L-99 the flag of a socket is put back when the process exits while a loop still has it`() async {
    await #expect(processExitsWith: .exitCode(42)) {
      // Registered first, and so called last.
      atexit { _exit(Posix.flags(of: 0) & O_NONBLOCK == 0 ? 42 : 1) }
      let end = try StandardEnd(.socket, at: 0)
      let loop = try EventLoop()
      Task { _ = try await loop.standardInput.read() }
      await expectEventually { end.isNonBlocking == true }
      exit(7)
    }
  }

  @Test func `L-99 one object for each loop, on whatever thread it is asked for first`() async throws {
    // Nothing is touched before it is used.
    try await withTestLoop { loop, _ in
      let streams = await withTaskGroup { group in
        for _ in 0..<8 { group.addTask { loop.standardInput } }
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(streams.allSatisfy { $0 === loop.standardInput })
      let onLoop = await loop.run { loop in loop.standardInput }
      #expect(onLoop === streams[0])
      #expect(loop.standardInput !== loop.standardOutput && loop.standardOutput !== loop.standardError)
    }
  }

  @Test(arguments: [true, false])
  func `L-99 a loop that has ended gives streams that say so, and is freed`(isAskedBefore: Bool) async throws {
    let loop = try EventLoop()
    let before = isAskedBefore ? loop.standardInput : nil
    let core = WeakCore(of: loop)
    await loop.shutdown()
    for stream in [before, loop.standardInput, loop.standardError].compactMap({ $0 }) {
      #expect(stream.isClosed)
      try await expectCode(.loopClosed) { _ = try await stream.read() }
    }
    _ = consume before
    _ = consume loop
    await expectEventually { core.isFreed }
  }

  @Test func `L-99 another loop's stream is busy until the first loop has shut down, and works then`() async {
    await #expect(processExitsWith: .success) {
      let (input, output) = (try StandardEnd(.pipe, at: 0), try StandardEnd(.pipe, at: 1))
      try await withTestLoop("second") { second, _ in
        try await withTestLoop("first") { first, _ in
          input.bring("one\ntwo\n")
          #expect(try await first.standardInput.readLine() == "one")
          try await first.standardOutput.write("1")
          try await expectCode(.busy) { _ = try await second.standardInput.read() }
          try expectCode(.busy) { _ = try second.standardOutput.enqueue([9]) }
          try await expectCode(.busy) { try await second.standardOutput.write("x") }
          try await expectCode(.busy) { try await second.standardOutput.write([UInt8](repeating: 0, count: 1 << 20)) }
          try await second.run { loop in
            var bytes: [UInt8] = []
            try expectCode(.busy) { _ = try loop.standardInput.tryRead(into: &bytes, isolation: loop) }
            try expectCode(.busy) { _ = unsafe try loop.standardOutput.tryWrite([1].span.bytes, isolation: loop) }
          }
        }
        // What the first one had read ahead is gone with it.
        #expect(try await second.standardInput.read() == nil)
        try await second.standardOutput.write("2")
      }
      #expect(output.taken(2) == Array("12".utf8))
    }
  }

  @Test func `L-100 a file is read from its position on, no further than is wanted, and others share that`() async {
    await #expect(processExitsWith: .success) {
      let end = try StandardEnd(.file, at: 0)
      end.bring("0123456789")
      lseek(0, 3, SEEK_SET)
      try await onTestLoop { loop, _ in
        let first = try await loop.standardInput.read(upTo: 2)
        #expect(first == Array("34".utf8))
        #expect(PlainBytes.position(of: 0) == 5)
        #expect(PlainBytes.read(from: 0, 1) == Array("5".utf8))
        #expect(try await loop.standardInput.read(upTo: 2) == Array("67".utf8))
        #expect(PlainBytes.position(of: 0) == 8)
      }
      #expect(PlainBytes.readAll(from: 0) == Array("89".utf8))
    }
  }

  @Test func `L-100 a read of a file waits for the pool, and the loop goes on meanwhile`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      let end = try StandardEnd(.file, at: 0)
      end.bring("0123456789")
      try await withTestLoop { loop, _ in
        let held = try await HeldWorkers(1, on: loop)
        let reader = Task { try await loop.standardInput.read(upTo: 4) }
        await expectEventually { await loop.snapshot().requests.contains { $0.kind == "read" } }
        try await loop.sleep(for: .milliseconds(1))
        try await expectCode(.busy) { _ = try await loop.standardInput.read() }
        // A reader that gives up loses nothing.
        reader.cancel()
        try await expectCancelled { _ = try await reader.value }
        try await held.release()
        #expect(try await loop.standardInput.read(upTo: 2) == Array("01".utf8))
        #expect(try await loop.standardInput.readAll(limit: 100) == Array("23456789".utf8))
      }
    }
  }

  @Test func `L-100 a read of a file that waits for the pool keeps no shutdown from ending`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      let end = try StandardEnd(.file, at: 0)
      end.bring("0123456789")
      let (loop, other) = (try EventLoop(), try EventLoop())
      let held = try await HeldWorkers(1, on: other)
      let reader = Task { try await errorCode { _ = try await loop.standardInput.read() } }
      await expectEventually { await loop.snapshot().requests.contains { $0.kind == "read" } }
      let start = ContinuousClock.now
      let report = await loop.shutdown(within: .seconds(40))
      #expect(report.unfinished.isEmpty, "\(report)")
      #expect(start.duration(to: .now) < .seconds(20))
      #expect(try await reader.value == .loopClosed)
      await expectThreadGone(loop.thread)
      try await held.release()
      await other.shutdown()
      #expect(PlainBytes.position(of: 0) == 0)
    }
  }

  @Test func `L-100 tryRead of a file says that it cannot`() async {
    await #expect(processExitsWith: .success) {
      let end = try StandardEnd(.file, at: 0)
      end.bring("0123456789")
      try await onTestLoop { loop, _ in
        var bytes: [UInt8] = []
        try expectCode(.notSupported) { _ = try loop.standardInput.tryRead(into: &bytes, isolation: loop) }
        #expect(try await loop.standardInput.read(upTo: 4) == Array("0123".utf8))
      }
    }
  }

  @Test func `L-99 what is open for the other direction only says so, and a standard stream is not given away`() async {
    await #expect(processExitsWith: .success) {
      _ = try (StandardEnd(.pipe, at: 0), StandardEnd(.pipe, at: 1))
      try await onTestLoop { loop, _ in
        try await expectCode(.badFileDescriptor) { try await loop.standardInput.write("x") }
        try await expectCode(.badFileDescriptor) { _ = try await loop.standardOutput.read() }
        try await expectCode(.notSupported) { _ = try await loop.standardInput.detach() }
        try loop.standardInput.withUnsafeDescriptor { #expect($0 == 0) }
      }
    }
  }
}
