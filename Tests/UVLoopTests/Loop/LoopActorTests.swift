import CLibUV
import Testing

@testable import UVLoop

@Suite(.alone) struct LoopActorTests {
  @Test func `A-08 assumeIsolated passes in a raw libuv callback, for the loop and for its actors`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("loop")
      calls.expect("actor")
      let done = Event("the close of a raw timer")
      let meter = Meter(on: loop)
      await loop.run { loop in
        RawTimer.fire(on: loop) {
          loop.assumeIsolated { loop in if loop.isCurrent { calls.mark("loop") } }
          if meter.assumeIsolated({ $0.beat() }) == 1 { calls.mark("actor") }
        } closed: {
          done.signal()
        }
      }
      try await done.wait()
    }
  }

  @Test func `A-08 assumeIsolated traps off the loop`() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let loop = try EventLoop(.init(name: "kitchen"))
      try await onPlainThread { loop.assumeIsolated { _ in } }
    }
    let text = try #require(result).standardErrorText
    #expect(text.contains("Incorrect actor executor assumption"))
    #expect(text.contains("EventLoop \"kitchen\", running"))
  }

  @Test func `A-08 assumeIsolated of an actor traps on another loop`() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let kitchen = try EventLoop(.init(name: "kitchen"))
      let garden = try EventLoop(.init(name: "garden"))
      let meter = Meter(on: kitchen)
      await garden.run { _ in _ = meter.assumeIsolated { $0.beat() } }
    }
    let text = try #require(result).standardErrorText
    #expect(text.contains("Incorrect actor executor assumption"))
    #expect(text.contains("Meter"))
  }

  @Test func `A-14 actors of one loop call each other 1 000 times on its thread without a wake`() async throws {
    try await onTestLoop { loop, _ in
      let partner = Meter(on: loop)
      let caller = Caller(on: loop, partner)
      var strays = 0
      let wakes = await loop.probe.wakes { strays = await caller.call(times: 1_000) }
      #expect(wakes == 0)
      #expect(strays == 0)
      #expect(await partner.beats == 1_000)
    }
  }

  @Test func `A-15 a method runs on its actor's loop and the caller goes on on its own`() async throws {
    try await withTestLoop("near") { near, _ in
      try await withTestLoop("far") { far, _ in
        let meter = Meter(on: far)
        await near.run { near in
          #expect(near.isCurrent)
          let thread = await meter.thread()
          #expect(thread == far.thread)
          #expect(near.isCurrent)
          #expect(ThreadIdentity.current == near.thread)
        }
        let isBack = await near.task { near in
          let thread = await meter.thread()
          return thread == far.thread && near.isCurrent
        }.value
        #expect(isBack)
      }
    }
  }
}

private actor Meter: LoopActor {
  nonisolated let loop: EventLoop
  private(set) var beats = 0

  init(on loop: EventLoop) { self.loop = loop }

  @discardableResult
  func beat() -> Int {
    beats += 1
    return beats
  }

  func thread() -> ThreadIdentity { .current }
}

private actor Caller: LoopActor {
  nonisolated let loop: EventLoop
  private let partner: Meter

  init(on loop: EventLoop, _ partner: Meter) {
    self.loop = loop
    self.partner = partner
  }

  /// How often it found itself, or its partner, on another thread.
  func call(times: Int) async -> Int {
    var strays = 0
    for number in 1...times {
      if await partner.beat() != number { strays += 1 }
      if await partner.thread() != loop.thread || ThreadIdentity.current != loop.thread { strays += 1 }
    }
    return strays
  }
}

/// A timer as a C neighbour would make it.
private enum RawTimer {
  private final class Context {
    let fired: () -> Void
    let closed: () -> Void

    init(_ fired: @escaping () -> Void, _ closed: @escaping () -> Void) {
      self.fired = fired
      self.closed = closed
    }
  }

  static func fire(
    on loop: isolated EventLoop, _ fired: @escaping @Sendable () -> Void, closed: @escaping @Sendable () -> Void
  ) {
    let context = unsafe Unmanaged.passRetained(Context(fired, closed)).toOpaque()
    unsafe loop.withUnsafeLoop { pointer in
      let timer = UnsafeMutablePointer<uv_timer_t>.allocate(capacity: 1)
      unsafe uv_timer_init(pointer.assumingMemoryBound(to: uv_loop_t.self), timer)
      unsafe timer.pointee.data = context
      unsafe uv_timer_start(
        timer,
        { timer in
          guard let timer = unsafe timer else { return }
          unsafe Unmanaged<Context>.fromOpaque(timer.pointee.data).takeUnretainedValue().fired()
          unsafe uv_close(UnsafeMutableRawPointer(timer).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            guard let handle = unsafe handle else { return }
            unsafe Unmanaged<Context>.fromOpaque(handle.pointee.data).takeRetainedValue().closed()
            unsafe UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_timer_t.self).deallocate()
          }
        }, 0, 0)
    }
  }
}
