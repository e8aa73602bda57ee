import FlyingSocks
import Foundation

/// The echo of FlyingSocks, the sockets beneath FlyingFox, as `tcpload` calls it:
/// `server-flyingsocks flyingsocks echo`.
@main
struct Server {
  /// What the load takes for: not this work.
  private static let declined: Int32 = 3

  static func main() async throws {
    if CommandLine.arguments.dropFirst() != ["flyingsocks", "echo"] { exit(declined) }
    signal(SIGPIPE, SIG_IGN)
    let pool = SocketPool.make()
    try await pool.prepare()
    let socket = try Socket(domain: AF_INET, type: .stream)
    try socket.bind(to: .inet(ip4: "127.0.0.1", port: 0))
    try socket.listen()
    guard case .ip4(_, let port) = try socket.sockname() else { exit(71) }
    let listener = try AsyncSocket(socket: socket, pool: pool)
    print(port)
    fflush(nil)
    try await withThrowingDiscardingTaskGroup { group in
      group.addTask { try await pool.run() }
      for try await connection in listener.sockets {
        group.addTask {
          // A connection that was reset ends alone.
          try? await echo(connection)
          try? connection.close()
        }
      }
    }
  }

  private static func echo(_ connection: AsyncSocket) async throws {
    try connection.socket.setValue(1, for: Int32SocketOption(level: Int32(IPPROTO_TCP), name: TCP_NODELAY))
    // It gives at most 4 KiB at a time, whatever is asked for.
    while true { try await connection.write(Data(connection.read(atMost: 65_536))) }
  }
}
