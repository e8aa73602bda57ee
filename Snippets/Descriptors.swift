// Descriptors that are handed around: to another process, from the one that started this, to another loop.

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

// snippet.move
/// Hands a connection to another loop; what the stream had read ahead goes with it.
func move(_ stream: TCPStream, from loop: EventLoop, to other: EventLoop) async throws -> TCPStream {
  let ahead = try await loop.run { _ in try stream.takeBuffered() }
  let number = try await stream.detach().release()
  return try await other.run { _ in
    let moved = try TCPStream(adopting: OwnedDescriptor(owning: number))
    try moved.unread(ahead)
    return moved
  }
}
// snippet.end

// snippet.reopen
/// Another listener on the same socket: who connects meanwhile waits in its queue.
func reopen(_ listener: TCPListener, on loop: EventLoop, options: TCPListener.Options) async throws -> TCPListener {
  let number = try await listener.detach().release()
  return try await loop.run { _ in try TCPListener(adopting: OwnedDescriptor(owning: number), options: options) }
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
