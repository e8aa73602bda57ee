import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a sample of a loop's thread shows. The signal of the samplers is shared by all of these tests.
@Suite(.alone) struct StackSamplerTests {
  /// Runs `block` on a loop's thread and gives the frames of one sample, taken when it blocks.
  private func frames(
    asleep isAsleep: Bool = true, _ functions: BlockingFunctions = .init(),
    _ block: @escaping @Sendable (BlockingFunctions) -> Void
  ) async throws -> [Symbolicator.Frame] {
    try await withTestLoop { loop, _ in
      let sampler = try StackSampler()
      let thread = await loop.run { _ in SampledThread(takes: sampler.signal) }
      try loop.post { block(functions) }
      defer { functions.release() }
      try await functions.began.wait()
      if isAsleep { await expectEventually { loop.probe.isAsleep } }
      let addresses = try #require(sampler.sample(thread, within: .seconds(10)))
      functions.release()
      await loop.run { _ in thread.close() }
      return Symbolicator.frames(addresses)
    }
  }

  private func text(_ frames: [Symbolicator.Frame]) -> String { frames.map(\.description).joined(separator: "\n") }

  private func expect(_ name: String, in frames: [Symbolicator.Frame]) {
    let text = text(frames)
    #expect(text.contains("BlockingFunctions.\(name)"), "\(text)")
    #expect(text.contains("closure #"), "\(text)")
    #expect(text.contains("uv_run"), "\(text)")
    #expect(!text.contains("LoopThread"), "\(text)")
    #expect(!text.contains("clibuv_answer"), "\(text)")
    if !Sanitizer.isThread { #expect(frames.count >= 4 && frames.count < 40, "\(text)") }
  }

  @Test func `a function that sleeps in usleep is named`() async throws {
    expect("sleepsInUsleep", in: try await frames { $0.sleepsInUsleep() })
  }

  @Test func `a function that sleeps in nanosleep is named`() async throws {
    expect("sleepsInNanosleep", in: try await frames { $0.sleepsInNanosleep() })
  }

  @Test func `a function that runs in a loop without a call is named`() async throws {
    expect("countsInALoop", in: try await frames(asleep: false) { $0.countsInALoop() })
  }

  @Test func `a function that waits for a condition is named`() async throws {
    expect("waitsForACondition", in: try await frames { $0.waitsForACondition() })
  }

  @Test func `a function that waits for a lock is named`() async throws {
    let (functions, isHeld) = (BlockingFunctions(), Event("a lock that is held"))
    let holder = PlainThread { functions.holdsTheLock(isHeld) }
    try await isHeld.wait()
    expect("waitsForALock", in: try await frames(functions) { $0.waitsForALock() })
    try await holder.join()
  }

  @Test func `a function that reads from an empty pipe is named`() async throws {
    expect("readsFromAPipe", in: try await frames { $0.readsFromAPipe() })
  }

  @Test func `a function that polls is named`() async throws {
    expect("polls", in: try await frames { $0.polls() })
  }

  @Test func `the callback of a handle that blocks is named`() async throws {
    let functions = BlockingFunctions()
    try await withTestLoop { loop, _ in
      let sampler = try StackSampler()
      let thread = try await loop.run { loop in
        try TimerHandle().start(after: .zero) { functions.sleepsInUsleep() }
        return SampledThread(takes: sampler.signal)
      }
      defer { functions.release() }
      try await functions.began.wait()
      await expectEventually { loop.probe.isAsleep }
      let addresses = try #require(sampler.sample(thread, within: .seconds(10)))
      let text = text(Symbolicator.frames(addresses))
      #expect(text.contains("sleepsInUsleep"), "\(text)")
      #expect(text.contains("closure #"), "\(text)")
      #expect(text.contains("StackSamplerTests"), "\(text)")
      #expect(text.contains("uv_run"), "\(text)")
    }
  }

  @Test func `an asynchronous function that blocks after an await is named`() async throws {
    let functions = BlockingFunctions()
    try await withTestLoop { loop, _ in
      let sampler = try StackSampler()
      let thread = await loop.run { _ in SampledThread(takes: sampler.signal) }
      let task = loop.task { loop in try await functions.blocksAfterAnAwait(on: loop) }
      defer { functions.release() }
      try await functions.began.wait()
      await expectEventually { loop.probe.isAsleep }
      let addresses = try #require(sampler.sample(thread, within: .seconds(10)))
      let text = text(Symbolicator.frames(addresses))
      #expect(text.contains("blocksAfterAnAwait"), "\(text)")
      #expect(text.contains("sleepsInUsleep"), "\(text)")
      functions.release()
      try await task.value
    }
  }

  @Test func `an idle loop's thread stands in the poll of uv_run`() async throws {
    try await withTestLoop { loop, _ in
      let sampler = try StackSampler()
      let thread = await loop.run { _ in SampledThread(takes: sampler.signal) }
      await expectEventually { loop.probe.isAsleep }
      let addresses = try #require(sampler.sample(thread, within: .seconds(10)))
      let text = text(Symbolicator.frames(addresses))
      #expect(text.contains("epoll") && text.contains("uv_run"), "\(text)")
      // The interrupted poll does the loop no harm.
      let isAlive = await loop.run { _ in true }
      #expect(isAlive)
    }
  }

  @Test func `a thread can sample itself`() async throws {
    let text = try await onPlainThread {
      let sampler = try StackSampler()
      let own = SampledThread(takes: sampler.signal)
      defer { own.close() }
      return sampler.sample(own, within: .seconds(10)).map(Symbolicator.frames)?.description ?? "nothing"
    }
    #expect(text.contains("StackSampler.sample"), "\(text)")
  }

  @Test func `a thread that blocks the signal gives nothing in time, and its late answer does no harm`() async throws {
    let functions = BlockingFunctions()
    let (opened, isClosed, isLate) = (Shared<SampledThread?>(nil), Event("closed"), Event("late"))
    let sampler = try StackSampler()
    let thread = PlainThread {
      let own = SampledThread(takes: sampler.signal)
      setBlocked(true, sampler.signal)
      opened.value = own
      isClosed.signal()
      isLate.waitBlocking()
      // What was sent meanwhile comes here.
      setBlocked(false, sampler.signal)
      functions.sleepsInUsleep()
      own.close()
    }
    try await isClosed.wait()
    let sampled = try #require(opened.value)
    let began = MonotonicClock.now()
    for _ in 0..<3 { #expect(sampler.sample(sampled, within: .milliseconds(20)) == nil) }
    let took = MonotonicClock.now() - began
    #expect(took >= 60_000_000 && took < 10_000_000_000)
    isLate.signal()
    try await functions.began.wait()
    let addresses = try #require(sampler.sample(sampled, within: .seconds(10)))
    let text = text(Symbolicator.frames(addresses))
    #expect(text.contains("sleepsInUsleep"), "\(text)")
    functions.release()
    try await thread.join()
  }

  @Test func `a thread that has ended or is closed gives nothing at once`() async throws {
    let sampler = try StackSampler()
    let ended = try await onPlainThread { SampledThread(takes: sampler.signal) }
    await expectEventually { !Process.threads.contains(ended.identity.kernelID) }
    #expect(sampler.sample(ended, within: .seconds(1_000)) == nil)
    let closed = try await onPlainThread {
      let own = SampledThread(takes: sampler.signal)
      own.close()
      own.close()
      return sampler.sample(own, within: .seconds(1_000))
    }
    #expect(closed == nil)
  }

  @Test func `each of several threads that are sampled at once is itself`() async throws {
    let sampler = try StackSampler()
    let functions = [BlockingFunctions(), BlockingFunctions(), BlockingFunctions()]
    let blocks: [@Sendable (BlockingFunctions) -> Void] = [
      { $0.sleepsInUsleep() }, { $0.waitsForACondition() }, { $0.readsFromAPipe() },
    ]
    let names = ["sleepsInUsleep", "waitsForACondition", "readsFromAPipe"]
    let threads = functions.map { _ in Shared<SampledThread?>(nil) }
    let plain = (0..<3).map { index in
      PlainThread {
        let own = SampledThread(takes: sampler.signal)
        threads[index].value = own
        blocks[index](functions[index])
        own.close()
      }
    }
    for index in 0..<3 {
      try await functions[index].began.wait()
      let id = threads[index].value?.identity.kernelID ?? 0
      await expectEventually { Process.isAsleep(id) }
    }
    // A read that was interrupted goes on, and so does everybody else.
    let readers = (0..<3).map { index in
      Task {
        try await onPlainThread {
          guard let thread = threads[index].value else { return 0 }
          let samples = (0..<30).compactMap { _ in sampler.sample(thread, within: .seconds(20)) }
          // To look names up takes longer than the samples: once for all.
          let frames = Symbolicator.frames(samples.flatMap { $0 })
          let named = frames.filter { $0.function?.contains(names[index]) == true }.map(\.address)
          return samples.count { !Set(named).isDisjoint(with: $0) }
        }
      }
    }
    for reader in readers {
      let named = try await reader.value
      #expect(named == 30)
    }
    for function in functions { function.release() }
    for thread in plain { try await thread.join() }
  }

  @Test func `a thousand samples of a thread that allocates and calls closures do it no harm`() async throws {
    let functions = BlockingFunctions()
    try await withTestLoop { loop, _ in
      let sampler = try StackSampler()
      let thread = await loop.run { _ in SampledThread(takes: sampler.signal) }
      let sums = Counter()
      try loop.post {
        functions.began.signal()
        while !functions.isReleased {
          let closures = (0..<10).map { number in { [number, number] } }
          let sum = closures.map { $0().reduce(0, +) }.reduce(0, +)
          if sum == 90 { sums.add() } else { Issue.record("the sum is \(sum)") }
        }
      }
      defer { functions.release() }
      try await functions.began.wait()
      let (found, named) = try await onPlainThread(within: .seconds(300)) {
        let samples = (0..<1_000).compactMap { _ in sampler.sample(thread, within: .seconds(10)) }
        let named = samples[..<20].count { sample in
          Symbolicator.frames(sample).contains { $0.function?.contains("StackSamplerTests") == true }
        }
        return (samples.count, named)
      }
      #expect(found == 1_000)
      // The thread sanitizer keeps a signal back until the thread calls something else: then it is no longer where the
      // signal found it, and only the innermost function is sure.
      #expect(named == 20 || Sanitizer.isThread)
      #expect(sums.value > 0)
    }
  }

  @Test func `a sample leaves errno as it was`() async throws {
    let (functions, opened) = (BlockingFunctions(), Shared<SampledThread?>(nil))
    let (sampler, found) = (try StackSampler(), Shared<Int32>(0))
    let thread = PlainThread {
      let own = SampledThread(takes: sampler.signal)
      opened.value = own
      functions.began.signal()
      Posix.errno = 77
      while !functions.isReleased {}
      found.value = Posix.errno
      own.close()
    }
    try await functions.began.wait()
    let sampled = try #require(opened.value)
    for _ in 0..<50 { #expect(sampler.sample(sampled, within: .seconds(10)) != nil) }
    functions.release()
    try await thread.join()
    #expect(found.value == 77)
  }

  private func setBlocked(_ isBlocked: Bool, _ signal: Signal) {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, signal.rawValue)
    unsafe pthread_sigmask(isBlocked ? SIG_BLOCK : SIG_UNBLOCK, &set, nil)
  }
}
