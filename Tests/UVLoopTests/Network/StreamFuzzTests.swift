import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Random programs, in which every call may be cancelled at any moment. `UVLOOP_SEED` runs one of them again, and
/// `UVLOOP_SEEDS` so many.
@Suite(.alone) struct StreamFuzzTests {
  @Test func `L-86 in a random program whose calls are cancelled at random each ends once, and nothing is left`()
    async throws
  {
    try await warmUpProcess()
    for seed in Seeds.first(20) {
      let descriptors = Process.loopDescriptors
      let failures = try await FuzzProgram.run(seed)
      #expect(failures.isEmpty, "seed \(seed)")
      await expectEventually("seed \(seed) left descriptors") { Process.loopDescriptors == descriptors }
    }
  }
}

/// Clients on one loop, and a server on another.
private final class FuzzProgram: Sendable {
  private let seed: UInt64
  private let near: EventLoop
  private let far: EventLoop
  private let failures = Shared<[String]>([])
  private let isShuttingDown = Shared(false)

  private init(_ seed: UInt64, _ near: EventLoop, _ far: EventLoop) {
    self.seed = seed
    self.near = near
    self.far = far
  }

  /// What went wrong.
  static func run(_ seed: UInt64) async throws -> [String] {
    try await withTestLoop("near") { near, _ in
      try await withTestLoop("far") { far, _ in
        let program = FuzzProgram(seed, near, far)
        let isOver = Event("the end of the program with seed \(seed)")
        Task {
          await program.run()
          isOver.signal()
        }
        try await isOver.wait(within: .seconds(60))
        return program.failures.value
      }
    }
  }

  private func run() async {
    var random = SplitMix(seed: seed)
    let name = "@uvloop-fuzz-\(getpid())-\(seed)"
    do {
      if Bool.random(using: &random) {
        try await serve(try await far.listen(on: .loopback(port: 0)), &random) { [near] in
          try await near.connect(to: .loopback(port: $0.address.port ?? 0))
        }
      } else {
        try await serve(try await far.listen(on: try .unix(name)), &random) { [near] _ in
          try await near.connect(to: try .unix(name))
        }
      }
    } catch {
      failures.update { $0.append("\(error)") }
    }
  }

  /// Runs a server and some clients until the clients have ended.
  private func serve<Stream: ByteStream>(
    _ listener: Listener<Stream>, _ random: inout SplitMix,
    connect: @escaping @Sendable (Listener<Stream>) async throws -> ByteStream
  ) async throws {
    let isServed = Bool.random(using: &random)
    let server = Task {
      if isServed {
        try await listener.serve(closeTimeout: .milliseconds(5)) { _, stream in
          await FuzzEnd(stream, self, self.seed &+ 1_000).run()
        }
      } else {
        var random = SplitMix(seed: self.seed &+ 2_000)
        await withDiscardingTaskGroup { group in
          while !Task.isCancelled && !listener.isClosed {
            let accepted = Shared<Stream?>(nil)
            await self.call("accept", &random, mayThrow: []) { accepted.value = try await listener.accept() }
            guard let stream = accepted.value else { continue }
            let seed = random.next()
            group.addTask { await FuzzEnd(stream, self, seed).run() }
          }
        }
      }
    }
    let endsEarly = Int.random(in: 0..<4, using: &random) == 0
    await withDiscardingTaskGroup { group in
      for number in 0..<10 {
        let seed = random.next()
        group.addTask {
          var random = SplitMix(seed: seed &+ UInt64(number))
          for _ in 0..<3 {
            let connected = Shared<ByteStream?>(nil)
            let codes: [UVError.Code] = [.connectionRefused, .connectionReset, .noSuchFileOrDirectory]
            await self.call("connect", &random, mayThrow: codes) { connected.value = try await connect(listener) }
            if let stream = connected.value { await FuzzEnd(stream, self, random.next()).run() }
          }
        }
      }
      if endsEarly {
        try? await Task.sleep(for: .microseconds(.random(in: 0...20_000, using: &random)))
        isShuttingDown.value = true
        // Either may be the first.
        let loops = Bool.random(using: &random) ? [near, far] : [far, near]
        for loop in loops { await loop.shutdown() }
      }
    }
    switch Int.random(in: 0..<3, using: &random) {
    case 0: server.cancel()
    case 1:
      await listener.drain(within: .milliseconds(.random(in: 0...5, using: &random)))
      server.cancel()
    default:
      listener.close()
      // Who accepts one by one sees that; the others end with their clients.
      if !isServed { server.cancel() }
    }
    switch await server.result {
    case .success: break
    case .failure(let error): note("serve", error, mayThrow: [])
    }
    listener.close()
  }

