import Foundation
import UVLoop

/// Wakes the loop a thousand times. Wakes that come before the callback begins become one callback: how many there are
/// in the end differs from run to run.
func wakes(on loop: isolated EventLoop) async throws {
  var callbacks = 0
  let wake = try AsyncHandle { callbacks += 1 }
  let senders = Senders(count: 4, of: wake.sender)

  let sent = await withTaskGroup { group in
    for _ in 1...senders.count { group.addTask { await senders.send(250) } }
    return await group.reduce(into: []) { $0.append($1) }
  }
  // All are sent, and the last one may not have arrived. The next turn of the loop finds it.
  try await loop.sleep(for: .zero)
  wake.close()

  table(
    [["thread id", "kernel id", "wakes"]] + sent.map { ["\($0.thread.id)", "\($0.thread.kernelID)", "\($0.wakes)"] })
  fact("\(sent.reduce(0) { $0 + $1.wakes }) became", "\(callbacks) callback\(callbacks == 1 ? "" : "s")")
}

/// Plain threads, of which Swift Concurrency knows nothing. They begin together, when the last one has started.
private struct Senders {
  let count: Int
  let sender: AsyncHandle.Sender
  let starting = DispatchGroup()

  init(count: Int, of sender: AsyncHandle.Sender) {
    self.count = count
    self.sender = sender
    for _ in 1...count { starting.enter() }
  }

  /// Sends from a new thread, and says how many wakes the handle took.
  func send(_ times: Int) async -> (thread: ThreadIdentity, wakes: Int) {
    await withCheckedContinuation { done in
      Thread.detachNewThread {
        starting.leave()
        starting.wait()
        let wakes = (0..<times).count { _ in sender.send() }
        done.resume(returning: (ThreadIdentity.current, wakes))
      }
    }
  }
}
