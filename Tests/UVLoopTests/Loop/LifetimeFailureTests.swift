import Testing

@testable import UVLoop

/// Loops that cannot be made. They change limits of the process, so each runs in one of its own.
@Suite(.alone) struct LifetimeFailureTests {
  @Test func `G-18 with no descriptor left it throws EMFILE and leaves nothing behind`() async throws {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      let descriptors = Process.loopDescriptors
      let threads = Process.threads
      // However few are left, down to none: all or nothing, and five are enough.
      for left in 0..<8 {
        let code = LifetimeFailureTests.codeOfLoop(with: left)
        if left < 5 || code != nil { #expect(code == .tooManyOpenFiles, "with \(left) left") }
        if left >= 5 + LifetimeFailureTests.ring { #expect(code == nil, "with \(left) left") }
      }
      let isClosed = await eventually(within: .seconds(5)) { Process.loopDescriptors.isSubset(of: descriptors) }
      #expect(isClosed, "\(descriptors) before, \(Process.loopDescriptors) after")
      let isThreadGone = await eventually { Process.threads.subtracting(threads).isEmpty }
      #expect(isThreadGone)
      let loop = try EventLoop()
      await loop.shutdown()
    }
  }

  /// From 1.45 on libuv may take a descriptor for a ring, and does without where there is none.
  private static let ring = LibUVVersion.running.hasPrefix("1.44.") ? 0 : 1

  /// Makes a loop with few descriptors left, and drops it; the code of the error if it cannot be made.
  private static func codeOfLoop(with left: Int) -> UVError.Code? {
    let limit = ProcessLimit.descriptors
    limit.leave(left)
    defer { limit.restore() }
    do throws(UVError) {
      _ = try EventLoop()
      return nil
    } catch {
      return error.code
    }
  }

  /// The first loop of a process makes libuv's signal pipe too, and libuv aborts where it cannot. A child of `fork` has
  /// what its parent had: a process without a loop.
  @Test func `G-18 the first loop of a process throws EMFILE too, however many descriptors are left`() async throws {
    await #expect(processExitsWith: .success) {
      for left in 0..<10 {
        let child = Fork.child {
          let limit = ProcessLimit.descriptors
          limit.leave(left)
          do throws(UVError) {
            let loop = try EventLoop()
            limit.restore()
            do throws(UVError) { try loop.shutdownBlocking() } catch { return 3 }
            return 10
          } catch {
            return error.code == .tooManyOpenFiles ? 20 : 4
          }
        }
        let ending = try #require(child).wait()
        #expect(ending == .exited(10) || ending == .exited(20), "with \(left) left it \(ending)")
        if left < 7 { #expect(ending == .exited(20), "with \(left) left") }
        if left >= 7 + LifetimeFailureTests.ring { #expect(ending == .exited(10), "with \(left) left") }
      }
    }
  }

  // The sanitizers take address space for themselves, at any moment, and end the process where they get no more.
  @Test(.enabled(if: !Sanitizer.isThread && !Sanitizer.isAddress))
  func `G-18 when no thread can be made it throws EAGAIN and leaves nothing behind`() async throws {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      let descriptors = Process.loopDescriptors
      let threads = Process.threads
      let limit = ProcessLimit.addressSpace
      limit.lower(to: Process.virtualBytes + 1_048_576)
      // The system keeps stacks of threads that have ended: a loop may be made with one of those, but not for ever.
      var loops: [EventLoop] = []
      var failure: UVError?
      while failure == nil && loops.count < 100 {
        do throws(UVError) { loops.append(try EventLoop()) } catch { failure = error }
      }
      limit.restore()
      #expect(failure?.code == .resourceTemporarilyUnavailable)
      #expect(failure?.call == "pthread_create")
      for loop in loops { await loop.shutdown() }
      let cores = loops.map(WeakCore.init(of:))
      loops = []
      let isFreed = await eventually { cores.allSatisfy(\.isFreed) }
      #expect(isFreed)
      let isClean = await eventually {
        Process.loopDescriptors.isSubset(of: descriptors) && Process.threads.subtracting(threads).isEmpty
      }
      #expect(isClean)
      let loop = try EventLoop()
      await loop.shutdown()
    }
  }
}
