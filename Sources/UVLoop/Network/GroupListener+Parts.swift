/// What a group's listener does with its parts alone. On any thread.
extension GroupListener {
  var totals: ListenerStatistics {
    let parts = parts.map(\.totals)
    return ListenerStatistics(
      accepted: parts.reduce(0) { $0 + $1.accepted }, open: parts.reduce(0) { $0 + $1.open },
      failed: parts.reduce(0) { $0 + $1.failed }, backOffs: parts.reduce(0) { $0 + $1.backOffs })
  }

  var owner: String { "\(parts.count) loops" }

  func requireOwnProcess() { for part in parts { part.loop.requireOwnProcess() } }

  func closedError(_ call: String) -> UVError {
    UVError(
      .handleClosed, call: call,
      "This listener on \(address) has been closed. Listen again with `group.listen(on:)`.")
  }

  /// The process has no descriptor left. One that a stream of another loop gives back is as good.
  func waitForDescriptor(_ engine: ListenerEngine) {
    for part in parts where !part.loop.isCurrent {
      // After its end a loop has no streams that could close.
      part.loop.enqueue { if part.loop.isCurrent { part.loop.network.waitForDescriptor(engine) } }
    }
  }

  /// By a message, where that is another loop's.
  func serve(_ stream: ByteStream, at part: ListenerCore) {
    if part.loop.onLoop({ part.take(stream, of: self) }) { return }
    stream.close()
    settled()
  }

  /// What the parts have ended with.
  func serveAll(
    _ closeTimeout: Duration, _ onFailure: (@Sendable (SocketAddress?, any Error) -> Void)?,
    _ body: @Sendable @escaping (isolated EventLoop, ByteStream) async throws -> Void
  ) async -> [any Error] {
    await withTaskGroup(of: (any Error)?.self) { tasks in
      for part in parts {
        tasks.addTask(executorPreference: part.loop.owner?.taskExecutor) {
          do {
            try await part.serve(.max, closeTimeout, onFailure, body)
            return nil
          } catch {
            return error
          }
        }
      }
      return await tasks.reduce(into: [any Error]()) { if let error = $1 { $0.append(error) } }
    }
  }

  func drained(within limit: Duration) async {
    await withTaskGroup { tasks in
      for part in parts { tasks.addTask { await part.drained(within: limit) } }
    }
  }
}
