import Synchronization

// Where a loop is in its life.

extension LoopCore {
  enum Life: UInt8 {
    case running
    case stopping
    case stopped

    var state: EventLoop.State {
      switch self {
      case .running: .running
      case .stopping: .stopping
      case .stopped: .stopped
      }
    }
  }

  var life: Life { Life(rawValue: lifeState.load(ordering: .acquiring)) ?? .stopped }

  func endLife() { lifeState.store(Life.stopped.rawValue, ordering: .releasing) }

  /// Never from stopped back to stopping: two threads may ask at once.
  func beginStopping() {
    _ = lifeState.compareExchange(
      expected: Life.running.rawValue, desired: Life.stopping.rawValue, ordering: .acquiringAndReleasing)
  }
}
