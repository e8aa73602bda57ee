import Testing

@testable import UVLoop

@Suite(.alone) struct ThreadPoolTests {
  @Test func `C-13 in a pool of two the third call begins only when one has ended`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(2)
      try await withTestLoop { loop, calls in
        calls.expect("third")
        let go = [Event("the first may end"), Event("the second may end")]
        let begun = Event("the begin of a call")
        let holders = go.map { go in
          Task {
            try await loop.offload {
              begun.signal()
              go.waitBlocking()
              calls.mark("end")
            }
          }
        }
        try await begun.wait(times: 2)
        let third = Task {
          try await loop.offload { () -> Int in
            calls.mark("third")
            return calls.count("end")
          }
        }
        #expect(await eventually { ThreadPool.statistics.queued == 1 })
        #expect(ThreadPool.statistics.running == 2)
        #expect(calls.count("third") == 0)
        go[0].signal()
        #expect(try await third.value == 1)
        go[1].signal()
        for holder in holders { try await holder.value }
      }
    }
  }

  @Test(arguments: [0, -1, 1_025])
  func `C-14 an impossible size is refused and named`(size: Int) throws {
    let error = #expect(throws: UVError.self) { try ThreadPool.setSize(size) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("\(size)") == true)
  }

  @Test func `C-14 the smallest and the largest size are accepted before the first use`() async throws {
    await #expect(processExitsWith: .success) {
      #expect(ThreadPool.size == 4)
      try ThreadPool.setSize(1_024)
      #expect(ThreadPool.size == 1_024)
      try ThreadPool.setSize(1)
      #expect(ThreadPool.size == 1)
    }
  }

  @Test func `C-14 once the pool has been used every size is refused`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        try await loop.offload {}
        for size in [1, 4, 1_024] {
          let error = #expect(throws: UVError.self) { try ThreadPool.setSize(size) }
          #expect(error?.code == .busy)
        }
        #expect(ThreadPool.size == 4)
      }
    }
  }

  @Test func `C-15 with four running and three queued the statistics say so`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let start = MonotonicClock.now()
        let workers = try await HeldWorkers(4, on: loop)
        let queued = (0..<3).map { _ in Task { try await loop.offload {} } }
        #expect(await eventually { ThreadPool.statistics.queued == 3 })
        let now = ThreadPool.statistics
        let age = Duration.nanoseconds(MonotonicClock.now() - start)
        #expect(now.running == 4)
        #expect(now.jobs.compactMap(\.label).sorted() == ["holder 1", "holder 2", "holder 3", "holder 4"])
        #expect(now.jobs.allSatisfy { $0.age > .zero && $0.age <= age })
        #expect(now.jobs.map(\.age) == now.jobs.map(\.age).sorted(by: >))
        let waited = try #require(now.oldestQueued)
        #expect(waited >= .zero && waited <= age)
        try await workers.release()
        for task in queued { try await task.value }
      }
    }
  }

  @Test func `C-15 when all have ended the statistics are empty for the caller`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        for _ in 0..<100 {
          try await loop.offload {}
          let now = ThreadPool.statistics
          #expect(now.queued == 0 && now.running == 0 && now.jobs.isEmpty && now.oldestQueued == nil)
        }
      }
    }
  }

  @Test func `C-20 a call's label is in the statistics, in wouldDeadlock and in the shutdown report`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      let loop = try EventLoop()
      let refused = Event("the refusal")
      let go = Event("the call may end")
      let message = Shared("")
      let job = Task {
        try await loop.offload(label: "copy") {
          do {
            try loop.runBlocking { loop in try await loop.offload(label: "inner") {} }
          } catch let error as UVError {
            message.value = error.message
          }
          refused.signal()
          go.waitBlocking()
        }
      }
      try await refused.wait()
      #expect(ThreadPool.statistics.jobs.map(\.label) == ["copy"])
      #expect(message.value.contains("\"copy\"") && message.value.contains("\"inner\""))
      let report = await loop.shutdown(within: .milliseconds(10))
      #expect(report.unfinished.map(\.label) == ["copy"])
      #expect(report.description.contains("copy"))
      go.signal()
      try await job.value
      await expectThreadGone(loop.thread)
    }
  }

  @Test func `of the loops that come while the pool starts each takes care that its threads are not the loop's`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      func name() -> String { PoolStart.around { DetachedThread.currentName } }
      let outside = DetachedThread.currentName
      #expect(outside != "libuv-worker" && PoolStart.size == nil)
      PoolStart.around {
        #expect(DetachedThread.currentName == "libuv-worker" && PoolStart.size == ThreadPool.size)
        // Another loop comes meanwhile.
        #expect(name() == "libuv-worker")
      }
      #expect(name() == outside)
    }
  }
}
