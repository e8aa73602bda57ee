import ArgumentParser
import Synchronization
import UVLoop

/// A server that sends back what comes, on one loop or on several; with datagrams, see `Echo+Datagrams`. Ctrl-C stops
/// it from accepting, and lets connections end; a second one does what it always does.
struct Echo: Scene {
  static let name = "echo"
  static let title = "A server, and the connections that it has"
  static let example = "--port 0 --clients 3 --for 300ms --every 100ms"

  @Option(in: 0...65_535, "The port to listen at; 0 for one that the system chooses") var port = 7_000
  @Option(help: .init("Listen at a Unix socket instead.", valueName: "path")) var unix: String?
  @Flag(help: "Send back datagrams, by UDP.") var udp = false
  @Option(in: 1...64, "How many loops share the connections") var loops = 1
  @Option(in: 0...1_000, "How many clients to run in this program") var clients = 0
  @Option(name: .customLong("for"), in: "100ms"..."24h", "How long to serve") var length: Span = "24h"
  @Option(in: "20ms"..."1m", "How often to say what has come") var every: Span = "1s"
  @OptionGroup var format: FormatOptions

  /// They end the serving, and the program after it.
  var countsInterrupts: Bool { true }

  func validate() throws {
    if udp && (unix != nil || loops > 1) {
      throw ValidationError("'--udp' is one socket at a port: it goes with neither '--unix' nor '--loops'.")
    }
  }

  func play(on loop: EventLoop, _ output: Output) throws {
    try loop.runBlocking { loop in
      if udp { return try await sendBackDatagrams(loop, output) }
      let endpoint = try unix.map { AnyEndpoint(try .unix($0)) } ?? AnyEndpoint(.loopback(port: UInt16(port)))
      if loops == 1 { return try await serve(loop.listen(on: endpoint), loop, output) }
      // This loop has the signals, the rows and the clients; those of the group have the connections.
      try await withEventLoopGroup(count: loops, .init(name: Self.name)) { group in
        output.fact("loops", .text(group.loops.map(\.name).joined(separator: ", ")))
        try await serve(group.listen(on: endpoint), loop, output)
      }
    }
  }

  private func serve(_ listener: Listener<ByteStream>, _ loop: isolated EventLoop, _ output: Output) async throws {
    let tally = Tally()
    let server = loop.task(name: "server") { _ in
      try await listener.serve { _, stream in
        for try await bytes in stream {
          tally.bytes.add(bytes.count, ordering: .relaxed)
          try await stream.write(bytes)
        }
      }
    }
    let report = loop.task(name: "report") { loop in try await self.report(listener, tally, loop, output) }
    let target = try AnyEndpoint(of: listener)
    let ending = try await withClients(loop, { try await talk(to: target, $0) }) { loop in
      try await waitForTheEnd(listener.address, loop, output)
    }
    await listener.drain(within: .seconds(2))
    report.cancel()
    try await report.value
    try await server.value
    output.fact("ended by", .text(ending))
    output.fact("connections", .number(listener.statistics.accepted))
    output.fact("bytes sent back", .number(tally.bytes.load(ordering: .relaxed)))
    output.fact("left open", .number(listener.statistics.open))
  }

  /// Runs the clients that are wanted beside `body`, and ends them after it.
  func withClients<R: Sendable>(
    _ loop: isolated EventLoop, _ talk: @escaping @Sendable (EventLoop) async throws -> Void,
    _ body: (isolated EventLoop) async throws -> R
  ) async throws -> R {
    let clients = (0..<clients).map { number in
      loop.task(name: "client \(number + 1)") { loop in try await talk(loop) }
    }
    let result = try await body(loop)
    for client in clients { client.cancel() }
    for client in clients {
      do { try await client.value } catch is CancellationError {}
    }
    return result
  }

  func waitForTheEnd(_ address: SocketAddress, _ loop: isolated EventLoop, _ output: Output) async throws -> String {
    // Watches until this function returns.
    var signals = try loop.signals(.interrupt, .terminate).makeAsyncIterator()
    output.fact("listening on", .text("\(address)"))
    do {
      return try await loop.withTimeout(length.duration) {
        guard let signal = try await signals.next(isolation: loop) else { throw CancellationError() }
        output.overwriteEcho()
        return "\(signal)"
      }
    } catch let error as UVError where error.code == .timedOut {
      return "the time of \(length)"
    }
  }

  /// A row for each moment at which something has changed, until its task is cancelled.
  private func report(
    _ listener: Listener<ByteStream>, _ tally: Tally, _ loop: isolated EventLoop, _ output: Output
  ) async throws {
    let start = loop.clock.now
    var (before, seen) = (start, (bytes: 0, statistics: listener.statistics))
    for try await _ in try loop.ticks(every: every.duration) {
      let (now, statistics) = (loop.clock.now, listener.statistics)
      let bytes = tally.bytes.load(ordering: .relaxed)
      let rate = Double(bytes - seen.bytes) / (before.duration(to: now) / .seconds(1))
      if bytes != seen.bytes || statistics != seen.statistics {
        let row = output.table(
          "traffic",
          [
            "after": .time(start.duration(to: now)), "open": .number(statistics.open),
            "accepted": .number(statistics.accepted), "bytes so far": .number(bytes),
            "bytes a second": .number(Int(rate)),
          ])
        try await show(row, loop)
      }
      (before, seen) = (now, (bytes, statistics))
    }
  }
}

/// Writes a row without blocking the loop: a server goes on though nobody reads what it prints.
func show(_ row: String, _ loop: isolated EventLoop) async throws {
  do {
    try await loop.standardOutput.write(row)
  } catch is CancellationError {
    // The server ends. A row that is on its way goes out.
  } catch let error as UVError where error.code == .brokenPipe {
    // Whoever read has seen enough, as `head` does: quietly, with the status of SIGPIPE.
    Terminal.leave(128 + Signal.brokenPipe.rawValue)
  }
}

/// Sends and receives until its task is cancelled.
private func talk(to endpoint: AnyEndpoint, _ loop: EventLoop) async throws {
  let stream = try await loop.connect(to: endpoint, timeout: .seconds(5))
  defer { stream.close() }
  let question = (0..<4_096).map { UInt8(truncatingIfNeeded: $0) }
  while true {
    try await stream.write(question)
    let answer = try await stream.read(exactly: question.count)
    if answer != question { throw ValidationError("the answer differs from what was sent.") }
  }
}

/// What the handlers of all loops have sent. Handlers of one loop could share an actor on it instead.
final class Tally: Sendable {
  let bytes = Atomic(0)
  let datagrams = Atomic(0)
}

extension AnyEndpoint {
  /// Where a listener can be reached.
  init(of listener: Listener<ByteStream>) throws {
    let address = listener.address
    if let path = address.path {
      self.init(try UnixEndpoint.unix(path))
    } else {
      self.init(try TCPEndpoint.address(address))
    }
  }
}
