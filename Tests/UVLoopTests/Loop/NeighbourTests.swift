import CLibUV
import Testing

@testable import UVLoop

/// C code that puts its own handles on the loop.
@Suite(.sideBySide) struct NeighbourTests {
  /// What a C library does: a started timer on a loop that somebody lent it.
  @safe final class Neighbour: @unchecked Sendable {  // Holds because it is used on the loop alone.
    private let timer = UnsafeMutablePointer<uv_timer_t>.allocate(capacity: 1)

    func attach(to loop: UnsafeMutableRawPointer) -> Int32 {
      let status = unsafe uv_timer_init(loop.assumingMemoryBound(to: uv_loop_t.self), timer)
      return unsafe status != 0 ? status : uv_timer_start(timer, { _ in }, 3_600_000, 0)
    }

    var isActive: Bool { unsafe uv_is_active(handle) != 0 }
    var isClosing: Bool { unsafe uv_is_closing(handle) != 0 }
    var address: UInt { UInt(bitPattern: unsafe handle) }

    func stop() { _ = unsafe uv_timer_stop(timer) }

    /// As C code does with a timer that shall not keep the loop.
    func unreference() { unsafe uv_unref(handle) }

    func close() {
      unsafe uv_close(handle) { unsafe UnsafeMutableRawPointer($0)?.deallocate() }
    }

    private var handle: UnsafeMutablePointer<uv_handle_t> {
      unsafe UnsafeMutableRawPointer(timer).assumingMemoryBound(to: uv_handle_t.self)
    }
  }

  @Test func `K-14 a timer that C code left on the loop is untouched by shutdown and reported as left open`()
    async throws
  {
    let (loop, neighbour) = try await Self.loopWithNeighbour()
    let report = await loop.shutdown()
    #expect(report.foreignHandles == [.init(kind: "timer", address: neighbour.address)])
    let place = "at 0x\(String(neighbour.address, radix: 16))"
    #expect(report.description.contains("foreign timer handle left open \(place)"), "\(report)")
    #expect(report.unfinished.isEmpty)
    #expect(loop.state == .stopped)
    let (isActive, isClosing) = await loop.run { _ in (neighbour.isActive, neighbour.isClosing) }
    #expect(isActive && !isClosing)
    await Self.letGo(neighbour, on: loop)
  }

  @Test func `K-14 once the owner has closed it the loop closes and its thread ends`() async throws {
    let (loop, neighbour) = try await Self.loopWithNeighbour()
    await loop.shutdown()
    // The thread stays behind for the owner, and is not the loop's any more.
    #expect(Process.threads.contains(loop.thread.kernelID))
    let place = await loop.run { loop in (ThreadIdentity.current, loop.isCurrent, EventLoop.current == nil) }
    #expect(place == (loop.thread, false, true))
    // A `uv_loop_close` that refused would stop the process.
    await Self.letGo(neighbour, on: loop)
  }

  @Test func `K-14 handles of ours close at shutdown though a neighbour's stays`() async throws {
    let (loop, neighbour) = try await Self.loopWithNeighbour()
    let handles = try await loop.run { loop in
      try TimerHandle().start(after: .seconds(60)) {}
      return loop.probe.handles
    }
    let report = await loop.shutdown()
    #expect(report.foreignHandles.count == 1)
    #expect(handles.created == 1 && handles.freed == 1)
    await Self.letGo(neighbour, on: loop)
  }

  @Test func `K-14 a neighbour that closes before shutdown is not reported`() async throws {
    try await onTestLoop { loop, calls in
      let neighbour = Neighbour()
      #expect(unsafe loop.withUnsafeLoop { unsafe neighbour.attach(to: $0) } == 0)
      neighbour.close()
    }
  }

  @Test func `K-14 C code that closes its handles one in the callback of the other is awaited to the last`()
    async throws
  {
    try await onTestLoop { loop, _ in
      let chain = Chain(of: 20)
      unsafe loop.withUnsafeLoop { unsafe chain.attach(to: $0) }
      try loop.onShutdown { chain.close() }
      let report = await loop.shutdown()
      #expect(report.foreignHandles.isEmpty, "\(report)")
      #expect(chain.open.value == 0)
    }
  }

  /// Timers, each of which is closed in the close callback of the one before.
  @safe final class Chain: @unchecked Sendable {  // Holds because the timers are used on the loop alone.
    let open = Counter()
    private let timers: UnsafeMutablePointer<uv_timer_t>
    private let count: Int
    private var next = 0

    init(of count: Int) {
      self.count = count
      unsafe timers = .allocate(capacity: count)
    }

    deinit { unsafe timers.deallocate() }

    func attach(to loop: UnsafeMutableRawPointer) {
      for index in 0..<count {
        unsafe uv_timer_init(loop.assumingMemoryBound(to: uv_loop_t.self), timers + index)
        // Kept by the callback of the last.
        unsafe timers[index].data = Unmanaged.passUnretained(self).toOpaque()
        unsafe uv_timer_start(timers + index, { _ in }, 3_600_000, 0)
      }
      open.add(count)
      _ = unsafe Unmanaged.passRetained(self)
    }

    func close() {
      let handle = unsafe UnsafeMutableRawPointer(timers + next).assumingMemoryBound(to: uv_handle_t.self)
      next += 1
      unsafe uv_close(handle) { handle in
        guard let data = unsafe handle?.pointee.data else { return }
        let chain = unsafe Unmanaged<Chain>.fromOpaque(data)
        unsafe chain._withUnsafeGuaranteedRef { chain in
          chain.open.add(-1)
          if chain.next < chain.count { chain.close() }
        }
        if unsafe chain.takeUnretainedValue().open.value == 0 { unsafe chain.release() }
      }
    }
  }

  private static func loopWithNeighbour() async throws -> (EventLoop, Neighbour) {
    let loop = try EventLoop(.init(name: "lender"))
    let neighbour = Neighbour()
    let status = await loop.run { loop in unsafe loop.withUnsafeLoop { unsafe neighbour.attach(to: $0) } }
    #expect(status == 0)
    return (loop, neighbour)
  }

  private static func letGo(_ neighbour: Neighbour, on loop: EventLoop) async {
    await loop.run { loop in unsafe loop.withUnsafeLoop { _ in neighbour.close() } }
    await expectThreadGone(loop.thread)
  }
}
