import CLibUV
import Synchronization

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Functions that keep their thread until they are released, each in another way. Their names are what a sample shows.
final class BlockingFunctions: Sendable {
  private let released = Atomic<Bool>(false)
  private let lock = Lock()
  private let held = Lock()
  private let ends: [Int32]

  /// Signalled right before a function blocks.
  let began = Event("a function that blocks")

  init() {
    var ends: [Int32] = [-1, -1]
    let status = unsafe pipe(&ends)
    precondition(status == 0, "pipe failed with errno \(Posix.errno)")
    self.ends = ends
  }

  deinit { for end in ends { Posix.close(end) } }

  /// Lets every function go.
  func release() {
    released.store(true, ordering: .releasing)
    lock.withLock { lock.wakeAll() }
    Posix.write("released", to: ends[1])
  }

  var isReleased: Bool { released.load(ordering: .acquiring) }

  // A signal ends these sleeps early.
  @inline(never)
  func sleepsInUsleep() {
    began.signal()
    while !isReleased { usleep(100_000) }
  }

  @inline(never)
  func sleepsInNanosleep() {
    began.signal()
    while !isReleased {
      var span = clibuv_timespec(100_000_000)
      unsafe nanosleep(&span, nil)
    }
  }

  @inline(never)
  func countsInALoop() {
    began.signal()
    while !isReleased {}
  }

  @inline(never)
  func waitsForACondition() {
    began.signal()
    lock.withLock { while !isReleased { lock.wait() } }
  }

  /// For whoever runs `holdsTheLock`.
  @inline(never)
  func waitsForALock() {
    began.signal()
    held.withLock {}
  }

  func holdsTheLock(_ isHeld: Event) {
    held.withLock {
      isHeld.signal()
      while !isReleased { usleep(1_000) }
    }
  }

  @inline(never)
  func readsFromAPipe() {
    began.signal()
    var byte: UInt8 = 0
    _ = unsafe read(ends[0], &byte, 1)
  }

  @inline(never)
  func polls() {
    began.signal()
    while !isReleased {
      var nothing = pollfd()
      _ = unsafe poll(&nothing, 0, 100)
    }
  }

  @inline(never)
  func blocksAfterAnAwait(on loop: isolated EventLoop) async throws {
    try await loop.sleep(for: .milliseconds(1))
    sleepsInUsleep()
  }
}
