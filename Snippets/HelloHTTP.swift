// An HTTP/1.1 server that says hello, on what the framing of a stream offers.

import UVLoop

// snippet.request
struct Request {
  var method = ""
  var path = ""
  var keepsAlive = true
  var length = 0
}

func readRequest(_ stream: TCPStream) async throws -> Request? {
  guard let first = try await stream.readLine(limit: 8_192) else { return nil }
  let words = first.split(separator: " ")
  guard words.count == 3 else { return nil }
  var request = Request(method: String(words[0]), path: String(words[1]))
  while let line = try await stream.readLine(limit: 8_192), !line.isEmpty {
    let lower = line.lowercased()
    if lower == "connection: close" { request.keepsAlive = false }
    if lower.hasPrefix("content-length:") { request.length = Int(lower.dropFirst(15).filter { $0 != " " }) ?? 0 }
  }
  return request
}
// snippet.end

// snippet.serve
func hello(_ listener: TCPListener, onFailure: (@Sendable (SocketAddress?, any Error) -> Void)? = nil) async throws {
  try await listener.serve(onFailure: onFailure) { loop, stream in
    while let request = try await loop.withTimeout(.seconds(30), { try await readRequest(stream) }) {
      if request.length > 0 { _ = try await stream.read(exactly: request.length) }
      let body = Array("Hello, \(request.path)!\n".utf8)
      let head = Array("HTTP/1.1 200 OK\r\ncontent-length: \(body.count)\r\n\r\n".utf8)
      try await stream.write(contentsOf: [head, body])
      if !request.keepsAlive { break }
    }
  }
}
// snippet.end

try await withEventLoop { loop in
  let listener = try await loop.listen(on: .loopback(port: 0))
  async let server: Void = hello(listener) { peer, error in print(peer?.description ?? "nobody yet", error) }

  // Two requests on one connection, sent before the first answer has come.
  let client = try await loop.connect(to: .address(listener.address), timeout: .seconds(5))
  try await client.write("GET /world HTTP/1.1\r\n\r\nGET /again HTTP/1.1\r\nconnection: close\r\n\r\n")
  for try await line in client.lines() { print(line) }
  client.close()
  listener.close()
  try await server
}
