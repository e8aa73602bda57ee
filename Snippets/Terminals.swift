// The standard streams, and terminals.

import UVLoop

// snippet.netcat
/// What `nc` does: standard input goes to the peer, and what it answers to standard output.
func netcat(_ loop: EventLoop, _ target: TCPEndpoint) async throws {
  let peer = try await loop.connect(to: target)
  _ = try await loop.concurrently({ try await loop.standardInput.copy(to: peer) }) {
    try await peer.copy(to: loop.standardOutput)
  }
  peer.close()
}
// snippet.end

// snippet.ask
/// Asks a question, and waits for one key. Nothing of it is echoed.
func key(_ question: String, on loop: isolated EventLoop) async throws -> UInt8? {
  let terminal = try await loop.openTerminal(try OwnedDescriptor(duplicating: 0))
  defer { terminal.close() }  // and the mode is what it was before
  try terminal.setMode(.raw)
  try await terminal.write(question)
  return try await terminal.read(upTo: 1)?.first
}
// snippet.end

// snippet.size
/// Draws anew whenever the window's size has changed.
func draw(on terminal: TTYStream, _ loop: EventLoop) async throws {
  try await terminal.write(picture(terminal.size ?? TerminalSize()))
  for try await _ in try loop.signals(.windowChange) {
    try await terminal.write(picture(terminal.size ?? TerminalSize()))
  }
}

func picture(_ size: TerminalSize) -> String { String(repeating: "-", count: size.columns) + "\n" }
// snippet.end
