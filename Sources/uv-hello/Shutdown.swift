import UVLoop

/// Ends the loop while a task of it sleeps and a call is scheduled, and looks at what becomes of them.
func shutdown(_ loop: EventLoop) throws {
  loop.task(name: "sleeper") { loop in
    do { try await loop.sleep(for: .seconds(3_600)) } catch { fact("the sleeping task", "\(error)") }
  }
  try loop.runBlocking { loop in
    try loop.schedule(after: .seconds(3_600)) { say("never printed") }
    try await loop.sleep(for: .zero)  // One turn of the loop, and the task is asleep.
  }

  let before = loop.state
  let report = try loop.shutdownBlocking()
  fact("the report", "\(report)")
  fact("the loop", "was \(before), is \(loop.state)")
  do {
    try loop.post { say("never printed") }
  } catch {
    fact("a late post", "\(error)")
  }
}
