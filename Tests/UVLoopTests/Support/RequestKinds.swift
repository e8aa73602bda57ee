import Testing

@testable import UVLoop

/// Every kind of request of the library, and one as it is added, for laws that hold for all of them.
enum Requesting: String, CaseIterable, CustomTestStringConvertible, Codable, Sendable {
  /// The pool task by which a call is offloaded.
  case work
  case random
  /// Of a stream.
  case write, finishWriting, connect
  case resolve, reverseResolve
  /// A datagram, which waits for the kernel alone.
  case send
  /// Of a file, whose writes have the name of a stream's.
  case read

  var testDescription: String { rawValue }

  /// Those that wait for a thread of libuv's pool.
  static let pooled: [Requesting] = [.work, .random, .resolve, .reverseResolve]
  /// Those that wait for a peer, which may never answer.
  static let peers: [Requesting] = [.write, .connect]

  /// Asks for one thing, and keeps the witness for as long as libuv might use it.
  func ask(_ loop: EventLoop, keeping witness: Witness? = nil) async throws {
    switch self {
    case .work: try await loop.offload(label: rawValue) { [witness] in _ = witness }
    case .random: _ = try await loop.random(8, keeping: witness)
    case .write, .finishWriting:
      let (ours, peer) = try PlainSocket.pair()
      let stream = try await loop.run { loop in try ours.adopted(on: loop) }
      PlainThread { _ = try? peer.receiveAll() }
      // More than the kernel keeps.
      if self == .write { try await stream.write([UInt8](repeating: 7, count: 1 << 20)) }
      try await stream.finishWriting()
    case .connect:
      let listener = try PlainListener()
      _ = try await loop.connect(to: .loopback(port: listener.port))
    case .send:
      let peer = try PlainDatagrams()
      let (socket, kernel) = try await loop.run { loop in Disconnected(try UDPSocket.full(on: loop)) }.take()
      defer { socket.close() }
      // It refuses what is tried, and takes what libuv has.
      await loop.run { _ in kernel.isPersistent = false }
      try await socket.send([7], to: peer.address.address)
    case .read:
      let stream = await loop.run { loop in
        ByteStream(over: loop.probe.file(Posix.openNull()), on: loop)
      }
      _ = try await stream.read()
      stream.close()
    // A host that the C library takes for a number, and we do not: nothing of the machine's is needed.
    case .resolve:
      let query = try AddressQuery(host: "127.1", port: 80, service: nil, family: nil, call: "resolve")
      _ = try await loop.probe.addresses(query, in: WitnessedAnswer(witness))
    case .reverseResolve:
      _ = try await loop.probe.names(.loopback(port: 80), in: WitnessedAnswer(witness))
    }
  }

  /// Asks a peer that never answers.
  func askInVain(_ loop: EventLoop) async throws {
    switch self {
    case .write:
      let (ours, peer) = try PlainSocket.pair()
      let stream = try await loop.run { loop in
        let stream = try ours.adopted(on: loop)
        try stream.fill()
        return stream
      }
      defer { peer.close() }
      try await stream.write([7])
    case .connect:
      let listener = try SilentListener()
      defer { withExtendedLifetime(listener) {} }
      _ = try await loop.connect(to: .address(try listener.address))
    default: preconditionFailure("\(self) has no peer")
    }
  }

  /// Whether a shutdown runs what was accepted. If not it ends the wait.
  var isRunByShutdown: Bool { self == .work }

  /// Whether snapshots list the calls that it runs in its place.
  var isListedAsCall: Bool { self == .work }

  /// Whether libuv has a request of this kind.
  func isInFlight(on loop: EventLoop) async -> Bool {
    await loop.run { $0.probe.requests.contains(rawValue) }
  }
}

// Holds as for all answers.
private final class WitnessedAnswer<Value>: LookupAnswer<Value>, @unchecked Sendable {
  private let witness: Witness?

  init(_ witness: Witness?) {
    self.witness = witness
    super.init()
  }
}
