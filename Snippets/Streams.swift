// What can be done with a stream, one slice a subject.

import UVLoop

// snippet.client
func fetch(_ host: String, _ loop: EventLoop) async throws {
  let stream = try await loop.connect(to: .tcp(host, 80), timeout: .seconds(5))
  try await stream.write("GET / HTTP/1.0\r\nhost: \(host)\r\n\r\n")
  for try await line in stream.lines() { print(line) }
  stream.close()
}
// snippet.end

// snippet.reads
func reads(_ stream: TCPStream) async throws {
  let some = try await stream.read()  // what is there, at least one byte; nil at the end
  let parts = try await stream.read { bytes in bytes.byteCount }  // borrowed, without a copy
  var buffer: [UInt8] = []
  let count = try await stream.read(into: &buffer)  // appended; 0 at the end
  print(some ?? [], parts ?? 0, count)
}
// snippet.end

// snippet.framing
/// A header of lines, a blank line, and a body of the length that the header gives.
func message(from stream: TCPStream) async throws -> [UInt8] {
  var length = 0
  while let line = try await stream.readLine(limit: 1_024), !line.isEmpty {
    if line.hasPrefix("length: "), let number = Int(line.dropFirst(8)) { length = number }
  }
  if length > 1 << 20 { throw TooLong() }
  return try await stream.read(exactly: length)
}

struct TooLong: Error {}
// snippet.end

// snippet.limit
/// The next line, or a blank one if it does not come in time. Nothing is lost by that: the next call goes on.
func line(of stream: TCPStream, within limit: Duration, _ loop: EventLoop) async throws -> String? {
  do {
    return try await loop.withTimeout(limit) { try await stream.readLine() }
  } catch let error as UVError where error.code == .timedOut {
    return ""
  }
}
// snippet.end

// snippet.both
/// Reads and writes at the same time: the questions go out while the answers come in.
func answers(to questions: [String], from stream: TCPStream) async throws -> [String] {
  async let sent: Void = {
    for question in questions { try await stream.write(question + "\n") }
    try await stream.finishWriting()
  }()
  var answers: [String] = []
  for try await answer in stream.lines() { answers.append(answer) }
  try await sent
  return answers
}
// snippet.end

// snippet.callbacks
/// Counts by callbacks, on the loop, without a task that waits.
func count(_ stream: TCPStream, on loop: isolated EventLoop) async throws -> Int {
  var sum = 0
  let done = try Promise<Int>()
  try stream.startReading { bytes in
    sum += bytes.byteCount
  } atEnd: { error in
    if let error { done.resume(throwing: error) } else { done.resume(returning: sum) }
  }
  return try await done.value()
}
// snippet.end

// snippet.move
/// Hands a connection to another loop. What the stream had read ahead goes with it.
func move(_ stream: TCPStream, from loop: EventLoop, to other: EventLoop) async throws -> TCPStream {
  let ahead = try await loop.run { _ in try stream.takeBuffered() }
  let number = try await stream.detach().release()
  return try await other.run { _ in
    let moved = try TCPStream(adopting: OwnedDescriptor(owning: number))
    try moved.unread(ahead)
    return moved
  }
}
// snippet.end

/// A stream to a server that runs `body` for it.
func with(_ loop: EventLoop, _ body: @Sendable @escaping (TCPStream) async throws -> Void) async throws {
  let listener = try await loop.listen(on: .loopback(port: 0))
  async let server: Void = listener.serve { _, stream in try await stream.copy(to: stream) }
  let stream = try await loop.connect(to: .address(listener.address))
  try await body(stream)
  stream.close()
  listener.close()
  try await server
}

try await withEventLoop { loop in
  try await with(loop) { stream in
    try await stream.write("abc")
    print(try await stream.read(exactly: 3))
    for text in ["d", "e", "f"] {
      try await stream.write(text)
      if text == "f" { try await stream.finishWriting() }
    }
    try await reads(stream)
  }
  try await with(loop) { stream in
    try await stream.write("subject: none\nlength: 5\n\nhello")
    print(String(decoding: try await message(from: stream), as: UTF8.self))
  }
  try await with(loop) { stream in
    print(try await line(of: stream, within: .milliseconds(10), loop) ?? "ended")
    try await stream.write("in time\n")
    print(try await line(of: stream, within: .seconds(5), loop) ?? "ended")
  }
  try await with(loop) { stream in print(try await answers(to: ["one", "two"], from: stream)) }
  try await with(loop) { stream in
    try await stream.write("counted")
    try await stream.finishWriting()
    print(try await loop.run { loop in try await count(stream, on: loop) })
  }

  let other = try EventLoop(.init(name: "other"))
  try await with(loop) { stream in
    try await stream.write("one\ntwo\n")
    print(try await stream.readLine() ?? "")
    let moved = try await move(stream, from: loop, to: other)
    print(try await moved.readLine() ?? "", moved)
    moved.close()
  }
  await other.shutdown()
}
