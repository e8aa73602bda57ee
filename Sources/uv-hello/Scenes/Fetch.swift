import ArgumentParser
import Foundation
import UVLoop

/// Sends what comes from standard input, and says what comes back. When the input has ended the peer is told so, as
/// `nc -N` does it, and the answer may come after that.
struct Fetch: Scene {
  static let name = "fetch"
  static let title = "A client, which sends and receives at the same time"
  static let example = "--say hello"

  @Argument(
    help: .init(
      "Where to connect: a host and a port, or unix: and a path. Without it a server of this program's own answers.",
      valueName: "host:port"),
    transform: Target.init)
  var target: Target?
  @Option(help: .init("Send this text, and not what comes from standard input.", valueName: "text")) var say: String?
  @Option(in: "1ms"..."1h", "How long connecting may take") var timeout: Span = "10s"
  @OptionGroup var format: FormatOptions

  func validate() throws {
    if target == nil && say == nil { throw ValidationError("there must be a host:port, or a text to '--say'.") }
  }

  func play(on loop: EventLoop, _ output: Output) throws {
    try loop.runBlocking { loop in
      if let target { return try await talk(to: target.endpoint, loop, output) }
      let listener = try await loop.listen(on: AnyEndpoint(.loopback(port: 0)))
      let server = loop.task(name: "server") { _ in try await answer(listener) }
      try await talk(to: try AnyEndpoint(of: listener), loop, output)
      listener.close()
      try await server.value
    }
  }

  private func talk(to endpoint: AnyEndpoint, _ loop: isolated EventLoop, _ output: Output) async throws {
    let start = loop.clock.now
    let stream = try await loop.connect(to: endpoint, timeout: timeout.duration)
    defer { stream.close() }
    output.fact("connected to", .text("\(stream.peerAddress.map(String.init(describing:)) ?? "\(endpoint)")"))
    output.fact("after", .time(start.duration(to: loop.clock.now)))

    // One task sends and another one receives.
    let sender = loop.task(name: "sender") { loop in try await send(to: stream, on: loop) }
    for try await line in stream.lines(limit: 1 << 20) { output.say(line) }

    // The peer has ended. What it has not taken by now it does not want.
    sender.cancel()
    do {
      try await sender.value
    } catch is CancellationError {
    } catch let error as UVError where [.brokenPipe, .connectionReset].contains(error.code) {}
    output.fact("sent", .text("\(stream.bytesWritten) bytes"))
    output.fact("received", .text("\(stream.bytesRead) bytes"))
  }

  private func send(to stream: ByteStream, on loop: EventLoop) async throws {
    if let say {
      try await stream.write(say + "\n")
    } else {
      while let bytes = try await loop.offload(label: "standard input", { try readStandardInput() }) {
        try await stream.write(bytes)
      }
    }
    try await stream.finishWriting()
  }
}

/// The scene's own server: it hears all of a client before it answers.
private func answer(_ listener: Listener<ByteStream>) async throws {
  try await listener.serve { _, stream in
    let lines = String(decoding: try await stream.readAll(limit: 1 << 20), as: UTF8.self).split(separator: "\n")
    try await stream.write("You have said \(lines.count == 1 ? "one line" : "\(lines.count) lines"), and ended:\n")
    for line in lines { try await stream.write(line + "\n") }
  }
}

/// A place to connect to, as it is typed.
struct Target {
  let endpoint: AnyEndpoint

  init(_ text: String) throws {
    do throws(UVError) {
      endpoint = try .text(text.hasPrefix("unix:") ? text : "tcp://\(text)")
    } catch {
      throw ValidationError("it must be a host and a port, such as localhost:7000, or unix: and a path.")
    }
  }
}

/// Blocks the calling thread until something has come from standard input; nil at its end.
///
/// A call that has begun cannot be taken back, and an input may never end: it looks now and then whether its result is
/// still wanted.
private func readStandardInput() throws -> [UInt8]? {
  var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
  while unsafe poll(&entry, 1, 50) == 0 { try Task.checkCancellation() }
  var bytes = [UInt8](repeating: 0, count: 65_536)
  let count = unsafe read(STDIN_FILENO, &bytes, bytes.count)
  if count < 0 { throw ValidationError("standard input cannot be read: \(unsafe String(cString: strerror(errno)))") }
  return count == 0 ? nil : Array(bytes.prefix(count))
}
