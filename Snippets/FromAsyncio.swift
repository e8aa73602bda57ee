// The phrases of asyncio in UVLoop's words, one slice a phrase.

import Foundation
import UVLoop

try onAPlainThread()
try await loopsAndThreads()
try await reachingTheLoop()
try await time()
try await resultsAndBlockingCode()
try await tasks()
try await signalsAndDescriptors()
try await streamsAndServers()
try await datagrams()
try await theEnd()
try await mixing()

func loopsAndThreads() async throws {
  // snippet.run
  try await withEventLoop { loop in
    try await loop.sleep(for: .milliseconds(100))
    print("hello")
  }
  // snippet.end

  try await withEventLoop { loop in
    // snippet.running
    let loop = try EventLoop.running()  // throws notOnLoop where no loop runs
    let same = EventLoop.current  // nil where no loop runs
    print(loop === same)
    // snippet.end
  }

  try await withEventLoop { loop in
    // snippet.thread
    print(loop.isCurrent, loop.thread == .current)  // true true
    print(try await loop.offload { loop.isCurrent })  // false
    print(loop.thread)  // name, id, and the kernel's id
    // snippet.end
  }
}

func reachingTheLoop() async throws {
  try await withEventLoop { loop in
    // snippet.soon
    try loop.post { print("soon") }
    print("first")
    // snippet.end
    try await loop.sleep(for: .milliseconds(10))
  }

  let loop = try EventLoop()
  // snippet.threadsafe
  Thread.detachNewThread {
    do {
      try loop.post { print("posted, on", ThreadIdentity.current.name) }
    } catch {
      print("the loop has ended:", error)
    }
  }
  // snippet.end

  print(try await askAnother())
  await loop.shutdown()
}

func onAPlainThread() throws {
  let loop = try EventLoop()
  print(try ask(loop))
  try loop.shutdownBlocking()
}

// snippet.blocking
func ask(_ loop: EventLoop) throws -> Int {  // for plain threads: it does not compile in an async function
  try loop.runBlocking(timeout: .seconds(2)) { loop in
    try await loop.sleep(for: .milliseconds(10))
    return 42
  }
}
// snippet.end

func askAnother() async throws -> Int {
  let other = try EventLoop(.init(name: "other"))
  // snippet.another
  let answer = try await other.run { other in
    try await other.sleep(for: .milliseconds(10))
    return 42
  }
  // snippet.end
  await other.shutdown()
  return answer
}

func time() async throws {
  try await withEventLoop { loop in
    // snippet.later
    let later = try loop.schedule(after: .milliseconds(50)) { print("later") }
    try loop.schedule(at: loop.clock.now + .milliseconds(20)) { print("at its time") }
    later.cancel()
    // snippet.end

    // snippet.sleep
    try await loop.sleep(for: .milliseconds(100))
    // snippet.end

    // snippet.timeout
    do {
      try await loop.withTimeout(.milliseconds(50)) {
        try await loop.sleep(for: .seconds(10))
      }
    } catch let error as UVError where error.code == .timedOut {
      print("too slow")
    }
    // snippet.end
  }
}

func resultsAndBlockingCode() async throws {
  try await withEventLoop { loop in
    // snippet.future
    let answer = try Promise<Int>()
    try loop.schedule(after: .milliseconds(10)) { answer.resume(returning: 42) }
    print(try await answer.value())
    // snippet.end
  }

  try await withEventLoop { loop in
    // snippet.offload
    let text = try await loop.offload(label: "read hosts") {
      try String(contentsOfFile: "/etc/hosts", encoding: .utf8)
    }
    print(text.isEmpty)
    // snippet.end
    // snippet.executor
    try await withOffloadPool(name: "db", threads: 3) { pool in
      let answers = try await pool.map(1...10) { number in
        blocksLikeAQuery()
        return number * number
      }
      print(answers)
    }
    // snippet.end
  }
}

func blocksLikeAQuery() { Thread.sleep(forTimeInterval: 0.01) }

func tasks() async throws {
  try await withEventLoop { loop in
    // snippet.gather
    async let one = length(of: "one", on: loop)
    async let three = length(of: "three", on: loop)
    print(try await [one, three])
    // snippet.end

    // snippet.group
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for word in ["one", "three"] {
        group.addTask { try await length(of: word, on: loop) }
      }
      var sum = 0
      for try await length in group { sum += length }
      return sum
    }
    print(sum)
    // snippet.end

    // snippet.task
    let task = loop.task(name: "work") { loop in
      try await loop.sleep(for: .milliseconds(10))
      return Task.name ?? ""
    }
    print(try await task.value)  // work
    // snippet.end
  }
}

