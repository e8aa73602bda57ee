// Requests and answers over a Unix socket, and listening where a configuration says.

// snippet.hide
import Foundation

// snippet.show
import UVLoop

// snippet.server
/// Each request and each answer stands behind its length.
func rpcServer(_ listener: PipeListener) async throws {
  try await listener.serve { _, stream in
    guard stream.peerCredentials != nil else { return }
    for try await request in stream.frames(lengthPrefix: .uint32, limit: 65_536) {
      try await stream.writeFrame(Array(request.reversed()), lengthPrefix: .uint32)
    }
  }
}
// snippet.end

// snippet.client
/// A client that several tasks use at the same time, many requests in flight on one connection: an actor on the loop.
actor RPCClient: LoopActor {
  nonisolated let loop: EventLoop
  private let stream: PipeStream
  private var waiting: [Promise<[UInt8]>] = []

  init(on loop: EventLoop, path: String) async throws {
    self.loop = loop
    stream = try await loop.connect(to: .unix(path))
  }

  func run() async throws {
    for try await answer in stream.frames() where !waiting.isEmpty { waiting.removeFirst().resume(returning: answer) }
  }

  func call(_ bytes: [UInt8]) async throws -> [UInt8] {
    let answer = try Promise<[UInt8]>()
    waiting.append(answer)
    try await stream.writeFrame(bytes)
    return try await answer.value()
  }

  nonisolated func close() { stream.close() }
}
// snippet.end

// snippet.text
/// Listens where a configuration says: `tcp://localhost:7000`, `unix:/run/greet.sock`.
func configured(_ loop: EventLoop, _ text: String) async throws -> Listener<ByteStream> {
  try await loop.listen(on: .text(text))
}

func greet(_ listener: Listener<ByteStream>) async throws {
  try await listener.serve { _, stream in
    if let tcp = stream as? TCPStream { try tcp.setNoDelay(true) }
    try await stream.write("hi\n")
  }
}
// snippet.end

// snippet.borrowed
/// Counts bytes that are only borrowed, and fills room that is only lent.
func countBytes(of stream: TCPStream) async throws -> Int {
  var sum = 0
  while let part = try await stream.read({ bytes in bytes.byteCount }) { sum += part }
  try await stream.write(capacity: 64) { output in output.append(UInt8(truncatingIfNeeded: sum)) }
  return sum
}
// snippet.end

let path = "/tmp/rpc-\(getpid()).sock"
try await withEventLoop { loop in
  let listener = try await loop.listen(on: .unix(path))
  async let server: Void = rpcServer(listener)
  let client = try await RPCClient(on: loop, path: path)
  async let answers: Void = client.run()
  async let one = client.call(Array("desserts".utf8))
  async let two = client.call(Array("drawer".utf8))
  print(try await [one, two].map { String(decoding: $0, as: UTF8.self) })  // ["stressed", "reward"]
  client.close()
  try await answers
  listener.close()
  try await server
}

try await withEventLoop { loop in
  for text in ["tcp://localhost:0", "unix:\(path)"] {
    let listener = try await configured(loop, text)
    async let server: Void = greet(listener)
    let stream = try await loop.connect(to: .text(text.hasPrefix("unix") ? text : "tcp://\(listener.address)"))
    print(try await stream.readLine() ?? "")  // hi
    stream.close()
    listener.close()
    try await server
  }

  let listener = try await loop.listen(on: .loopback(port: 0))
  async let server: Void = listener.serve { _, stream in print(try await countBytes(of: stream), "bytes") }
  let stream = try await loop.connect(to: .address(listener.address))
  try await stream.write("seventeen, indeed")
  try await stream.finishWriting()
  print(try await stream.readAll(limit: 64))  // [17]
  stream.close()
  listener.close()
  try await server
}
