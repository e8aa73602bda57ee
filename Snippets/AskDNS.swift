// Datagrams: a question that is asked again when no answer comes, and a multicast group.

import UVLoop

// snippet.query
/// One question over UDP, asked again after a second.
func query(_ name: String, of server: SocketAddress) async throws -> [UInt8] {
  try await withEventLoop { loop in
    let socket = try await loop.bindUDP()
    try await socket.connect(to: server)
    var question: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    for label in name.split(separator: ".") { question += [UInt8(label.utf8.count)] + Array(label.utf8) }
    question += [0, 0, 1, 0, 1]
    for _ in 0..<3 {
      try await socket.send(question)
      do {
        return try await loop.withTimeout(.seconds(1)) {
          for try await answer in socket where answer.bytes.starts(with: question[..<2]) { return answer.bytes }
          return []
        }
      } catch let error as UVError where error.code == .timedOut {}
    }
    throw NoAnswer()
  }
}
struct NoAnswer: Error {}
// snippet.end

// snippet.group
/// The first so many who send to a multicast group.
func senders(to group: SocketAddress, count: Int, on loop: EventLoop) async throws -> [SocketAddress] {
  try await loop.run { loop in
    let socket = try await loop.bindUDP(to: .any(port: group.port ?? 0))
    defer { socket.close() }
    try socket.joinGroup(group)
    var senders: [SocketAddress] = []
    for try await datagram in socket {
      senders.append(datagram.peerAddress)
      if senders.count == count { break }
    }
    return senders
  }
}
// snippet.end

try await withEventLoop { loop in
  // A server that knows one answer, and misses the first question.
  let server = try await loop.bindUDP(to: .loopback(port: 0))
  let answering = loop.task { _ in
    _ = try await server.receive()
    let question = try await server.receive()
    try await server.send(question.bytes + [127, 0, 0, 1], to: question.peerAddress)
  }
  print(try await query("example.org", of: server.localAddress).suffix(4))  // [127, 0, 0, 1]
  try await answering.value
  server.close()
}
