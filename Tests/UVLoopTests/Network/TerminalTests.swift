import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Terminals as streams.
@Suite(.sideBySide) struct TerminalTests {
  @Test func `L-34 what is no terminal is refused with a code, and closed`() async throws {
    try await onTestLoop { loop, _ in
      var pair: [Int32] = [-1, -1]
      ChildProcess.startingAlone {
        _ = unsafe pipe(&pair)
        for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      }
      let (socket, peer) = try PlainSocket.pair()
      let others = [Posix.openNull(), pair[0], socket.release()]
      for number in others {
        try await expectCode(.invalidArgument) { _ = try await loop.openTerminal(OwnedDescriptor(owning: number)) }
      }
      try await expectCode(.badFileDescriptor) { _ = try await loop.openTerminal(OwnedDescriptor(owning: 1 << 20)) }
      // Who has the other end is told that ours has closed. A child that is just being started may still have it.
      let writer = pair[1]
      await expectEventually {
        var entry = pollfd(fd: writer, events: 0, revents: 0)
        return unsafe poll(&entry, 1, 0) == 1 && entry.revents & Int16(POLLERR) != 0
      }
      Posix.close(pair[1])
      #expect(try peer.receive() == [])
    }
  }

  @Test func `L-33 what is typed comes, and what is written is shown`() async throws {
    let terminal = try PseudoTerminal()
    try await onTestLoop { loop, _ in
      let stream = try await loop.openTerminal(try terminal.opened())
      terminal.type("a line\n")
      #expect(try await stream.readLine() == "a line")
      try await stream.finishWriting()
      try await stream.write("an answer\n")
      await stream.closeGracefully(within: .seconds(20))
      var shown = ""
      while !shown.hasSuffix("an answer\r\n") { shown += String(decoding: terminal.shown(), as: UTF8.self) }
      // Others who have it open do not notice.
      #expect(Posix.flags(of: terminal.descriptor) & O_NONBLOCK == 0)
    }
  }

  @Test(arguments: [TTYStream.Mode.raw, .io])
  func `L-33 a mode is set, and undone by normal, by close and by the shutdown`(_ mode: TTYStream.Mode) async throws {
    let terminal = try PseudoTerminal()
    let expected = mode == .raw ? PseudoTerminal.Mode.raw : .io
    #expect(terminal.mode == .normal)
    try await onTestLoop { loop, _ in
      let stream = try await loop.openTerminal(try terminal.opened())
      try stream.setMode(.normal)
      #expect(terminal.mode == .normal)
      try stream.setMode(mode)
      #expect(terminal.mode == expected)
      // A key, without a line.
      terminal.type("\u{3}")
      #expect(try await stream.read() == [3])
      try stream.setMode(.normal)
      #expect(terminal.mode == .normal)
      try stream.setMode(mode)
      stream.close()
      #expect(terminal.mode == .normal)
      try expectCode(.handleClosed) { try stream.setMode(.raw, isolation: loop) }
      let other = try await loop.openTerminal(try terminal.opened())
      try other.setMode(mode)
      #expect(terminal.mode == expected)
    }
    #expect(terminal.mode == .normal)
  }

  @Test(arguments: [false, true])
  func `L-98 two streams of one terminal leave it as the first has found it`(_ isFirstFirst: Bool) async throws {
    let terminal = try PseudoTerminal()
    try await onTestLoop { loop, _ in
      let first = try await loop.openTerminal(try terminal.opened())
      // The same terminal by another end, which cannot be opened again.
      let second = try await loop.openTerminal(try OwnedDescriptor(duplicating: terminal.master))
      try first.setMode(.io)
      try second.setMode(.raw)
      // Raw as if it came from normal, not from what the first has made of it.
      #expect(terminal.mode == .raw)
      try second.setMode(.normal)
      #expect(terminal.mode == .normal)
      try second.setMode(.io)
      (isFirstFirst ? first : second).close()
      #expect(terminal.mode == .io)
      (isFirstFirst ? second : first).close()
      #expect(terminal.mode == .normal)
    }
  }

  @Test func `L-98 a stream that is dropped in a mode leaves the terminal as it was`() async throws {
    let terminal = try PseudoTerminal()
    try await withTestLoop { loop, _ in
      try await loop.run { loop in
        let stream = try await loop.openTerminal(try terminal.opened())
        try stream.setMode(.raw)
        #expect(terminal.mode == .raw)
      }
      await expectEventually { terminal.mode == .normal }
    }
  }

