import Testing

@testable import UVLoop

/// Who keeps a handle and what it captured, and what happens on other threads and after shutdown.
@Suite(.alone) struct HandleOwnershipTests {
  /// An actor with a handle of each kind.
  private actor Owner: LoopActor {
    nonisolated let loop: EventLoop
    private var handles: [AnyHandle] = []
    private let witness: Witness

    init(on loop: EventLoop, _ witness: Witness) {
      self.loop = loop
      self.witness = witness
    }

    /// Makes a handle; where it is started its callback captures the actor.
    func make(_ kind: HandleKind, on pair: SocketPair, isStarted: Bool) throws {
      let handle = try AnyHandle(kind, on: pair) { _ = self }
      if isStarted { try handle.start() }
      handles.append(handle)
    }

    /// One that captures nothing of the actor.
    func makeLoose(_ kind: HandleKind, on pair: SocketPair) throws {
      let handle = try AnyHandle(kind, on: pair) {}
      handles.append(handle)
    }

    func closeAll() {
      for handle in handles { handle.close() }
    }

    var areAllClosed: Bool { handles.allSatisfy(\.isClosed) }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-07 an actor with a handle that dies on a foreign thread leaves the close to the loop`(
    kind: HandleKind
  ) async throws {
    try await withTestLoop { loop, calls in
      let (gone, pair) = (Counter(), SocketPair())
      let owner = Shared(Owner(on: loop, Witness(gone)) as Owner?)
      try await owner.value?.makeLoose(kind, on: pair)
      #expect(await loop.run { $0.probe.handles.closed } == 0)
      try await onPlainThread { owner.value = nil }
      await expectEventually { gone.value == 1 }
      await expectEventually { await loop.run { $0.probe.handles.freed } == 1 }
      #expect(await loop.run { $0.probe.handles.closed } == 1)
    }
  }

  @Test func `K-07 1 000 actors with handles die on foreign threads while the loop runs`() async throws {
    try await withTestLoop { loop, calls in
      let gone = Counter()
      for _ in 0..<10 {
        let owners = Shared<[Owner]>([])
        for index in 0..<100 {
          let owner = Owner(on: loop, Witness(gone))
          try await owner.makeLoose(index % 2 == 0 ? .timer : .async, on: SocketPair())
          owners.update { $0.append(owner) }
        }
        try await onPlainThread { owners.value = [] }
      }
      await expectEventually { gone.value == 1_000 }
      await expectEventually { await loop.run { $0.probe.handles.freed } == 1_000 }
    }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-08 a handle dropped after shutdown has no effect and prints nothing`(kind: HandleKind) async throws {
    try await withTestLoop { loop, calls in
      let (gone, pair) = (Counter(), SocketPair())
      let owner = Shared(Owner(on: loop, Witness(gone)) as Owner?)
      try await owner.value?.makeLoose(kind, on: pair)
      let handles = await loop.run { $0.probe.handles }
      await loop.shutdown()
      #expect(handles.freed == 1)
      owner.value = nil
      await expectEventually { gone.value == 1 }
      #expect(handles.closed == 1 && handles.freed == 1)
    }
  }

  @Test func `K-08 handles dropped after shutdown print nothing`() async throws {
    let result = try await #require(
      processExitsWith: .success, observing: [\.standardErrorContent, \.standardOutputContent]
    ) {
      try await withTestLoop { loop, calls in
        let gone = Counter()
        let pairs = HandleKind.allCases.map { _ in SocketPair() }
        let owner = Shared(Owner(on: loop, Witness(gone)) as Owner?)
        for (kind, pair) in zip(HandleKind.allCases, pairs) { try await owner.value?.makeLoose(kind, on: pair) }
        await loop.shutdown()
        owner.value = nil
        await expectEventually { gone.value == 1 }
      }
    }
    #expect(!String(decoding: result.standardErrorContent, as: UTF8.self).contains("UVLoop"))
    #expect(!String(decoding: result.standardOutputContent, as: UTF8.self).contains("UVLoop"))
  }

  @Test(arguments: HandleKind.allCases)
  func `K-08 a handle used after shutdown throws loopClosed, and a new one cannot be made`(
    kind: HandleKind
  ) async throws {
    try await withTestLoop { loop, calls in
      let keeper = Keeper(on: loop)
      try await keeper.make(kind)
      await loop.shutdown()
      #expect(await keeper.isClosed == true)
      if HandleKind.startable.contains(kind) { try await expectCode(.loopClosed) { try await keeper.start() } }
      await keeper.stopAndClose()
      try await expectCode(.loopClosed) { try await keeper.make(kind) }
    }
  }

  private actor Keeper: LoopActor {
    nonisolated let loop: EventLoop
    private var handle: AnyHandle?

    init(on loop: EventLoop) { self.loop = loop }

    func make(_ kind: HandleKind) throws { handle = try AnyHandle(kind) {} }

    func start() throws { try handle?.start() }

    func stopAndClose() {
      handle?.stop()
      handle?.close()
    }

    var isClosed: Bool? { handle?.isClosed }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-09 a callback that captures its own handle is released by close, and so is the handle`(
    kind: HandleKind
  ) async throws {
    try await onTestLoop { loop, calls in
      let gone = Counter()
      weak var observed: AnyHandle?
      do {
        let witness = Witness(gone)
        let cell = Cell<AnyHandle>()
        let handle = try AnyHandle(kind) {
          witness.hold()
          cell.value?.close()
        }
        cell.value = handle
        try handle.start()
        observed = handle
        handle.close()
      }
      #expect(gone.value == 1)
      #expect(observed == nil)
      try await iterate(loop)
      #expect(loop.probe.handles.freed == 1)
    }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-09 a callback that captures its actor is released by close, and so is the actor`(
    kind: HandleKind
  ) async throws {
    try await withTestLoop { loop, calls in
      let (gone, pair) = (Counter(), SocketPair())
      let owner = Shared(Owner(on: loop, Witness(gone)) as Owner?)
      try await owner.value?.make(kind, on: pair, isStarted: true)
      await owner.value?.closeAll()
      #expect(await owner.value?.areAllClosed == true)
      owner.value = nil
      await expectEventually { gone.value == 1 }
    }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-09 a callback that captures its actor is released by shutdown, and so is the actor`(
    kind: HandleKind
  ) async throws {
    try await withTestLoop { loop, calls in
      let (gone, pair) = (Counter(), SocketPair())
      let owner = Shared(Owner(on: loop, Witness(gone)) as Owner?)
      try await owner.value?.make(kind, on: pair, isStarted: true)
      await loop.shutdown()
      owner.value = nil
      await expectEventually { gone.value == 1 }
    }
  }
}
