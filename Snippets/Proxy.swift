// A proxy, and the same by hand: two directions at the same time, each with an end of its own.

import UVLoop

// snippet.proxy
/// Passes each connection on to `target`, half-closes included.
func proxy(_ listener: TCPListener, to target: TCPEndpoint) async throws {
  try await listener.serve { loop, client in
    let server = try await loop.connect(to: target, timeout: .seconds(5))
    defer { server.close() }
    try await client.relay(with: server)
  }
}
// snippet.end

// snippet.group
/// The same by hand, in a task group.
func relayByHand(_ client: TCPStream, _ server: TCPStream) async throws {
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask {
      for try await bytes in client { try await server.write(bytes) }
      try await server.finishWriting()
    }
    group.addTask {
      for try await bytes in server { try await client.write(bytes) }
      try await client.finishWriting()
    }
    try await group.waitForAll()
  }
}
// snippet.end

// snippet.async-let
/// With `async let`.
func relayWithAsyncLet(_ a: TCPStream, _ b: TCPStream) async throws -> (Int64, Int64) {
  async let up = a.copy(to: b)
  async let down = b.copy(to: a)
  return try await (up, down)
}
// snippet.end

// snippet.progress
/// On the loop, with a timer of the loop's that one half uses too.
func relayWithProgress(_ loop: EventLoop, _ a: TCPStream, _ b: TCPStream) async throws -> (Int64, Int64) {
  try await loop.run { loop in
    let beat = try TimerHandle()
    try beat.start(after: .seconds(1), repeating: .seconds(1)) { print(a.bytesRead, b.bytesRead) }
    return try await loop.concurrently({ try await a.copy(to: b) }) {
      defer { beat.close() }
      return try await b.copy(to: a)
    }
  }
}
// snippet.end

/// Runs `relay` between a client that says a line and a server that sends it back.
func show(_ loop: EventLoop, _ relay: @Sendable @escaping (TCPStream, TCPStream) async throws -> Void) async throws {
  let target = try await loop.listen(on: .loopback(port: 0))
  let front = try await loop.listen(on: .loopback(port: 0))
  async let echo: Void = target.serve { _, stream in try await stream.copy(to: stream) }
  let endpoint = try TCPEndpoint.address(target.address)
  async let between: Void = front.serve { loop, client in
    let server = try await loop.connect(to: endpoint)
    defer { server.close() }
    try await relay(client, server)
  }

  let client = try await loop.connect(to: .address(front.address))
  try await client.write("by way of a proxy\n")
  try await client.finishWriting()
  print(String(decoding: try await client.readAll(limit: 1_024), as: UTF8.self), terminator: "")
  client.close()
  front.close()
  target.close()
  try await between
  try await echo
}

try await withEventLoop { loop in
  try await show(loop) { try await $0.relay(with: $1) }
  try await show(loop) { try await relayByHand($0, $1) }
  try await show(loop) { _ = try await relayWithAsyncLet($0, $1) }
  try await show(loop) { a, b in _ = try await relayWithProgress(loop, a, b) }

  let target = try await loop.listen(on: .loopback(port: 0))
  let front = try await loop.listen(on: .loopback(port: 0))
  async let echo: Void = target.serve { _, stream in try await stream.copy(to: stream) }
  async let between: Void = proxy(front, to: .address(target.address))
  let client = try await loop.connect(to: .address(front.address))
  try await client.write("once more\n")
  print(try await client.readLine() ?? "")
  client.close()
  front.close()
  target.close()
  try await between
  try await echo
}