  /// Makes one call somewhere, and cancels it after a while if it has not ended.
  func call(
    _ name: String, _ random: inout SplitMix, mayThrow codes: Set<UVError.Code>,
    _ body: @escaping @Sendable () async throws -> Void
  ) async {
    await call(name, &random, mayThrow: Array(codes), body)
  }

  func call(
    _ name: String, _ random: inout SplitMix, mayThrow codes: [UVError.Code],
    _ body: @escaping @Sendable () async throws -> Void
  ) async {
    let ends = Counter()
    let once: @Sendable () async throws -> Void = {
      defer { ends.add() }
      try await body()
    }
    let task: Task<Void, any Error> =
      switch Int.random(in: 0..<5, using: &random) {
      case 0, 1: near.task { _ in try await once() }
      case 2: far.task { _ in try await once() }
      case 3: Task.detached { try await once() }
      default: Task { @MainActor in try await once() }
      }
    switch Int.random(in: 0..<4, using: &random) {
    case 0: break
    case 1: await Task.yield()
    default: try? await Task.sleep(for: .microseconds(.random(in: 0...3_000, using: &random)))
    }
    task.cancel()
    if case .failure(let error) = await task.result { note(name, error, mayThrow: codes) }
    if ends.value > 1 { failures.update { $0.append("\(name) ended \(ends.value) times") } }
  }

  func note(_ name: String, _ error: any Error, mayThrow codes: [UVError.Code]) {
    switch error {
    case is CancellationError: return
    case let error as UVError where codes.contains(error.code): return
    case let error as UVError where [.handleClosed, .loopClosed].contains(error.code):
      if error.code == .handleClosed || isShuttingDown.value { return }
    default: break
    }
    failures.update { $0.append("\(name): \(error)") }
  }

  func fail(_ text: String) { failures.update { $0.append(text) } }

  func otherLoop(_ random: inout SplitMix) -> EventLoop { Bool.random(using: &random) ? near : far }
}

/// One end of a connection, which does random things with it.
private final class FuzzEnd: Sendable {
  private let program: FuzzProgram
  private let stream: Shared<ByteStream>
  /// All that came, in order.
  private let received = Shared<[UInt8]>([])
  private let messages = Counter()
  private let seed: UInt64

  init(_ stream: ByteStream, _ program: FuzzProgram, _ seed: UInt64) {
    self.stream = Shared(stream)
    self.program = program
    self.seed = seed
  }

  func run() async {
    var random = SplitMix(seed: seed)
    for _ in 0..<Int.random(in: 0...20, using: &random) {
      if Task.isCancelled || stream.value.isClosed { break }
      let (first, second) = (random.next(), random.next())
      // One that reads beside one that writes, since two that read are refused.
      async let reading: Void = read(SplitMix(seed: first))
      async let writing: Void = write(SplitMix(seed: second))
      _ = await (reading, writing)
      if Int.random(in: 0..<12, using: &random) == 0 { await end(&random) }
    }
    if Bool.random(using: &random) { stream.value.close() }
    check()
  }

  private static let readCodes: [UVError.Code] = [
    .connectionReset, .endOfFile, .timedOut, .brokenPipe, .connectionAbort,
  ]
  private static let writeCodes: [UVError.Code] = [
    .connectionReset, .brokenPipe, .tornWrite, .timedOut, .socketNotConnected, .connectionAbort,
  ]

  private func read(_ random: SplitMix) async {
    var random = random
    let (stream, received) = (stream.value, received)
    let count = Int.random(in: 1...100_000, using: &random)
    let form = Int.random(in: 0..<5, using: &random)
    if form == 4 { stream.timeouts.read = Bool.random(using: &random) ? .milliseconds(1) : nil }
    await program.call("read", &random, mayThrow: Self.readCodes) {
      switch form {
      case 0:
        let bytes = try await stream.read(exactly: count % 300)
        received.update { $0 += bytes }
      case 1:
        var bytes: [UInt8] = []
        try await stream.read(into: &bytes, upTo: count)
        received.update { $0 += bytes }
      case 2:
        _ = try await stream.read(upTo: count) { span in
          let bytes = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
          received.update { $0 += bytes }
        }
      default:
        let bytes = try await stream.read(upTo: count) ?? []
        received.update { $0 += bytes }
      }
    }
  }

