// Descriptors that are handed around: from the process that started this one, and to another.

import UVLoop

// snippet.activated
/// A socket that systemd has opened, by its name there.
func activated(_ loop: EventLoop, _ name: String) async throws -> Listener<ByteStream> {
  try await loop.listen(on: .activatedSocket(name))
}
// snippet.end

// snippet.pass
/// Hands a connection to another process.
func pass(_ connection: TCPStream, over pipe: PipeStream) async throws {
  try await pipe.send(connection, with: [1])
  connection.close()
}
// snippet.end

// snippet.receive
/// What that does with them.
func work(over pipe: PipeStream) async throws {
  while let connection = try await pipe.receiveStream() {
    let purpose = try await pipe.read(exactly: 1)
    try await connection.write("purpose \(purpose[0])\n")
    await connection.closeGracefully(within: .seconds(2))
  }
}
// snippet.end

try await withEventLoop { loop in
  var options = ByteStream.Options()
  options.passesStreams = true
  let (near, far) = try await loop.makePipe(options: options)
  let listener = try await loop.listen(on: .loopback(port: 0))
  let client = try await loop.connect(to: .address(listener.address))
  try await pass(try await listener.accept(), over: near)
  try await near.finishWriting()
  try await work(over: far)
  print(try await client.readLine() ?? "nothing")
}
