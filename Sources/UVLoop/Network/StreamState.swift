/// Why one side of a stream moves no more bytes.
enum StreamEnd {
  /// The peer has ended it.
  case end
  /// Something has failed below.
  case failed(UVError)
  /// The stream was closed here.
  case closed(UVError)
}

/// What one side of a stream may do without a wait while the loop does not go round.
///
/// A task that never has to wait would keep all others from the loop.
struct StreamBudget {
  private static let operations = 128
  private static let bytes = 1 << 20

  private var iteration = -1
  private var operations = 0
  private var bytes = 0

  /// Counts one operation of so many bytes; false if it has to wait until the loop has gone round.
  mutating func allows(_ bytes: Int, in iteration: Int) -> Bool {
    if iteration != self.iteration {
      self.iteration = iteration
      operations = 0
      self.bytes = 0
    }
    operations += 1
    self.bytes += bytes
    return operations <= StreamBudget.operations && self.bytes <= StreamBudget.bytes
  }
}

extension UVError {
  /// The same, of another call.
  func named(_ call: String) -> UVError { UVError(code, call: call, message) }
}
