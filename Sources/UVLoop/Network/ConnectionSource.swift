/// What is behind a ``Listener``: one loop, or those of a group.
///
/// Any thread may use it, where nothing else is said.
protocol ConnectionSource: AnyObject, Sendable {
  var address: SocketAddress { get }
  /// What has been counted so far.
  var totals: ListenerStatistics { get }
  var isClosed: Bool { get }
  /// Whose it is, for a description: `loop "main"`.
  var owner: String { get }
  /// Whether anybody waits for a connection. On the loop, where there is one.
  var isAwaited: Bool { get }

  func accept() async throws -> ByteStream

  func serve(
    _ limit: Int, _ closeTimeout: Duration, _ onFailure: (@Sendable (SocketAddress?, any Error) -> Void)?,
    _ body: @Sendable @escaping (isolated EventLoop, ByteStream) async throws -> Void
  ) async throws

  /// Traps in the child of a fork.
  func requireOwnProcess()

  func close()

  /// Waits for what `serve` has open, and cancels that after `limit`.
  func drained(within limit: Duration) async

  /// The socket, which goes on listening.
  func detach() async throws -> OwnedDescriptor

  /// The socket's number, lent on its loop.
  func descriptor(_ call: String) throws(UVError) -> Int32
}
