// Servers that send back what comes: a whole one, and handlers that differ in what they read and when they end.

// snippet.hide
import Foundation

// snippet.show
import UVLoop

// snippet.server
/// Every connection gets back what it sends.
func echoServer(
  on endpoint: TCPEndpoint, ready: @Sendable (SocketAddress) -> Void = { print("listening on", $0) }
) async throws {
  try await withEventLoop { loop in
    let listener = try await loop.listen(on: endpoint)
    ready(listener.address)
    try await listener.serve { _, stream in
      for try await bytes in stream { try await stream.write(bytes) }
    }
  }
}
// snippet.end

// snippet.lean
/// Without an allocation for each read.
func leanEcho(_ listener: TCPListener) async throws {
  try await listener.serve { _, stream in
    var buffer: [UInt8] = []
    while try await stream.read(into: &buffer) > 0 {
      try await stream.write(buffer)
      buffer.removeAll(keepingCapacity: true)
    }
  }
}
// snippet.end

// snippet.lines
/// Line by line, in a function that need not know the loop.
func echoLines(_ stream: TCPStream) async throws {
  for try await line in stream.lines(limit: 1_024) { try await stream.write(line + "\n") }
}
// snippet.end

// snippet.signal
/// Until a signal comes. Connections that are open then have ten seconds.
func echoUntilSignal(_ loop: EventLoop, _ listener: TCPListener) async throws {
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await listener.serve { _, stream in try await echoLines(stream) } }
    group.addTask {
      for try await _ in try loop.signals(.interrupt, .terminate) { break }
      await listener.drain(within: .seconds(10))
    }
    try await group.waitForAll()
  }
}
// snippet.end

// snippet.heartbeat
/// With a timer in the handler: the body is isolated to the loop, so it may have one.
func echoWithHeartbeat(_ listener: TCPListener, every period: Duration) async throws {
  try await listener.serve { loop, stream in
    let beat = try TimerHandle()
    defer { beat.close() }
    try beat.start(after: period, repeating: period) { _ = try? stream.enqueue(Array("tick\n".utf8)) }
    try await echoLines(stream)
  }
}
// snippet.end

/// What a client sees of it.
func ask(_ address: SocketAddress, on loop: EventLoop) async throws {
  let stream = try await loop.connect(to: .address(address), timeout: .seconds(5))
  try await stream.write("hello\n")
  try await stream.finishWriting()
  print(address, "says", try await stream.readLine() ?? "nothing")
  stream.close()
}

let (addresses, found) = AsyncStream.makeStream(of: SocketAddress.self)
let whole = Task { try await echoServer(on: .loopback(port: 0)) { found.yield($0) } }
for await address in addresses {
  try await withEventLoop { loop in try await ask(address, on: loop) }
  break
}
whole.cancel()
_ = await whole.result

try await withEventLoop { loop in
  let servers: [@Sendable (TCPListener) async throws -> Void] = [
    leanEcho, { try await echoWithHeartbeat($0, every: .milliseconds(20)) },
  ]
  for serve in servers {
    let listener = try await loop.listen(on: .loopback(port: 0))
    async let server: Void = serve(listener)
    try await ask(listener.address, on: loop)
    listener.close()
    try await server
  }

  let listener = try await loop.listen(on: .loopback(port: 0))
  async let server: Void = echoUntilSignal(loop, listener)
  try await ask(listener.address, on: loop)
  kill(getpid(), SIGTERM)
  try await server
}
