import ArgumentParser
import UVLoop

/// Sends what comes from standard input, and shows what comes back. When the input has ended the peer is told so, as
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
    do {
      try await show(stream, on: loop, output)
    } catch let error as UVError where error.code == .brokenPipe {
      // Whoever read standard output has seen enough, as `head` does: quietly, with the status of SIGPIPE.
      throw ExitCode(128 + Signal.brokenPipe.rawValue)
    } catch let error as UVError where error.code == .handleClosed {
      // The input has failed, and has closed the stream.
      try await sender.value
      throw error
    }

    // The peer has ended. What it has not taken by now it does not want.
    sender.cancel()
    do {
      try await sender.value
    } catch is CancellationError {
    } catch let error as UVError where [.brokenPipe, .connectionReset].contains(error.code) {}
    try await loop.standardOutput.write(
      output.line("sent", .text("\(stream.bytesWritten) bytes"))
        + output.line("received", .text("\(stream.bytesRead) bytes")))
  }

  /// For people at once, also a question that no line ends; for programs a line at a time.
  private func show(_ stream: ByteStream, on loop: isolated EventLoop, _ output: Output) async throws {
    if output.isJSON {
      for try await line in stream.lines(limit: 1 << 20) {
        try await loop.standardOutput.write(output.sentence(line))
      }
      return
    }
    var indentation = Indentation()
    for try await bytes in stream { try await loop.standardOutput.write(indentation.indented(bytes)) }
    try await loop.standardOutput.write(indentation.end)
  }

  private func send(to stream: ByteStream, on loop: EventLoop) async throws {
    if let say {
      try await stream.write(say + "\n")
      return try await stream.finishWriting()
    }
    do {
      // It passes on the end, too.
      try await loop.standardInput.copy(to: stream)
    } catch let error as UVError where ![.brokenPipe, .connectionReset].contains(error.code) {
      // What cannot be read has no end that the peer could be told, and it would wait for one.
      stream.reset()
      throw error
    }
  }
}

/// Puts three spaces before each line of a text that comes in pieces.
private struct Indentation {
  private var isAtStart = true

  mutating func indented(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    for byte in bytes {
      if isAtStart { result += "   ".utf8 }
      result.append(byte)
      isAtStart = byte == UInt8(ascii: "\n")
    }
    return result
  }

  /// What follows begins a line.
  var end: [UInt8] { isAtStart ? [] : Array("\n".utf8) }
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
