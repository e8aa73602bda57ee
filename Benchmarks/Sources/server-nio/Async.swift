import NIOCore
import NIOPosix

/// `nio-async`: a task for each connection, on Swift's own executor, as SwiftNIO's examples have it.
enum Async {
  typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

  static func serve(
    on path: String?, sendRoom: Int? = nil, halfClosing: Bool = false,
    _ body: @escaping @Sendable (Connection) async throws -> Void
  ) async throws {
    let configuration = Connection.Configuration(isOutboundHalfClosureEnabled: halfClosing)
    let bootstrap = Server.bootstrap(sendRoom: sendRoom)
    let wrap: @Sendable (any Channel) -> EventLoopFuture<Connection> = { channel in
      channel.eventLoop.makeCompletedFuture {
        try Connection(wrappingChannelSynchronously: channel, configuration: configuration)
      }
    }
    let listener =
      if let path {
        try await bootstrap.bind(unixDomainSocketPath: path, childChannelInitializer: wrap)
      } else {
        try await bootstrap.bind(host: "127.0.0.1", port: 0, childChannelInitializer: wrap)
      }
    Server.announce(listener.channel)
    try await withThrowingDiscardingTaskGroup { group in
      try await listener.executeThenClose { connections in
        // A connection that was reset ends alone.
        for try await connection in connections { group.addTask { try? await body(connection) } }
      }
    }
  }

  @Sendable
  static func echo(_ connection: Connection) async throws {
    try await connection.executeThenClose { inbound, outbound in
      for try await bytes in inbound { try await outbound.write(bytes) }
    }
  }

  @Sendable
  static func sendSlowly(_ connection: Connection) async throws {
    try await connection.executeThenClose { inbound, outbound in
      for piece in 0..<Pieces.count {
        try await outbound.write(Pieces.make(piece, with: connection.channel.allocator))
      }
      // A close would drop what is queued.
      outbound.finish()
      for try await _ in inbound {}
    }
  }
}
