import UVLoop

try await withEventLoop { loop in  // libuv's loop, on a thread of its own
  let timer = try TimerHandle()  // compiles on the loop and nowhere else
  try timer.start(after: .zero, repeating: .seconds(1)) { print("tick on", loop.thread.name) }

  print("What is your name?")
  let name = try await loop.offload { readLine() }  // blocks a worker, and the timer goes on
  try await loop.sleep(for: .seconds(1))
  print("Hello, \(name ?? "World")!", loop.isCurrent)  // true: after each await, the loop's thread
}
