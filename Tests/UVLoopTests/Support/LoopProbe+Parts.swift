import CLibUV

@testable import UVLoop

// Parts of the library that live on a loop's core, for tests of one of them without its public face.

extension LoopProbe {
  /// A wait at nothing but its owner.
  func wait(owner: any WaitOwner) -> LoopWait { LoopWait(.sleep, on: core, owner: owner) }

  /// The wait for an owner who has waited before.
  func renewed(_ wait: LoopWait?, owner: any WaitOwner, _ argument: Int64 = 0) -> LoopWait {
    LoopWait.renew(wait, .sleep, on: core, owner: owner, argument)
  }

  /// Runs `body` in a scope of the calling task's.
  func inScope(isolation: isolated (any Actor)? = #isolation, _ body: () async -> Void) async {
    await WaitScope.run(on: core, body)
  }

  /// A call that nobody has offloaded.
  func call() -> Offload { Offload(on: core, label: nil, isAbandonable: false) }

  /// Makes one request of libuv, and waits for it.
  func request(
    _ kind: RequestKind, _ type: uv_req_type, _ call: StaticString, keeping buffers: (any AnyObject & Sendable)? = nil,
    isolation: isolated (any Actor)? = #isolation, unwanted: (@Sendable (Int32) -> Void)? = nil,
    _ start: @escaping AwaitedRequest.Start
  ) async throws -> Int32 {
    unsafe try await AwaitedRequest.status(
      of: kind, type, on: core, call, keeping: buffers, unwanted: unwanted, start)
  }

  /// Looks a host up, by way of this answer.
  func addresses(
    _ query: AddressQuery, in answer: LookupAnswer<[SocketAddress]>, isolation: isolated (any Actor)? = #isolation
  ) async throws -> [SocketAddress] { try await AddressLookup.addresses(query, on: core, "resolve", in: answer) }

  /// Looks an address up, by way of this answer.
  func names(
    _ address: SocketAddress, in answer: LookupAnswer<(host: String, service: String)>,
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> (host: String, service: String) {
    try await AddressLookup.names(address, 0, on: core, "reverseResolve", in: answer)
  }

  /// Connects to the first of the addresses that answers.
  func connect(
    to addresses: [SocketAddress], _ options: ByteStream.Options = .init(),
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> ByteStream { try await Connecting(core, to: addresses, options).stream() }

  /// Accepts at sockets that listen already.
  func listener(at sockets: [ListeningSocket]) throws(UVError) -> ListenerCore {
    try ListenerCore(sockets, on: core, .init())
  }

  /// A socket as libuv has it.
  func udpEngine(at address: SocketAddress) throws(UVError) -> UDPEngine { try UDPEngine(on: core, address, .init()) }

  /// A stream that libuv's pool reads from a file, and writes to it.
  func file(_ descriptor: Int32) -> FileTransport { FileTransport(descriptor, on: core, "file") }
}
