import CPeers
import Glibc
import UVLoop

/// A write for each line, as a program writes it first.
func serveLines(_ listener: TCPListener) async throws {
  try await listener.serve { _, stream in
    for try await line in stream.lines() { try await stream.write(line + "\n") }
  }
}

/// The same without strings.
func serveLinesAsArrays(_ listener: TCPListener) async throws {
  let newline = UInt8(ascii: "\n")
  try await listener.serve { _, stream in
    while var line = try await stream.read(until: [newline]) {
      line.append(newline)
      try await stream.write(line)
    }
  }
}

/// Sends back what comes, after work of some 0.4 ms that needs nothing but a CPU.
func answerAfterComputing(_ loop: isolated EventLoop, _ stream: TCPStream) async throws {
  var state: UInt64 = 1
  while var bytes = try await stream.read() {
    for _ in 0..<200_000 { _ = peer_random(&state) }
    // The generator's state is never 0; the compiler does not know, and keeps the work.
    if state == 0 { bytes = [] }
    try await stream.write(bytes)
  }
}

func proxy(_ listener: TCPListener, to target: TCPEndpoint) async throws {
  try await listener.serve { loop, client in
    let server = try await loop.connect(to: target)
    defer { server.close() }
    _ = try await client.relay(with: server)
  }
}

/// Sends a MiB, in pieces that are made when the one before is out.
func serveSlowly(_ listener: TCPListener) async throws {
  try await listener.serve { _, stream in
    for piece in 0..<16 {
      try await stream.write(
        [UInt8](unsafeUninitializedCapacity: 65_536) { bytes, count in
          for i in 0..<65_536 { bytes[i] = UInt8(truncatingIfNeeded: i ^ i >> 8 ^ piece) }
          count = 65_536
        })
    }
  }
}

/// Prints how late a timer of 10 ms is, in us, each time.
func startTicks(_ loop: isolated EventLoop) throws {
  let due = peer_now() + 10_000_000
  _ = try loop.schedule(after: .milliseconds(10)) {
    let now = peer_now()
    print(now > due ? (now - due) / 1_000 : 0)
    fflush(nil)
    try? startTicks(loop)
  }
}
