extension EventLoop {
  /// The signals that the process gets, one after the other.
  ///
  /// ```swift
  /// for try await signal in try loop.signals(.interrupt) {
  ///   print("ending because of \(signal)")
  ///   break
  /// }
  /// ```
  ///
  /// Watching begins when the `for` does, at once on the loop and within one pass of the loop elsewhere, and ends with
  /// the iterator: then the signals do what they did before. A signal that comes while the body of the `for` is busy is
  /// kept, once for each number, as the kernel does. Each iterator sees all signals.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for none at all, or for one that `SignalHandle` refuses.
  ///
  /// > Isolation: Call it from anywhere and iterate anywhere; on the loop no signal causes a hop.
  ///
  /// > Cancellation: Ends the sequence. At shutdown `next` throws ``UVError/Code/loopClosed``.
  public nonisolated func signals(_ signals: Signal...) throws(UVError) -> Signals {
    if signals.isEmpty {
      throw UVError(
        .invalidArgument, call: "EventLoop.signals", "Name at least one signal, as in signals(.interrupt).")
    }
    for signal in signals { try signal.requireWatchable("EventLoop.signals") }
    return Signals(loop: core, signals: signals.reduce(into: []) { if !$0.contains($1) { $0.append($1) } })
  }
}

/// An endless sequence of the signals that the process gets, as ``EventLoop/signals(_:)`` makes it.
///
/// It may be iterated more than once, also at the same time: each iterator watches for itself and sees all signals.
/// Copies of one iterator share what comes: of several that wait each signal goes to one, in the order in which they
/// began to.
///
/// > Ownership: It does not keep the `EventLoop`. Each iterator keeps its watchers, and ends them when it goes.
public struct Signals: AsyncSequence, Sendable {
  /// A signal.
  public typealias Element = Signal

  fileprivate let loop: LoopCore
  fileprivate let signals: [Signal]

  /// Begins to watch: at once on the loop, within one pass of the loop elsewhere.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(subscription: Subscription(loop, signals))
  }

  /// Ends watching when it goes away.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let subscription: Subscription

    /// The next signal, or nil when the task is cancelled.
    ///
    /// - Throws: ``UVError/Code/loopClosed`` when the loop has shut down.
    public mutating func next() async throws -> Signal? { try await next(isolation: nil) }

    /// The next signal, or nil when the task is cancelled.
    ///
    /// - Throws: ``UVError/Code/loopClosed`` when the loop has shut down.
    public mutating func next(isolation: isolated (any Actor)?) async throws -> Signal? {
      try await subscription.next(isolation: isolation)
    }
  }
}

extension Signals {
  /// The watchers of one iteration.
  // Holds because all that it has is constant, and what that leads to belongs to the loop's thread.
  fileprivate final class Subscription: @unchecked Sendable {
    private let loop: LoopCore
    private let watch: Watch

    // MARK: On the loop

    /// What the watchers' callbacks keep, so that they do not keep the subscription. The waits' number is the signal's.
    private final class Watch: WaitOwner, @unchecked Sendable {  // Holds because the loop's thread alone uses it.
      var watchers: [SignalWatcher] = []
      var pending: [Signal] = []
      /// Those who wait at copies of the iterator.
      var waiters = Waiters()
      var error: UVError?

      func come(_ signal: Signal) {
        while let wait = waiters.popFirst() {
          if wait.resume(returning: Int64(signal.rawValue)) { return }
        }
        if !pending.contains(signal) { pending.append(signal) }
      }

      func begin(_ wait: LoopWait) {
        if let error {
          wait.resume(throwing: error)
        } else if let signal = pending.first {
          if wait.resume(returning: Int64(signal.rawValue)) { pending.removeFirst() }
        } else {
          waiters.append(wait)
          wait.loop.waits.add(wait)
        }
      }

      func withdraw(_ wait: LoopWait) { waiters.remove(wait) }
    }

    // MARK: On any thread

    init(_ loop: LoopCore, _ signals: [Signal]) {
      self.loop = loop
      let watch = Watch()
      self.watch = watch
      loop.onLoop {
        do throws(UVError) {
          for signal in signals {
            let watcher = try SignalWatcher(signal, on: loop)
            watch.watchers.append(watcher)
            try watcher.start(once: false) { watch.come(signal) }
          }
        } catch {
          watch.error = error
        }
      }
    }

    deinit {
      let watch = watch
      loop.onLoop { for watcher in watch.watchers { watcher.close(by: .owner) } }
    }

    func next(isolation: isolated (any Actor)?) async throws -> Signal? {
      let wait = LoopWait(.signal, on: loop, owner: watch)
      do {
        return Signal(rawValue: Int32(try await wait.value("Signals.next")))
      } catch is CancellationError {
        return nil
      }
    }
  }
}