  private func write(_ random: SplitMix) async {
    var random = random
    let stream = stream.value
    switch Int.random(in: 0..<10, using: &random) {
    case 0:
      await program.call("finishWriting", &random, mayThrow: Self.writeCodes) { try await stream.finishWriting() }
    case 1:
      let message = message(&random, upTo: 1_000)
      await program.call("enqueue", &random, mayThrow: Self.writeCodes) { _ = try stream.enqueue(message) }
    case 2:
      stream.timeouts.write = Bool.random(using: &random) ? .milliseconds(1) : nil
      let message = message(&random, upTo: 400_000)
      await program.call("write", &random, mayThrow: Self.writeCodes) { try await stream.write(message) }
    case 3:
      // One behind the other. Which is the first only the stream knows.
      let message = message(&random, upTo: 60_000)
      await program.call("write", &random, mayThrow: Self.writeCodes) {
        try await stream.write(contentsOf: [Array(message[..<6]), Array(message[6...])])
      }
    default:
      let message = message(&random, upTo: 30_000)
      await program.call("write", &random, mayThrow: Self.writeCodes) { try await stream.write(message) }
    }
  }

  /// A number and a length, and as many bytes that are the number's last.
  private func message(_ random: inout SplitMix, upTo limit: Int) -> [UInt8] {
    let number = messages.add()
    let count = Int.random(in: 0...limit, using: &random)
    let head = [number >> 8, number, count >> 24, count >> 16, count >> 8, count].map { UInt8($0 & 255) }
    return head + [UInt8](repeating: UInt8(number & 255), count: count)
  }

  private func end(_ random: inout SplitMix) async {
    let stream = stream.value
    switch Int.random(in: 0..<4, using: &random) {
    case 0: stream.close()
    case 1: stream.reset()
    case 2:
      await program.call("closeGracefully", &random, mayThrow: []) {
        await stream.closeGracefully(within: .milliseconds(2))
      }
    default: await move(stream, to: program.otherLoop(&random), &random)
    }
  }

  /// To another loop, or the same again.
  private func move(_ stream: ByteStream, to loop: EventLoop, _ random: inout SplitMix) async {
    let left = Shared<(number: Int32, held: [UInt8])?>(nil)
    let moved = self.stream
    await program.call("detach", &random, mayThrow: [.busy, .socketNotConnected]) {
      guard let owner = stream.core.loop.owner else { return }
      try await owner.run { _ in
        let held = try stream.takeBuffered()
        do {
          left.value = (try await stream.detach().release(), held)
        } catch {
          try stream.unread(held)
          throw error
        }
      }
    }
    guard let (number, held) = left.value else { return }
    let received = received
    // It is not cancelled: there is no wait in it.
    do {
      moved.value = try await loop.run { loop in
        let descriptor = OwnedDescriptor(owning: number)
        let stream: ByteStream =
          Socket.family(of: number) == AF_UNIX
          ? try PipeStream(adopting: descriptor) : try TCPStream(adopting: descriptor)
        try stream.unread(held)
        return stream
      }
    } catch {
      received.update { $0 += held }
      // A peer that has reset it leaves a socket without a peer.
      program.note("adopting", error, mayThrow: [.invalidArgument])
    }
  }

  /// What came are whole messages, in order, of which the last may be cut.
  private func check() {
    let bytes = received.value
    var (start, last) = (0, 0)
    while start + 6 <= bytes.count {
      let number = Int(bytes[start]) << 8 | Int(bytes[start + 1])
      let count = bytes[start + 2..<start + 6].reduce(0) { $0 << 8 | Int($1) }
      let body = bytes[start + 6..<min(bytes.count, start + 6 + count)]
      if number <= last || !body.allSatisfy({ $0 == UInt8(number & 255) }) {
        return program.fail("after message \(last) came \(number), with \(body.prefix(10))")
      }
      last = number
      start += 6 + count
    }
  }
}
