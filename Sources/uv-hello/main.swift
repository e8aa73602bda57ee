import UVLoop

try await withEventLoop(.init(name: "smoke")) { loop in
  let start = loop.clock.now
  func at(_ s: String) { print(start.duration(to: loop.clock.now), s, loop.isCurrent) }
  at("begin")
  try await loop.sleep(for: .milliseconds(50)); at("slept 50")
  for try await t in try loop.ticks(every: .milliseconds(20)) { at("tick \(start.duration(to: t))"); if start.duration(to: t) > .milliseconds(100) { break } }
  do { try await loop.withTimeout(.milliseconds(30)) { try await loop.sleep(for: .seconds(10)) } } catch { at("\(error)") }
  let x = try await loop.withTimeout(.seconds(3)) { 5 }
  at("x \(x)")
  let s = try await loop.offload(label: "hi") { () -> String in "\(ThreadIdentity.current)" }
  at(s)
  let call = try loop.schedule(after: .milliseconds(5)) { at("scheduled") }
  print(call)
  let timer = try TimerHandle()
  var n = 0
  try timer.start(after: .zero, repeating: .milliseconds(5)) { n += 1; if n == 4 { timer.stop() } }
  print(timer)
  try await loop.sleep(for: .milliseconds(60)); at("timer \(n)")
  let wake = try AsyncHandle { at("async") }
  print(wake.sender.send())
  try await loop.sleep(for: .zero)
  try await loop.sleep(for: .zero)
  wake.close(); print(wake.sender.send())
  let p = try Promise<Int>()
  try timer.start(after: .milliseconds(3)) { p.resume(returning: 4) }
  print(try await p.value())
  try loop.onShutdown { at("hook") }
}
let loop = try EventLoop()
let t = Task { do { try await loop.sleep(for: .seconds(100)) } catch { print(error) } }
let t2 = Task { do { try await loop.withTimeout(.seconds(100)) { try await Task.sleep(for: .seconds(1000)) } } catch { print(error) } }
try await Task.sleep(for: .milliseconds(50))
print(await loop.shutdown(), loop)
await t.value; await t2.value
