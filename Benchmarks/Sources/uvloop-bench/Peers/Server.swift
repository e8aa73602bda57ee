/// Whom a load is made on: a program of this package, or a script.
enum Server: Sendable {
  /// It takes its peer's name, and what it is to do.
  case program(String)
  case script(Script)

  /// Who serves as a peer.
  init(_ peer: String) {
    if let script = Script.named(peer) {
      self = .script(script)
    } else if peer.hasPrefix("uvloop-swift") {
      self = .program("server-uvloop")
    } else if peer.hasPrefix("nio") {
      self = .program("server-nio")
    } else if peer == "flyingsocks" {
      self = .program("server-flyingsocks")
    } else {
      self = .program("server-c")
    }
  }
}

/// What `tcpload` does to a server.
struct Load: Sendable {
  /// As it is called there, where it is also said what the others mean for it.
  let kind: String
  let connections: Int
  let bytes: Int

  init(_ kind: String, connections: Int, bytes: Int) {
    self.kind = kind
    self.connections = connections
    self.bytes = bytes
  }
}
