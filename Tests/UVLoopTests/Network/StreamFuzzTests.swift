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
      await expectEventually("seed \(seed) left descriptors") { Process.loopDescriptors.isSubset(of: descriptors) }
    }
  }
}

/// Clients on one loop, and a server on another.
final class FuzzProgram: Sendable {
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
            await self.call("resolve", &random, mayThrow: []) { _ = try await self.near.resolve("localhost", port: 1) }
            guard let stream = await self.connect(&random, { try await connect(listener) }) else { continue }
            if Int.random(in: 0..<5, using: &random) > 0 {
              await FuzzEnd(stream, self, random.next()).run()
            } else if let other = await self.connect(&random, { try await connect(listener) }) {
              // Two ends of the server's talk to each other.
              await self.call("relay", &random, mayThrow: FuzzEnd.codes) { try await stream.relay(with: other) }
              stream.close()
              other.close()
            }
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

  private func connect(
    _ random: inout SplitMix, _ body: @escaping @Sendable () async throws -> ByteStream
  ) async -> ByteStream? {
    let connected = Shared<ByteStream?>(nil)
    let codes: [UVError.Code] = [.connectionRefused, .connectionReset, .noSuchFileOrDirectory]
    await call("connect", &random, mayThrow: codes) { connected.value = try await body() }
    return connected.value
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
