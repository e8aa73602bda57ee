/// One graceful close: the end behind what is queued, and the peer's end, within a limit. Belongs to the loop's thread.
///
/// A socket that is closed while bytes of the peer lie unread in it makes the kernel send a reset, and that takes away
/// from the peer what it has not read yet (RFC 7230, section 6.6). So what still comes is read and dropped, and that
/// from the beginning: a peer that reads only when it has sent all would take nothing of what is queued.
@safe final class StreamClosing: WaitOwner, LoopDeadline, @unchecked Sendable {  // Holds because of the line above.
  private let stream: StreamCore
  private let limit: Duration
  private var wait: LoopWait?
  private var token: TimerToken?
  /// How many of the two directions have not ended.
  private var open = 2

  init(_ stream: StreamCore, _ limit: Duration) {
    self.stream = stream
    self.limit = limit
  }

  func value() async throws {
    if stream.reader.isExhausted && stream.writer.isIdle { return }
    try await LoopWait(.write, on: stream.loop, owner: self).value(stream.call("closeGracefully"))
  }

  func begin(_ wait: LoopWait) {
    self.wait = wait
    stream.loop.waits.add(wait)
    let deadline = stream.loop.time.now(plus: limit)
    if deadline != .max { token = stream.loop.timers.insert(.limit(self), at: deadline) }
    // What comes to a standard stream is not only ours.
    if stream.transport.endsWriting { stream.reader.discard { self.sideEnded() } } else { sideEnded() }
    stream.writer.end { error in
      // Nothing that is queued can reach the peer any more.
      if error != nil { self.finish() } else { self.sideEnded() }
    }
  }

  private func sideEnded() {
    open -= 1
    if open == 0 { finish() }
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
