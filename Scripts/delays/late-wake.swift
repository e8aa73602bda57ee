// A thread hands a job to a loop that sleeps, and is held between that and the wake. Something else wakes the loop; the
// job drops the last reference; the loop ends and is freed. Then the thread goes on and wakes it. Needs delays.c
// preloaded.
//
// Prints "in time" where the late wake went to the loop's own descriptor, which was kept for it.
import Glibc
import UVLoop

actor Last: LoopActor {
  nonisolated let loop: EventLoop
  private var count = 0

  init(on loop: EventLoop) { self.loop = loop }

  func touch() { count += 1 }

  /// The loop is to be asleep when the job comes, and to wake later for a reason of its own.
  func wake(after delay: Duration, _ body: @escaping @Sendable () -> Void) throws {
    try loop.schedule(after: delay) { body() }
  }
}

@main enum LateWake {
  static func main() async throws {
    // What the process keeps once it has had a loop, and Swift's pool a timer.
    try await Task.sleep(for: .milliseconds(1))
    await Task.detached { _ = try? await EventLoop().shutdown() }.value
    var before = 0
    wait("the first loop was freed") {
      defer { before = descriptors }
      usleep(20_000)
      return before == descriptors
    }
    guard let thread = try? await begin() else { fail("there is no loop") }
    wait("the loop ended") { access("/proc/self/task/\(thread.kernelID)", F_OK) != 0 }
    if call("delays_is_holding") == 0 { fail("no thread is held") }
    // All numbers that the loop has given back are taken by others. One it must keep, for the late wake.
    let kept = descriptors - before
    let others = (0..<16).compactMap { _ in tmpfile() }
    _ = call("delays_release")
    if kept == 0 {
      wait("the late thread wrote") { others.contains(where: hasBytes) }
      fail("a file of somebody else's was written to")
    }
    wait("the late thread gave up the loop's descriptor") { descriptors == before + others.count }
    if others.contains(where: hasBytes) { fail("a file of somebody else's was written to") }
    print("in time")
    exit(0)
  }

  /// Nothing of this frame keeps the loop afterwards.
  static func begin() async throws -> ThreadIdentity {
    let last = Last(on: try EventLoop(.init(name: "late")))
    let thread = last.loop.thread
    try await last.wake(after: .milliseconds(300)) {
      if call("delays_is_holding") == 0 { fail("no thread is held when the loop wakes") }
    }
    wait("the loop slept") { state(of: thread.kernelID) == "S" }
    Task.detached {
      _ = call("delays_hold_next_unlock")
      await last.touch()
    }
    return thread
  }

  static var descriptors: Int { (0..<256).count { fcntl($0, F_GETFD) != -1 } }

  static func hasBytes(_ file: UnsafeMutablePointer<FILE>) -> Bool {
    var status = stat()
    return fstat(fileno(file), &status) != 0 || status.st_size != 0
  }

  static func state(of thread: UInt64) -> Character {
    guard let file = fopen("/proc/self/task/\(thread)/stat", "r") else { return "?" }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, 256, file) != nil, let end = line.firstIndex(of: CChar(UInt8(ascii: ")"))) else { return "?" }
    return Character(UnicodeScalar(UInt8(line[end + 2])))
  }

  static func call(_ name: String) -> Int32 {
    guard let symbol = dlsym(nil, name) else { fail("\(name) is missing: preload delays.c") }
    return unsafeBitCast(symbol, to: (@convention(c) () -> Int32).self)()
  }

  /// On the main thread, which is nobody's pool.
  static func wait(_ what: String, until isTrue: () -> Bool) {
    for _ in 0..<20_000 {
      if isTrue() { return }
      usleep(1_000)
    }
    fail("it did not come that \(what)")
  }

  static func fail(_ text: String) -> Never {
    print(text)
    exit(1)
  }
}