  @Test func `L-33 a terminal that hangs up ends, and writes fail`() async throws {
    let terminal = try PseudoTerminal()
    let spare = try terminal.opened().release()
    try await onTestLoop { loop, _ in
      let stream = try await loop.openTerminal(OwnedDescriptor(owning: spare))
      let reader = loop.task { _ in try await stream.read() }
      try await iterate(loop)
      // The descriptor stays another one's until this test has ended: only the window goes.
      dup2(Posix.openNull(), terminal.master)
      #expect(try await reader.value == nil)
      #expect(try await stream.read() == nil)
      try await expectCode(.ioError) { try await stream.write("x") }
    }
  }

  @Test func `L-33 the window's end reads what programs write, and ends when the last one has gone`() async throws {
    let terminal = try PseudoTerminal()
    try await onTestLoop { loop, _ in
      let window = try await loop.openTerminal(try OwnedDescriptor(duplicating: terminal.master))
      PlainBytes.write(Array("shown\n".utf8), to: terminal.descriptor)
      #expect(try await window.readLine() == "shown")
      try await window.write("typed\n")
      #expect(PlainBytes.read(from: terminal.descriptor) == Array("typed\n".utf8))
      // What was typed is shown, too.
      #expect(try await window.readLine() == "typed")
      dup2(Posix.openNull(), terminal.descriptor)
      #expect(try await window.read() == nil)
    }
  }

  @Test func `L-33 a window that nobody reads from or writes to holds up its task, and not the loop`() async throws {
    let terminal = try PseudoTerminal()
    try await onTestLoop { loop, _ in
      // As a window does, whatever the terminal does with it.
      let stream = try await loop.openTerminal(try terminal.opened())
      try stream.setMode(.io)
      let window = try await loop.openTerminal(try OwnedDescriptor(duplicating: terminal.master))
      let bytes = [UInt8](repeating: 7, count: 1 << 20)
      let writer = loop.task { _ in try await window.write(bytes) }
      for _ in 0..<10 { try await loop.sleep(for: .milliseconds(1)) }
      #expect(window.queuedBytes > 0)
      #expect(try await stream.read(exactly: 1 << 20) == bytes)
      try await writer.value
      #expect(Posix.flags(of: terminal.master) & O_NONBLOCK != 0)
      // The end of another terminal is the same file, and does not count.
      let other = try PseudoTerminal()
      let another = try await loop.openTerminal(try OwnedDescriptor(duplicating: other.master))
      window.close()
      #expect(Posix.flags(of: terminal.master) & O_NONBLOCK == 0)
      #expect(Posix.flags(of: other.master) & O_NONBLOCK != 0)
      another.close()
      #expect(Posix.flags(of: other.master) & O_NONBLOCK == 0)
    }
  }

  @Test func `L-33 the size is what the window says, on any thread, and nil after the close`() async throws {
    let terminal = try PseudoTerminal()
    try await withTestLoop { loop, _ in
      let stream = try await loop.openTerminal(try terminal.opened())
      #expect(stream.size == nil)
      terminal.resize(columns: 100, rows: 30)
      #expect(stream.size == TerminalSize(columns: 100, rows: 30))
      terminal.resize(columns: 90, rows: 20)
      #expect(await loop.run { _ in stream.size } == TerminalSize(columns: 90, rows: 20))
      stream.close()
      await expectEventually { stream.size == nil }
    }
    #expect(TerminalSize() == TerminalSize(columns: 80, rows: 24))
  }

  @Test func `L-33 opening a terminal in a task that is cancelled, or on a loop that has ended, closes it`()
    async throws
  {
    let terminal = try PseudoTerminal()
    let loop = try EventLoop()
    let number = try terminal.opened().release()
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      _ = try await loop.openTerminal(OwnedDescriptor(owning: number))
    }
    try await expectCancelled { try await task.value }
    await loop.shutdown()
    let other = try terminal.opened().release()
    try await expectCode(.loopClosed) { _ = try await loop.openTerminal(OwnedDescriptor(owning: other)) }
    // Nobody has the terminal any more when ours is gone too.
    dup2(Posix.openNull(), terminal.descriptor)
    await expectEventually { Posix.hasHungUp(terminal.master) }
  }
}
