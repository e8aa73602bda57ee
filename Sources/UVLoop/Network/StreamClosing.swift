/// One graceful close: the end behind what is queued, then the peer's end, within a limit. Belongs to the loop's thread.
///
/// A socket that is closed while bytes of the peer lie unread in it makes the kernel send a reset, and that takes away
/// from the peer what it has not read yet (RFC 7230, section 6.6). So what still comes is read and dropped.
@safe final class StreamClosing: WaitOwner, LoopDeadline, @unchecked Sendable {  // Holds because of the line above.
  private let stream: StreamCore
  private let limit: Duration
  private var wait: LoopWait?
  private var token: TimerToken?

  init(_ stream: StreamCore, _ limit: Duration) {
    self.stream = stream
    self.limit = limit
  }

  func value() async throws {
    if stream.reader.hasEnded && stream.writer.isIdle { return }
    try await LoopWait(.write, on: stream.loop, owner: self).value(stream.call("closeGracefully"))
  }

  func begin(_ wait: LoopWait) {
    self.wait = wait
    stream.loop.waits.add(wait)
    let deadline = stream.loop.time.now(plus: limit)
    if deadline != .max { token = stream.loop.timers.insert(.limit(self), at: deadline) }
    stream.writer.end { error in
      if error != nil { self.finish() } else { self.stream.reader.discard { self.finish() } }
    }
  }

  private func finish() {
    if let token { stream.loop.timers.remove(token) }
    token = nil
    wait.take()?.resume()
  }

  func withdraw(_ wait: LoopWait) {
    self.wait = nil
    finish()
  }

  /// The time is over.
  func expire() {
    token = nil
    finish()
  }

  func drop() { token = nil }
}
