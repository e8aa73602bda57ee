import CLibUV
import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What becomes of a handle whose descriptor has been closed, when its number belongs to another one.
@Suite(.sideBySide) struct PollHandleReuseTests {
  typealias Outcome = Result<PollHandle.Events, UVError>

  /// A watcher of C code's for a descriptor that becomes readable.
  @safe final class Neighbour {
    private let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    private let body: () -> Void

    init(_ descriptor: Int32, on loop: isolated EventLoop, _ body: @escaping () -> Void) {
      self.body = body
      let status = unsafe loop.withUnsafeLoop { loop in
        unsafe uv_poll_init(loop.assumingMemoryBound(to: uv_loop_t.self), poll, descriptor)
      }
      #expect(status == 0)
      unsafe poll.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
      let started = unsafe uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { poll, _, _ in
        guard let data = unsafe poll?.pointee.data else { return }
        unsafe Unmanaged<Neighbour>.fromOpaque(data).takeUnretainedValue().body()
      }
      #expect(started == 0)
    }

    func stop() { _ = unsafe uv_poll_stop(poll) }

    func close() {
      unsafe uv_close(UnsafeMutableRawPointer(poll).assumingMemoryBound(to: uv_handle_t.self)) {
        unsafe UnsafeMutableRawPointer($0)?.deallocate()
      }
    }
  }

  /// A pair whose watched end took the number of one that the loop has polled for, by a handle that is stopped now.
  final class Reused {
    let old: PollHandle
    private let before = SocketPair()
    private let after = SocketPair()

    init(on loop: isolated EventLoop) async throws {
      old = try PollHandle(descriptor: before.watched)
      try old.start(for: .readable) { _ in Issue.record("the old handle was called") }
      try await iterate(loop)
      old.stop()
      take()
    }

    /// In one step, so that nobody else can get the number.
    private func take() {
      let number = dup2(after.watched, before.watched)
      precondition(number == before.watched, "dup2 failed with errno \(Posix.errno)")
    }

    var number: Int32 { before.watched }
    func feed() { after.feed() }
    func drain() { after.drain() }
  }

  /// Whether the handle hears of the byte that is put into the other end, once.
  private static func hears(
    _ poll: PollHandle, feed: () -> Void, drain: @escaping () -> Void, on loop: isolated EventLoop
  ) async throws -> Bool {
    let answer = try Promise<PollHandle.Events>()
    try poll.start(for: .readable) { result in
      drain()
      answer.resume(with: result.mapError { $0 })
    }
    // It is in the kernel's set when what follows comes.
    try await iterate(loop)
    feed()
    return try await answer.value() == .readable
  }

  @Test func `M-13 after stop the number of the descriptor can be watched by another handle`() async throws {
    try await onTestLoop { loop, calls in
      let reused = try await Reused(on: loop)
      let new = try PollHandle(descriptor: reused.number)
      #expect(try await Self.hears(new, feed: reused.feed, drain: reused.drain, on: loop))
      new.close()
      reused.old.close()
    }
  }

  @Test(arguments: ["stop", "close"])
  func `M-13 the end of a stopped handle takes nothing from the one that has its number`(_ end: String) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("new")
      let reused = try await Reused(on: loop)
      let new = try PollHandle(descriptor: reused.number)
      let answer = try Promise<Void>()
      try new.start(for: .readable) { _ in
        calls.mark("new")
        reused.drain()
        answer.resume(returning: ())
      }
      try await iterate(loop)
      switch end {
      case "stop": reused.old.stop()
      default: reused.old.close()
      }
      try await iterate(loop)
      reused.feed()
      try await loop.withTimeout(.seconds(20)) { try await answer.value() }
      new.close()
      reused.old.close()
    }
  }

  @Test func `M-13 a handle cannot be started while another one watches its number`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("new")
      let reused = try await Reused(on: loop)
      let new = try PollHandle(descriptor: reused.number)
      let answer = try Promise<Void>()
      try new.start(for: .readable) { _ in
        calls.mark("new")
        reused.drain()
        answer.resume(returning: ())
      }
      try await iterate(loop)
      do throws(UVError) {
        try reused.old.start(for: .readable) { _ in }
        Issue.record("it was started")
      } catch {
        #expect(error.code == .fileExists)
        #expect(error.message.contains("A PollHandle of loop \"test\" watches descriptor \(reused.number)"))
      }
      #expect(!reused.old.isActive)
      reused.feed()
      try await loop.withTimeout(.seconds(20)) { try await answer.value() }
      reused.old.close()
      new.close()
    }
  }

  @Test func `M-13 of two handles for one number the one that is started has it, and after its stop the other may`()
    async throws
  {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let one = try PollHandle(descriptor: pair.watched)
      let other = try PollHandle(descriptor: pair.watched)
      #expect(try await Self.hears(other, feed: pair.feed, drain: { pair.drain() }, on: loop))
      try expectCode(.fileExists) { try one.start(for: .readable) { _ in } }
      other.stop()
      #expect(try await Self.hears(one, feed: pair.feed, drain: { pair.drain() }, on: loop))
      try expectCode(.fileExists) { try other.start(for: .readable) { _ in } }
      one.close()
      #expect(try await Self.hears(other, feed: pair.feed, drain: { pair.drain() }, on: loop))
      other.close()
    }
  }

  @Test func `M-13 a stopped handle that closes takes nothing from C code that has its number`() async throws {
    try await onTestLoop { loop, calls in
      let reused = try await Reused(on: loop)
      let answer = try Promise<Void>()
      let neighbour = Neighbour(reused.number, on: loop) {
        reused.drain()
        answer.resume(returning: ())
      }
      try await iterate(loop)
      do throws(UVError) {
        try reused.old.start(for: .readable) { _ in }
        Issue.record("it was started")
      } catch {
        #expect(error.code == .fileExists)
        #expect(error.message.contains("C code watches descriptor \(reused.number)"))
      }
      reused.old.close()
      try await iterate(loop)
      reused.feed()
      try await loop.withTimeout(.seconds(20)) { try await answer.value() }
      neighbour.stop()
      neighbour.close()
      try await iterate(loop)
      withExtendedLifetime(neighbour) {}
    }
  }

  @Test func `M-13 after a failure the number can be watched by another handle, also when the first one closes`()
    async throws
  {
    try await onTestLoop { loop, calls in
      let (before, after) = (SocketPair(), SocketPair())
      let old = try PollHandle(descriptor: before.watched)
      let failure = try Promise<Bool>()
      try old.start(for: .readable) { result in
        if case .failure = result { failure.resume(returning: true) } else { failure.resume(returning: false) }
      }
      try await iterate(loop)
      // A peer that closes with something unread resets the connection.
      #expect(unsafe write(before.watched, "x", 1) == 1)
      before.closeSecond()
      #expect(try await failure.value())
      // As a client connects again: the number stays the same.
      #expect(dup2(after.watched, before.watched) == before.watched)
      let new = try PollHandle(descriptor: before.watched)
      let answer = try Promise<Void>()
      try new.start(for: .readable) { _ in
        after.drain()
        answer.resume(returning: ())
      }
      try await iterate(loop)
      old.close()
      try await iterate(loop)
      after.feed()
      try await loop.withTimeout(.seconds(20)) { try await answer.value() }
      new.close()
    }
  }
}
