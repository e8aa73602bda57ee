import Dispatch
import NIOCore
import NIOPosix
import UVLoop

/// Something that takes closures and runs them one at a time: what `W1` and `W2` post to.
///
/// The closure is handed on as one that is written in the call would be: kept here as well, it would be released by the
/// poster while the loop may be releasing it on another CPU.
protocol SerialQueue: Sendable {
  func post(_ work: consuming @escaping @Sendable () -> Void)
  func end() async throws
}

struct UVLoopQueue: SerialQueue {
  let loop: UVLoop.EventLoop

  init(_ options: UVLoop.EventLoop.Options = .init(name: "bench")) throws { loop = try UVLoop.EventLoop(options) }

  @inline(__always)
  func post(_ work: consuming @escaping @Sendable () -> Void) {
    do { try loop.post(consume work) } catch { fatalError("\(error)") }
  }

  func end() async { await loop.shutdown() }
}

struct NIOQueue: SerialQueue {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let loop: any NIOCore.EventLoop

  init() { loop = group.next() }

  @inline(__always)
  func post(_ work: consuming @escaping @Sendable () -> Void) { loop.execute(work) }

  func end() async throws { try await group.shutdownGracefully() }
}

struct DispatchSerialQueuePeer: SerialQueue {
  let queue = DispatchQueue(label: "bench")

  @inline(__always)
  func post(_ work: consuming @escaping @Sendable () -> Void) { queue.async(execute: work) }

  func end() {}
}
