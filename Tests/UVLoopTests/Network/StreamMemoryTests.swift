import Testing

@testable import UVLoop

/// That nothing of a stream or a listener is left when it is closed and its loop has ended.
@Suite(.sideBySide) struct StreamMemoryTests {
  /// What is to be freed.
  private final class Remains: @unchecked Sendable {  // Holds because it is written once, before others read it.
    weak var part: AnyObject?
    weak var whole: AnyObject?
    var loop: WeakCore?

    var areGone: Bool { part == nil && whole == nil && loop?.isFreed != false }
  }

  @Test(arguments: StreamSetting.all)
  func `a stream that has been read, by tasks and by callbacks, is freed when it is closed`(
    setting: StreamSetting
  ) async throws {
    let remains = Remains()
    try await onTestStream(setting) { loop, stream, peer in
      (remains.part, remains.whole, remains.loop) = (stream.inner.reader, stream.inner, WeakCore(of: loop))
      let line = loop.task { _ in try await stream.readLine() }
      try await iterate(loop)
      try peer.sendAll("a\n")
      #expect(try await line.value == "a")
      try stream.startReading { _ in
      } atEnd: { _ in
      }
    }
    await expectEventually { remains.areGone }
  }

  @Test(arguments: StreamSetting.all)
  func `a stream that has been written to is freed when it is closed`(setting: StreamSetting) async throws {
    let remains = Remains()
    try await onTestStream(setting) { loop, stream, peer in
      (remains.part, remains.whole, remains.loop) = (stream.inner.writer, stream.inner, WeakCore(of: loop))
      let slow = SlowPeer(peer, pace: .full, expecting: Pattern(seed: 1))
      try await stream.write(Pattern(seed: 1).bytes(count: 300_000))
      try await stream.finishWriting()
      #expect(try await slow.finish().count == 300_000)
    }
    await expectEventually { remains.areGone }
  }

  @Test func `a stream that is dropped is freed`() async throws {
    let remains = Remains()
    try await onTestLoop { loop, _ in
      let (stream, peer) = try await StreamKind.tcp.connect(on: loop)
      (remains.part, remains.whole, remains.loop) = (stream.inner.reader, stream, WeakCore(of: loop))
      let read = Task.detached { [stream] in try await stream.read() }
      try peer.sendAll("a")
      #expect(try await read.value == [97])
    }
    await expectEventually { remains.areGone }
  }

  @Test func `a listener that has accepted is freed when it is closed`() async throws {
    let remains = Remains()
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      (remains.part, remains.whole, remains.loop) = (listener.inner, listener, WeakCore(of: loop))
      let accepted = loop.task { _ in try await listener.accept() }
      try await iterate(loop)
      let stream = try await loop.connect(to: .address(listener.address))
      try await accepted.value.close()
      stream.close()
      listener.close()
      #expect(await codeOfError { _ = try await listener.accept() } == .handleClosed)
    }
    await expectEventually { remains.areGone }
  }
}
