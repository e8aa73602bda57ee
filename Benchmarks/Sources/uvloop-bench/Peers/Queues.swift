import Dispatch
import NIOCore
import NIOPosix
import UVLoop

/// Something that takes closures and runs them one at a time: what `W1` and `W2` post to.
protocol SerialQueue: Sendable {
  func post(_ work: @escaping @Sendable () -> Void)
  func end() async throws
}

struct UVLoopQueue: SerialQueue {
  let loop: UVLoop.EventLoop

  init(spin: Duration = .zero) throws { loop = try UVLoop.EventLoop(.init(name: "bench", spin: spin)) }

  @inline(__always)
  func post(_ work: @escaping @Sendable () -> Void) {
    do { try loop.post(work) } catch { fatalError("\(error)") }
  }

  func end() async { await loop.shutdown() }
}

struct NIOQueue: SerialQueue {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let loop: any NIOCore.EventLoop

  init() { loop = group.next() }

  @inline(__always)
  func post(_ work: @escaping @Sendable () -> Void) { loop.execute(work) }

  func end() async throws { try await group.shutdownGracefully() }
}

struct DispatchSerialQueuePeer: SerialQueue {
  let queue = DispatchQueue(label: "bench")

  @inline(__always)
  func post(_ work: @escaping @Sendable () -> Void) { queue.async(execute: work) }

  func end() {}
}
