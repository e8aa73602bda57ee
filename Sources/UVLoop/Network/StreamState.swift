/// Why one side of a stream moves no more bytes.
enum StreamEnd {
  /// The peer has ended it.
  case end
  /// Something has failed below.
  case failed(UVError)
  /// A graceful close has dropped bytes, and what comes behind them would be taken for them.
  case dropped
  /// The stream was closed here, or by its loop. What it throws is made for whoever asks.
  case closed(UVError.Code)
}

/// What one side of a stream may do without a wait while the loop does not go round.
///
/// A task that never has to wait would keep all others from the loop.
struct StreamBudget {
  private static let operations = 128
  private static let bytes = 1 << 20

  private var iteration: Int
  private var operations = 0
  private var bytes = 0

  init(iteration: Int = -1) { self.iteration = iteration }

  /// With one more operation, of so many bytes.
  @inline(__always)
  func after(_ bytes: Int, in iteration: Int) -> StreamBudget {
    var next = self
    if iteration != self.iteration { next = StreamBudget(iteration: iteration) }
    next.operations += 1
    next.bytes += bytes
    return next
  }

  /// Whether the last operation has to wait until the loop has gone round. The first one never has to, however large.
  var isUsedUp: Bool { operations > StreamBudget.operations || (bytes > StreamBudget.bytes && operations > 1) }
}

extension UVError {
  /// The same, of another call.
  func named(_ call: String) -> UVError { UVError(code, call: call, message) }
}