// snippet.length
func length(of word: String, on loop: EventLoop) async throws -> Int {
  try await loop.sleep(for: .milliseconds(10))
  return word.count
}
// snippet.end

func signalsAndDescriptors() async throws {
  try await withEventLoop { loop in
    // snippet.signal
    let came = try Promise<Void>()
    let handle = try SignalHandle(.user1)
    try handle.startOnce { came.resume(returning: ()) }
    kill(getpid(), SIGUSR1)
    try await came.value()
    handle.close()
    // snippet.end
    print("SIGUSR1 came")
  }

  try await withEventLoop { loop in
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return }
    let (readEnd, writeEnd) = (ends[0], ends[1])
    // snippet.reader
    let readable = try Promise<PollHandle.Events>()
    let poll = try PollHandle(descriptor: readEnd)
    try poll.start(for: .readable) { result in
      switch result {
      case .success(let events): readable.resume(returning: events)
      case .failure(let error): readable.resume(throwing: error)
      }
      poll.stop()
    }
    write(writeEnd, "x", 1)
    print(try await readable.value())
    poll.close()
    // snippet.end
    close(readEnd)
    close(writeEnd)
  }
}

func streamsAndServers() async throws {
  let (ports, found) = AsyncStream.makeStream(of: UInt16.self)
  let loop = try EventLoop()
  let server = Task {
    try await loop.run { loop in
      // snippet.server
      let listener = try await loop.listen(on: .tcp("127.0.0.1", 0))
      // snippet.hide
      found.yield(listener.address.port ?? 0)
      // snippet.show
      try await listener.serve { _, stream in
        for try await bytes in stream { try await stream.write(bytes) }
      }
      // snippet.end
    }
  }
  for await port in ports {
    try await talk(to: port)
    break
  }
  server.cancel()
  _ = await server.result
  await loop.shutdown()
}

func datagrams() async throws {
  try await withEventLoop { loop in
    let (addresses, found) = AsyncStream.makeStream(of: SocketAddress.self)
    let server = loop.task { loop in
      // snippet.datagrams
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      // snippet.hide
      found.yield(socket.localAddress)
      // snippet.show
      for try await datagram in socket {
        try await socket.send(datagram.bytes, to: datagram.peerAddress)
      }
      // snippet.end
    }
    let client = try await loop.bindUDP()
    for await address in addresses {
      try await client.send(Array("hello".utf8), to: address)
      print(String(decoding: try await client.receive().bytes, as: UTF8.self))
      break
    }
    server.cancel()
  }
}

func talk(to port: UInt16) async throws {
  try await withEventLoop { loop in
    // snippet.connection
    let stream = try await loop.connect(to: .tcp("127.0.0.1", port))
    try await stream.write("hello\n")
    print(try await stream.readLine() ?? "the end")
    await stream.closeGracefully(within: .seconds(2))
    // snippet.end
  }

  try await withEventLoop { loop in
    // snippet.protocol
    let stream = try await loop.connect(to: .tcp("127.0.0.1", port))
    let done = try Promise<Int>()
    var count = 0
    try stream.startReading { bytes in
      count += bytes.byteCount
    } atEnd: { _ in
      done.resume(returning: count)
    }
    _ = try stream.enqueue(Array("hello".utf8))
    try await stream.finishWriting()
    print(try await done.value())
    // snippet.end
  }
}

func theEnd() async throws {
  // snippet.by-hand
  let loop = try EventLoop(.init(name: "by hand"))
  let value = try await loop.run { loop in try await length(of: "three", on: loop) }
  let report = await loop.shutdown(within: .seconds(5))
  print(value, report)  // 5 ended in 150 µs: nothing left behind
  // snippet.end

  try await withEventLoop { loop in
    loop.task { loop in try await loop.offload(label: "nap") { Thread.sleep(forTimeInterval: 0.05) } }
    try await loop.sleep(for: .milliseconds(20))
    // snippet.looking
    print(loop)  // name, state, thread
    let pool = ThreadPool.statistics
    print(pool.running, "running,", pool.queued, "queued")
    for job in pool.jobs { print(job.label ?? "without a label", job.age) }
    // snippet.end
  }
}

func mixing() async throws {
  let loop = try EventLoop(.init(name: "background"))

  // snippet.mixing
  try await loop.run { loop in
    do {
      print(try ask(loop))  // on its own thread it could never be answered
    } catch let error as UVError where error.code == .wouldDeadlock {
      print(error.message)
    }
    print(try await loop.offload { try ask(loop) })  // a worker may block
  }
  // snippet.end
  print(await loop.shutdown())
}
