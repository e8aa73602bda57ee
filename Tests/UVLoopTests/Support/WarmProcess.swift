import Testing

@testable import UVLoop

/// Makes what a process keeps once it has had a loop: libuv's signal pipe, its pool, Swift's own threads. Whoever
/// counts descriptors or threads begins with this, since the first loop's must be gone before the count.
func warmUpProcess() async throws {
  // Swift's sleeps have a timer of the kernel's, from the first on that is not over before it is asked for.
  let isWarm = await eventually { Process.hasSleepTimer }
  #expect(isWarm, "Swift's sleeps have no timer of the kernel's")
  let before = Process.loopDescriptors.count
  try await onTestLoop("warm-up") { loop, _ in try await loop.offload {} }
  // A core that is gone may still be closing its descriptor: the number tells. The pipe has two ends.
  let isSettled = await eventually { Process.loopDescriptors.count <= before + 2 }
  #expect(isSettled, "a loop left more than libuv's signal pipe: \(before), then \(Process.loopDescriptors)")
}
