import UVLoop

let loop = try EventLoop(.init(name: "smoke"))
print(loop)
try loop.post { print("posted", EventLoop.current!.isCurrent) }
let v = await loop.run { loop in loop.isCurrent }
print("run", v)
let w = try await loop.run { loop async throws in
  try await Task.sleep(for: .milliseconds(10))
  return loop.isCurrent
}
print("arun", w)
let t = loop.task(name: "x") { loop in
  await Task.yield()
  return ThreadIdentity.current == loop.thread
}
print(try await t.value)
func blocking() throws -> Int { try loop.runBlocking { _ in 42 } }
print(try blocking())
do {
  try await loop.run { loop in
    func f() throws -> Int { try loop.runBlocking { _ in 1 } }; print(try f())
  }
} catch { print(error) }
try await loop.run { loop async throws in
  let p = try Promise<Int>()
  let r = p
  Task {
    r.resume(returning: 7); _ = loop
  }
  print("promise", try await p.value())
}
print(await loop.shutdown(within: .seconds(1)))
do { try loop.post {} } catch { print(error) }
print(await loop.run { loop in loop.isCurrent })
try await withEventLoop { loop in print(loop, loop.isCurrent) }
