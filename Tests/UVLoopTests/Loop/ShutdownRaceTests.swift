import Testing

@testable import UVLoop

/// Everything that may come while the loop stops. Each round has its own loop, and nothing in it may hang. One after
/// the other, since some of the threads here spin.
@Suite(.alone) struct ShutdownRaceTests {
  private actor Meter: LoopActor {
    nonisolated let loop: EventLoop
    private(set) var visits = 0
    init(_ loop: EventLoop) { self.loop = loop }
    func visit() { visits += 1 }
  }

  private static let rounds = 50

  /// Lets a random part of what the others do happen before.
  private func hesitate() async {
    for _ in 0..<Int.random(in: 0...20) { await Task.yield() }
  }

  /// An outcome other than success and `loopClosed` is one too many.
  private func isFine(_ result: Result<Void, any Error>) -> Bool {
    guard case .failure(let error) = result else { return true }
    return (error as? UVError)?.code == .loopClosed
  }

  @Test func `G-12 calls of actors on a stopping loop all return, each done once`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let meter = Meter(loop)
        await withTaskGroup(of: Void.self) { group in
          for _ in 0..<8 {
            group.addTask { for _ in 0..<50 { await meter.visit() } }
          }
          await hesitate()
          await loop.shutdown()
        }
        #expect(await meter.visits == 400)
      }
    }
  }

  @Test func `G-12 a post on a stopping loop ran before shutdown returned, or was refused`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, calls in
        let accepted = Counter()
        let ran = Counter()
        let posters = (0..<4).map { _ in
          PlainThread {
            do throws(UVError) {
              for _ in 0..<2_000 {
                try loop.post { ran.add() }
                accepted.add()
              }
            } catch {
              if error.code == .loopClosed { calls.mark("refused") } else { calls.mark("other error") }
            }
          }
        }
        calls.expect("other error", 0)
        await hesitate()
        await loop.shutdown()
        let atTheEnd = ran.value
        for poster in posters { try await poster.join() }
        #expect(ran.value == atTheEnd)
        #expect(accepted.value == ran.value)
      }
    }
  }

  @Test func `G-12 posts of the loop's own callbacks ran before shutdown returned, or were refused`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let accepted = Counter()
        let ran = Counter()
        @Sendable func again() {
          ran.add()
          do throws(UVError) {
            try loop.post { again() }
            accepted.add()
          } catch {}
        }
        try loop.post { again() }
        accepted.add()
        await hesitate()
        await loop.shutdown()
        #expect(ran.value == accepted.value)
      }
    }
  }

  @Test func `G-12 sleeps on a stopping loop end, in time or with loopClosed`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let tasks = (0..<16).map { number in
          Task {
            if number.isMultiple(of: 2) {
              try await loop.sleep(for: .microseconds(number * 100))
              try await loop.sleep(for: .seconds(3_600))
            } else {
              try await loop.run { loop in try await loop.sleep(for: .seconds(3_600)) }
            }
          }
        }
        await hesitate()
        await loop.shutdown()
        for task in tasks {
          let code = await codeOfError { try await task.value }
          #expect(code == .loopClosed)
        }
      }
    }
  }

  @Test func `G-12 cancellations on a stopping loop end each sleep once, cancelled or closed`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let tasks = (0..<16).map { _ in Task { try await loop.sleep(for: .seconds(3_600)) } }
        await hesitate()
        async let end = loop.shutdown()
        for task in tasks {
          task.cancel()
          await Task.yield()
        }
        _ = await end
        for task in tasks {
          do {
            try await task.value
            Issue.record("a sleep of an hour has ended")
          } catch {
            #expect(error is CancellationError || (error as? UVError)?.code == .loopClosed)
          }
        }
      }
    }
  }

  @Test func `G-12 offloads on a stopping loop ran, or got loopClosed, never both`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let ran = (0..<16).map { _ in Counter() }
        let tasks = ran.map { counter in
          Task { _ = try await loop.offload { counter.add() } }
        }
        await hesitate()
        await loop.shutdown()
        for (counter, task) in zip(ran, tasks) {
          let result = await task.result
          #expect(isFine(result))
          if case .success = result { #expect(counter.value == 1) } else { #expect(counter.value == 0) }
        }
      }
    }
  }

  @Test func `G-12 offloads that are cancelled on a stopping loop end once, and ran or did not`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let ran = (0..<16).map { _ in Counter() }
        let tasks = ran.map { counter in
          Task { _ = try await loop.offload { counter.add() } }
        }
        await hesitate()
        async let end = loop.shutdown()
        for task in tasks { task.cancel() }
        _ = await end
        for (counter, task) in zip(ran, tasks) {
          do {
            try await task.value
            #expect(counter.value == 1)
          } catch {
            #expect(error is CancellationError || (error as? UVError)?.code == .loopClosed)
            #expect(counter.value == 0)
          }
        }
      }
    }
  }

  @Test func `G-12 runBlocking on a stopping loop returns, with its result or loopClosed`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let codes = Shared<[UVError.Code?]>([])
        let threads = (0..<4).map { _ in
          PlainThread {
            do {
              while true { try loop.runBlocking { loop in try await loop.sleep(for: .microseconds(10)) } }
            } catch {
              codes.update { $0.append((error as? UVError)?.code) }
            }
          }
        }
        await hesitate()
        await loop.shutdown()
        for thread in threads { try await thread.join() }
        #expect(codes.value == [.loopClosed, .loopClosed, .loopClosed, .loopClosed])
      }
    }
  }

  @Test func `G-12 loop tasks that begin on a stopping loop ended before shutdown returned, or never began`()
    async throws
  {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let inside = Counter()
        let starter = Task {
          var tasks: [Task<Void, any Error>] = []
          for _ in 0..<200 {
            tasks.append(
              loop.task { loop in
                inside.add()
                try? await loop.sleep(for: .seconds(3_600))
                inside.add(-1)
              })
            await Task.yield()
          }
          return tasks
        }
        await hesitate()
        await loop.shutdown()
        #expect(inside.value == 0)
        for task in await starter.value { #expect(isFine(await task.result)) }
        #expect(inside.value == 0)
      }
    }
  }

  @Test func `G-12 sends on a stopping loop never crash, and are false after it`() async throws {
    for _ in 0..<Self.rounds {
      try await withTestLoop { loop, _ in
        let sender = try await loop.run { loop in
          let handle = try AsyncHandle {}
          try loop.onShutdown { withExtendedLifetime(handle) {} }
          return handle.sender
        }
        let threads = (0..<4).map { _ in PlainThread { while sender.send() {} } }
        await hesitate()
        await loop.shutdown()
        #expect(!sender.send())
        for thread in threads { try await thread.join() }
      }
    }
  }

  @Test func `G-12 many shutdowns at once all return, and the state stays stopped`() async throws {
    for _ in 0..<(Self.rounds * 4) {
      try await withTestLoop { loop, _ in
        let go = Event("go")
        let threads = (0..<4).map { _ in
          PlainThread {
            go.waitBlocking()
            _ = try? loop.shutdownBlocking(within: .seconds(20))
          }
        }
        go.signal()
        await withTaskGroup(of: Void.self) { group in
          for _ in 0..<4 { group.addTask { _ = await loop.shutdown() } }
        }
        for thread in threads { try await thread.join() }
        #expect(loop.state == .stopped)
      }
    }
  }
}
