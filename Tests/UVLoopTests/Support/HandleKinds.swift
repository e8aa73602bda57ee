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
  case timer, async, poll, signal

  var testDescription: String { rawValue }

  /// The kinds that call back only once they have been started.
  static let startable: [HandleKind] = [.timer, .poll, .signal]
}

/// One handle of any kind, reduced to what the laws of their life speak about. Lives on its loop.
final class AnyHandle {
  private enum Real {
    case timer(TimerHandle)
    case async(AsyncHandle)
    case poll(PollHandle, SocketPair)
    case signal(SignalHandle)
  }

  /// Held by the handle alone once that has been started, so that what it holds can be seen.
  private final class Callback {
    let call: () -> Void
    init(_ call: @escaping () -> Void) { self.call = call }
  }

  private let real: Real
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
    switch kind {
    case .timer: real = .timer(try TimerHandle())
    case .async: real = .async(try AsyncHandle { callback.call() })
    case .poll:
      let pair = pair ?? SocketPair()
      real = .poll(try PollHandle(descriptor: pair.watched), pair)
    case .signal: real = .signal(try SignalHandle(signal ?? SpareSignals.next()))
    }
  }

  /// From now on the callback may come: an hour from now, or as soon as it is provoked. At most once.
  func start() throws(UVError) {
    guard let callback else { fatalError("start(), stop() and start() again is more than this can") }
    switch real {
    case .timer(let timer): try timer.start(after: .seconds(3_600)) { callback.call() }
    case .async: break
    case .poll(let poll, let pair):
      try poll.start(for: .readable) { _ in
        pair.drain()
        callback.call()
      }
    case .signal(let signal): try signal.start { callback.call() }
    }
    unused = nil
  }

  /// Makes the callback of a started handle due: it comes in the next turn.
  func provoke() throws(UVError) {
    switch real {
    case .timer(let timer):
      guard let callback else { fatalError("provoke() is for a started handle") }
      try timer.start(after: .microseconds(1)) { callback.call() }
      // It is due when the turn begins, as the others are.
      spin(for: .milliseconds(2))
    case .async(let async): async.sender.send()
    case .poll(_, let pair): pair.feed()
    case .signal(let signal): pthread_kill(pthread_self(), signal.signal.rawValue)
    }
  }

  func stop() {
    switch real {
    case .timer(let timer): timer.stop()
    case .async: break
    case .poll(let poll, _): poll.stop()
    case .signal(let signal): signal.stop()
    }
  }

  func close() {
    switch real {
    case .timer(let timer): timer.close()
    case .async(let async): async.close()
    case .poll(let poll, _): poll.close()
    case .signal(let signal): signal.close()
    }
  }

  var isClosed: Bool {
    switch real {
    case .timer(let timer): timer.isClosed
    case .async(let async): async.isClosed
    case .poll(let poll, _): poll.isClosed
    case .signal(let signal): signal.isClosed
    }
  }

  var isActive: Bool {
    switch real {
    case .timer(let timer): timer.isActive
    case .async(let async): !async.isClosed
    case .poll(let poll, _): poll.isActive
    case .signal(let signal): signal.isActive
    }
  }
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
