extension Growth {
  /// Connections that all ask, one question after the other.
  static let connections = Growth(
    "connections", "CPU time of the server to answer 64 bytes", over: "connections that ask", upToThousands,
    size: 1_500,
    quickSize: 300, only: ".cpu"
  ) { number in
    servers.map { Peer($0, .server(Server($0), Load("echo", connections: number, bytes: 64))) }
  }

  /// Connections that keep still.
  static let idleConnections = Growth(
    "idle", "memory of a connection that keeps still, with its task", over: "connections",
    Array(upToThousands.dropFirst(2)),
    size: 300, quickSize: 100, only: ""
  ) { number in
    servers.map { Peer($0, .server(Server($0), Load("idle", connections: number, bytes: 64))) }
  }

  /// Both ends of a connection take a descriptor each, of which many machines let a process have 10,000 or 20,000.
  private static let upToThousands = [1, 10, 100, 1_000, 9_900]
  private static let servers = ["c-uv-try", "uvloop-swift", "uvloop-swift-callback", "nio", "nio-async"]
}
