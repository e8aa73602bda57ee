import Testing

@testable import UVLoop

/// What a child of `fork` can do, and what it must not. Each test forks in a process of its own.
@Suite(.alone) struct ForkTests {
  /// What a child does its parent does first, until nothing of it goes on: Swift makes a type's metadata at its first
  /// use, under locks of its own, and a child would inherit one that another thread holds at the fork.
  private static func rehearse(_ life: @escaping @Sendable () -> Int32) async throws {
    let results = try await onPlainThread {
      let threads = Process.threads
      return (0..<3).map { _ in
        let result = life()
        while !Process.threads.isSubset(of: threads) { Posix.yield() }
        return result
      }
    }
    #expect(results == [0, 0, 0])
  }

  /// A loop from its begin to its end; 0 if all went well.
  private static func lifeWithPosts() -> Int32 {
    do throws(UVError) {
      let own = try EventLoop(.init(name: "the child's"))
      let ran = Event("a post in the child")
      let order = Shared<[Int]>([])
      for number in 1...100 { try own.post { order.update { $0.append(number) } } }
      try own.post { if own.isCurrent { ran.signal() } }
      if !ran.waitBlocking(within: .seconds(10)) { return 1 }
      if order.value != Array(1...100) { return 2 }
      let report = try own.shutdownBlocking(within: .seconds(10))
      return own.state == .stopped && report.unfinished.isEmpty ? 0 : 3
    } catch {
      return 4
    }
  }

  /// The same with timers and handles.
  private static func lifeWithTimers() -> Int32 {
    do throws(UVError) {
      let own = try EventLoop()
      let rang = Event("a timer in the child")
      let isRefused = Shared(false)
      try own.post { own in
        do throws(UVError) {
          let timer = try TimerHandle()
          try timer.start(after: .milliseconds(1)) { rang.signal() }
          try own.schedule(after: .milliseconds(1)) { rang.signal() }
        } catch { isRefused.value = true }
      }
      if !rang.waitBlocking(times: 2, within: .seconds(10)) { return 1 }
      try own.shutdownBlocking(within: .seconds(10))
      return isRefused.value ? 2 : 0
    } catch {
      return 4
    }
  }

