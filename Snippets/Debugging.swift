// Seeing into a loop: what is on it, what it has done, what blocks it.

import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

try await shows()
try await measures()
try await findsSlowCalls()
try await findsTheBlock()
try await findsWhatHoldsAPool()

func shows() async throws {
  try await withEventLoop(.init(name: "server")) { loop in
    let timer = try TimerHandle()
    try timer.start(after: .seconds(1), repeating: .seconds(1)) {}
    loop.task(name: "poller") { loop in try await loop.sleep(for: .seconds(30)) }
    let load = Task { try await loop.offload(label: "load the model") { usleep(100_000) } }
    try await loop.sleep(for: .milliseconds(10))
    // snippet.snapshot
    print(loop.snapshot())
    // snippet.end
    _ = try await load.value
  }
}

func measures() async throws {
  // snippet.metrics
  let loop = try EventLoop(.init(name: "server", metrics: true))
  let before = loop.metrics
  try await loop.run { loop in
    for _ in 1...50 { try await loop.sleep(for: .milliseconds(2)) }
  }
  let after = loop.metrics
  print("iterations:", after.iterations - before.iterations, "wakes:", after.wakes - before.wakes)
  print("busy:", after.utilisation(since: before) ?? 0)
  print("lag:", after.lag.since(before.lag))
  // snippet.end
  await loop.shutdown()
}

func findsSlowCalls() async throws {
  try await withEventLoop(.init(name: "server")) { loop in
    // snippet.slow
    try loop.reportSlowCalls(over: .milliseconds(50)) { print($0) }
    let task = loop.task(name: "checkout") { _ in parseEverything() }
    // snippet.end
    await task.value
    try loop.post { parseEverything() }
    try await loop.sleep(for: .milliseconds(100))
  }
}

func findsTheBlock() async throws {
  try await withEventLoop(.init(name: "server")) { loop in
    // snippet.watchdog
    try loop.startWatchdog(over: .milliseconds(100)) { print($0) }
    parseEverything()
    // snippet.end
  }
}

func findsWhatHoldsAPool() async throws {
  try await withOffloadPool(name: "db", threads: 1) { pool in
    // snippet.pool
    try pool.startWatchdog(over: .milliseconds(100)) { print($0) }
    async let report: Void = pool.run(label: "report") { parseEverything() }
    async let login: Void = pool.run(label: "login") {}
    // snippet.end
    _ = try await (report, login)
  }
}

// As a large document would: for a fifth of a second.
func parseEverything() {
  let end = SuspendingClock.now + .milliseconds(200)
  while SuspendingClock.now < end {}
}
