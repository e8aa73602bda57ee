@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One end of a connection, which does random things with it.
final class FuzzEnd: Sendable {
  private let program: FuzzProgram
  private let stream: Shared<ByteStream>
  /// All that came, in order.
  private let received = Shared<[UInt8]>([])
  /// How much had come when a delimiter was the last of it, which may have been the end of the stream instead.
  private let delimited = Shared(-1)
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

  /// What may be thrown where a peer does as it likes.
  static let codes = readCodes + writeCodes
  private static let readCodes: [UVError.Code] = [
    .connectionReset, .endOfFile, .timedOut, .brokenPipe, .connectionAbort, .messageTooLong,
  ]
  private static let writeCodes: [UVError.Code] = [
    .connectionReset, .brokenPipe, .tornWrite, .timedOut, .socketNotConnected, .connectionAbort,
  ]

  private func read(_ random: SplitMix) async {
    var random = random
    let (stream, received, delimited) = (stream.value, received, delimited)
    let count = Int.random(in: 1...200_000, using: &random)
    let form = Int.random(in: 0..<9, using: &random)
    if form == 0 { return await copy(stream, &random) }
    if form == 8 { stream.timeouts.read = Bool.random(using: &random) ? .milliseconds(1) : nil }
    await program.call("read", &random, mayThrow: Self.readCodes) {
      switch form {
      case 1:
        let bytes = try await stream.read(exactly: count % 300)
        received.update { $0 += bytes }
      case 2:
        var bytes: [UInt8] = []
        try await stream.read(into: &bytes, upTo: count)
        received.update { $0 += bytes }
      case 3:
        // Where the byte is that stands for a length, is chance.
        guard let bytes = try await stream.readFrame(lengthPrefix: .uint8, limit: 255) else { return }
        received.update { $0 += [UInt8(bytes.count)] + bytes }
      case 4:
        let delimiter = UInt8(count & 255)
        guard let bytes = try await stream.read(until: [delimiter], limit: 2_000) else { return }
        received.update {
          $0 += bytes + [delimiter]
          delimited.value = $0.count
        }
      case 5:
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

  /// By way of another stream of the loop, out of whose other end everything has to come that was taken.
  private func copy(_ stream: ByteStream, _ random: inout SplitMix) async {
    guard let loop = stream.inner.loop.owner, let ends = try? PlainSocket.pair() else { return }
    // Full again and again.
    ends.0.setSendBuffer(4_096)
    let adopted = try? await loop.run { _ in
      (
        try PipeStream(adopting: .init(owning: ends.0.release())),
        try PipeStream(adopting: .init(owning: ends.1.release()))
      )
    }
    guard let (target, outlet) = adopted else { return }
    async let taken: [UInt8] = {
      var bytes: [UInt8] = []
      while let more = try? await outlet.read() { bytes += more }
      outlet.close()
      return bytes
    }()
    await program.call("copy", &random, mayThrow: Self.codes) { try await stream.copy(to: target) }
    await target.closeGracefully(within: .seconds(5))
    let bytes = await taken
    received.update { $0 += bytes }
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
    await program.call("detach", &random, mayThrow: [.busy, .socketNotConnected, .tornWrite]) {
      guard let owner = stream.inner.loop.owner else { return }
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
    var bytes = received.value
    if bytes.count == delimited.value { bytes.removeLast() }
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
