import UVLoop

try await withEventLoop { loop in  // on its own thread
  let timer = try TimerHandle()  // only compiles here
  try timer.start(after: .zero, repeating: .seconds(1)) {
    print("tick on", loop.thread.name)
  }

  print("What is your name?")
  // Blocks a worker, and the timer goes on.
  let name = try await loop.offload { readLine() }
  try await loop.sleep(for: .seconds(1))
  // Back on the loop's thread after each await: true.
  print("Hello, \(name ?? "World")!", loop.isCurrent)
}
