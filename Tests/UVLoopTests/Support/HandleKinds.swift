import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The kinds of handles, for laws that hold for all of them.
enum HandleKind: String, CaseIterable, CustomTestStringConvertible, Sendable {
  case timer, async, poll, signal, prepare, check, idle

  var testDescription: String { rawValue }

  /// The public type's name, by which its callbacks are reported.
  var typeName: String { "\(rawValue.prefix(1).uppercased())\(rawValue.dropFirst())Handle" }

  /// The kinds that call back only once they have been started.
  static let startable = allCases.filter { $0 != .async }
}

/// One handle of any kind, and what differs between kinds: how it is started and made to call. Lives on its loop.
final class AnyHandle {
  /// Held by the handle alone once that has been started, so that what it holds can be seen.
  private final class Callback {
    let call: () -> Void
    init(_ call: @escaping () -> Void) { self.call = call }
  }

  private let handle: LoopHandle
  private let pair: SocketPair?
  private var unused: Callback?
  private weak var callback: Callback?

  /// An open handle that calls `callback` when it is started and provoked; an `AsyncHandle` needs no start.
  init(
    _ kind: HandleKind, on pair: SocketPair? = nil, signal: Signal? = nil,
    isolation: isolated any LoopActor = #isolation,
    _ callback: @escaping () -> Void
  ) throws(UVError) {
    let callback = Callback(callback)
    self.callback = callback
    unused = kind == .async ? nil : callback
    let pair = kind == .poll ? pair ?? SocketPair() : nil
    self.pair = pair
    switch kind {
    case .timer: handle = try TimerHandle()
    case .async: handle = try AsyncHandle { callback.call() }
    case .poll: handle = try PollHandle(descriptor: pair?.watched ?? -1)
    case .signal: handle = try SignalHandle(signal ?? SpareSignals.next())
    case .prepare: handle = try PrepareHandle()
    case .check: handle = try CheckHandle()
    case .idle: handle = try IdleHandle()
    }
  }

  /// From now on the callback may come: an hour from now, in the next iteration, or as soon as it is provoked. A second
  /// start needs another one, since the first is not kept.
  func start(calling another: (() -> Void)? = nil) throws(UVError) {
    if let another {
      unused = Callback(another)
      callback = unused
    }
    guard let callback else { fatalError("start(), stop() and start() again is more than this can") }
    switch handle {
    case let timer as TimerHandle: try timer.start(after: .seconds(3_600)) { callback.call() }
    case let poll as PollHandle:
      let pair = pair
      try poll.start(for: .readable) { _ in
        pair?.drain()
        callback.call()
      }
    case let signal as SignalHandle: try signal.start { callback.call() }
    case let prepare as PrepareHandle: try prepare.start(AnyHandle.once(callback))
    case let check as CheckHandle: try check.start(AnyHandle.once(callback))
    case let idle as IdleHandle: try idle.start(AnyHandle.once(callback))
    default: break
    }
    unused = nil
  }

  /// They are called in each iteration, and the laws speak of one call.
  private static func once(_ callback: Callback) -> () -> Void {
    var hasCalled = false
    return {
      if hasCalled { return }
      hasCalled = true
      callback.call()
    }
  }

  /// Makes the callback of a started handle due: it comes in the next iteration.
  func provoke() throws(UVError) {
    switch handle {
    case let timer as TimerHandle:
      guard let callback else { fatalError("provoke() is for a started handle") }
      try timer.start(after: .microseconds(1)) { callback.call() }
      // It is due when the iteration begins, as the others are.
      spin(for: .milliseconds(2))
    case let async as AsyncHandle: async.sender.send()
    case is PollHandle: pair?.feed()
    case let signal as SignalHandle: pthread_kill(pthread_self(), signal.signal.rawValue)
    // After a poll means after one that ends.
    case is CheckHandle: EventLoop.current?.probe.endNextPoll()
    default: break
    }
  }

  func stop() {
    switch handle {
    case let timer as TimerHandle: timer.stop()
    case let poll as PollHandle: poll.stop()
    case let signal as SignalHandle: signal.stop()
    case let prepare as PrepareHandle: prepare.stop()
    case let check as CheckHandle: check.stop()
    case let idle as IdleHandle: idle.stop()
    default: break
    }
  }

  func close() { handle.close() }

  func closed(isolation: isolated (any Actor)? = #isolation) async -> Bool { await handle.closed() }

  var isClosed: Bool { handle.isClosed }

  var isActive: Bool { handle.isActive }

  var description: String { handle.description }
}

/// Signals that nobody else in the process uses. They are sent to one thread only, but all loops that watch one see it:
/// a test that needs many handles and sends nothing takes another signal.
enum SpareSignals {
  private static let last = Counter()

  static func next() -> Signal {
    #if os(Linux)
      Signal(rawValue: 36 + Int32(last.add() % 28))
    #else
      Signal(rawValue: SIGURG)
    #endif
  }
}

/// A strong reference that can be dropped, on purpose and at a known moment.
final class Cell<Value> {
  var value: Value?

  init(_ value: Value? = nil) { self.value = value }
}