  @Test func `G-19 in the child no loop of the parent is current`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let identity = loop.thread
        // On the loop's thread, where it is current in the parent.
        let ending = try await loop.run { loop in
          try #require(
            Fork.child {
              if EventLoop.current != nil || loop.isCurrent || loop.probe.isIsolating { return 1 }
              do throws(UVError) { _ = try EventLoop.running() } catch { return error.code == .notOnLoop ? 0 : 2 }
              return 3
            }
          ).wait()
        }
        #expect(ending == .exited(0))
        #expect(identity == loop.thread)
        #expect(loop.state == .running)
      }
    }
  }

  @Test func `G-19 in the child posting to the parent's loop traps and explains`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop("the parent's") { loop, calls in
        calls.expect("post", 0)
        let (ending, text) = try #require(
          Fork.child {
            try? loop.post { calls.mark("post") }
            return 0
          }
        ).end()
        #expect(ending.isTrap)
        #expect(text.contains("UVLoop: loop \"the parent's\" belongs to the parent of this process"))
        #expect(text.contains("Make a new EventLoop in the child"))
        let isAlive = await loop.run { _ in true }
        #expect(isAlive)
      }
    }
  }

  @Test(arguments: 0..<6)
  func `G-19 in the child asking about the parent's loop, and watching it, traps`(number: Int) async throws {
    await #expect(processExitsWith: .success) { [number] in
      try await withTestLoop("the parent's", metrics: true) { loop, _ in
        let ending = try #require(
          Fork.child {
            switch number {
            case 0: _ = loop.metrics
            case 1: _ = try? loop.snapshotFromOutside()
            case 2: try? loop.reportSlowCalls(over: .seconds(1)) { _ in }
            case 3: loop.stopReportingSlowCalls()
            case 4: try? loop.startWatchdog(over: .seconds(1)) { _ in }
            default: loop.stopWatchdog()
            }
            return 0
          }
        ).wait()
        #expect(ending.isTrap)
        let isAlive = await loop.run { _ in true }
        #expect(isAlive)
      }
    }
  }

  @Test(arguments: 0..<5)
  func `G-19 in the child using the parent's streams and listeners traps, and they go on in the parent`(
    number: Int
  ) async throws {
    await #expect(processExitsWith: .success) { [number] in
      try await withTestLoop("the parent's") { loop, _ in
        let listener = try await loop.listen(on: .loopback(port: 0))
        let stream = try await loop.connect(to: .address(listener.address))
        let other = try await listener.accept()
        let (ending, text) = try #require(
          Fork.child {
            switch number {
            case 0: stream.close()
            case 1: stream.reset()
            case 2: _ = try? stream.enqueue([1])
            case 3: stream.timeouts.read = .seconds(1)
            default: listener.close()
            }
            return 0
          }
        ).end()
        #expect(ending.isTrap)
        #expect(text.contains("UVLoop: loop \"the parent's\" belongs to the parent of this process"))
        try await stream.write([7])
        #expect(try await other.read() == [7])
        let next = try await loop.connect(to: .address(listener.address))
        try await listener.accept().close()
        for stream in [stream, other, next] { stream.close() }
        listener.close()
      }
    }
  }

  @Test func `G-19 in the child dropping the parent's streams and listeners neither traps nor prints`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop("the parent's") { loop, _ in
        let listener = try await loop.listen(on: .loopback(port: 0))
        let stream = Shared<TCPStream?>(try await loop.connect(to: .address(listener.address)))
        let other = try await listener.accept()
        let shared = Shared<TCPListener?>(consume listener)
        let (ending, text) = try #require(
          Fork.child {
            stream.value = nil
            shared.value = nil
            return 0
          }
        ).end()
        #expect(ending == .exited(0))
        #expect(!text.contains("UVLoop:"))
        try await stream.value?.write([7])
        #expect(try await other.read() == [7])
        for stream in [stream.value, other] { stream?.close() }
        shared.value?.close()
      }
    }
  }

  @Test func `G-19 in the child ending the parent's loop traps, and it goes on in the parent`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop("the parent's") { loop, _ in
        let (ending, text) = try #require(
          Fork.child {
            do throws(UVError) { try loop.shutdownBlocking() } catch { return 1 }
            return 0
          }
        ).end()
        #expect(ending.isTrap)
        #expect(text.contains("belongs to the parent of this process"))
        #expect(loop.state == .running)
      }
    }
  }

  @Test func `G-19 in the child dropping the parent's loop neither traps nor prints`() async throws {
    await #expect(processExitsWith: .success) {
      let loop = Shared<EventLoop?>(try EventLoop(.init(name: "the parent's")))
      let (ending, text) = try #require(
        Fork.child {
          loop.value = nil
          return 0
        }
      ).end()
      #expect(ending == .exited(0))
      #expect(!text.contains("UVLoop:"))
      #expect(loop.value?.state == .running)
      await loop.value?.shutdown()
    }
  }

  @Test func `G-19 in the child a new loop runs posts and ends`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        try await loop.offload {}
        try await ForkTests.rehearse { ForkTests.lifeWithPosts() }
        let ending = try #require(
          Fork.child { ForkTests.lifeWithPosts() }
        ).wait()
        #expect(ending == .exited(0))
      }
    }
  }

  @Test func `G-19 in the child timers and handles of a new loop work`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        await loop.run { _ in }
        try await ForkTests.rehearse { ForkTests.lifeWithTimers() }
        let ending = try #require(
          Fork.child { ForkTests.lifeWithTimers() }
        ).wait()
        #expect(ending == .exited(0))
      }
    }
  }

  @Test func `G-19 the parent's loop, its timers and its pool are unharmed by a child's own loop`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        let timer = try TimerHandle()
        try timer.start(after: .zero, repeating: .milliseconds(1)) { calls.mark("tick") }
        try await ForkTests.rehearse { ForkTests.lifeWithPosts() }
        try await loop.offload {}
        try await loop.task { loop in try await loop.sleep(for: .milliseconds(1)) }.value
        let sleeper = loop.task { loop in try await loop.sleep(for: .milliseconds(50)) }
        let children = (0..<10).compactMap { _ in
          Fork.child { ForkTests.lifeWithPosts() }
        }
        #expect(children.count == 10)
        let endings = try await loop.offload { children.map { $0.wait() } }
        #expect(endings.allSatisfy { $0 == .exited(0) }, "\(endings)")
        let before = calls.count("tick")
        let goesOn = await eventually { calls.count("tick") > before + 5 }
        #expect(goesOn)
        try await sleeper.value
        let result = try await loop.offload { 7 }
        #expect(result == 7)
        timer.close()
      }
    }
  }

  @Test func `G-19 in the child the pool's counts are zero and its size can be set anew`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let workers = try await HeldWorkers(2, on: loop)
        #expect(ThreadPool.statistics.jobs.count == 2 && ThreadPool.size == 4)
        let ending = try #require(
          Fork.child {
            let now = ThreadPool.statistics
            if now.running != 0 || now.queued != 0 || !now.jobs.isEmpty { return 1 }
            do throws(UVError) { try ThreadPool.setSize(2) } catch { return 2 }
            return ThreadPool.size == 2 ? 0 : 3
          }
        ).wait()
        #expect(ending == .exited(0))
        #expect(ThreadPool.statistics.running == 2)
        try await workers.release()
      }
    }
  }

  // Under the thread sanitizer Swift's runtime takes a lock at every use of a global variable, so that there is no
  // moment at which a busy process could fork; see `Fork.child`.
  @Test(.disabled(if: Sanitizer.isThread, "there a busy process cannot fork"))
  func `G-19 a child forked while other threads use the pool and the loop is not locked up`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        try await ForkTests.rehearse { ForkTests.lifeWithPosts() }
        let isOver = Shared(false)
        let rounds = Event("a round of the others")
        let busy = (0..<2).map { _ in
          Task {
            while !isOver.value {
              try await loop.offload {}
              if ThreadPool.statistics.running <= 4 { rounds.signal() }
            }
          }
        }
        try await rounds.wait(times: 100)
        let endings = try await onPlainThread {
          try (0..<20).map { _ in
            try #require(
              Fork.child(amidstOthers: true) { ThreadPool.statistics.running == 0 ? ForkTests.lifeWithPosts() : 5 }
            ).wait()
          }
        }
        isOver.value = true
        for task in busy { try await task.value }
        #expect(endings.count == 20)
        #expect(endings.allSatisfy { $0 == .exited(0) }, "\(endings)")
      }
    }
  }
}
