import UVLoop

/// Asks the same questions on the main thread and on the loop: which thread is this, and is it the loop's?
func twoThreads(_ loop: EventLoop) throws {
  let here = answers("main", of: loop)
  let there = try loop.runBlocking { loop in answers("loop", of: loop) }
  table([["asked on", "thread id", "kernel id", "name", "isCurrent"], here, there])
}

/// A row of the table. It is not told which thread it is about: the one that runs it answers.
private func answers(_ place: String, of loop: EventLoop) -> [String] {
  let thread = ThreadIdentity.current
  return [place, "\(thread.id)", "\(thread.kernelID)", thread.name, "\(loop.isCurrent)"]
}
