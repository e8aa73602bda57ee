extension WorkerPool {
  /// What somebody wants of a pool.
  struct Options {
    let name: String
    let threads: Int
    let queueLimit: Int
    let stackSize: Int?
    let onThreadStart: (@Sendable () throws -> Void)?
    let onThreadEnd: (@Sendable () -> Void)?
  }

  // MARK: On any thread

  var isOwnProcess: Bool { generation == ProcessGeneration.current }

  /// Traps in the child of a fork, where the threads do not exist.
  func requireOwnProcess() {
    if !isOwnProcess {
      fatalError(
        """
        UVLoop: pool "\(options.name)" belongs to the parent of this process. After a fork its threads do not exist \
        here. Make a new OffloadPool in the child, or exec.
        """)
    }
  }
}
