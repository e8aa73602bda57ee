// Time in tests: advanced by hand, or jumping as soon as nothing else is left to wait for.

import UVLoop

// snippet.cache
actor Cache: LoopActor {
  nonisolated let loop: EventLoop
  private(set) var entry: String?

  init(on loop: EventLoop) { self.loop = loop }

  func keep(_ text: String, for span: Duration) throws {
    entry = text
    try loop.schedule(after: span) { self.entry = nil }
  }
}
// snippet.end

// snippet.manual
let seen = try await withEventLoop(.init(time: .manual)) { loop in
  let cache = Cache(on: loop)
  try await cache.keep("soup", for: .seconds(3_600))
  try await loop.advance(by: .seconds(3_600) - .nanoseconds(1))
  let late = await cache.entry
  try await loop.advance(by: .nanoseconds(1))
  return (late, await cache.entry)  // "soup", nil
}
// snippet.end
print(seen)

// snippet.jump
let attempts = try await withEventLoop(.init(time: .autojump)) { loop in
  var attempts = 0
  try? await loop.withTimeout(.seconds(86_400)) {
    for delay in 1... {
      attempts += 1
      try await loop.sleep(for: .seconds(60 * delay))
    }
  }
  return attempts  // 54: a day has room for 53 of these sleeps
}
// snippet.end
print(attempts)
