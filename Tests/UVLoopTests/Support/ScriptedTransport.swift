import Testing

@testable import UVLoop

/// A transport that takes and brings what the test says, when the test says it. Belongs to the loop's thread.
@safe final class ScriptedTransport: StreamTransport {
  /// So many bytes more are taken at once.
  var room = 0
  /// All bytes that were taken, at once or by a write that has ended.
  private(set) var taken: [UInt8] = []
  private(set) var isFinished = false
  private(set) var isClosed = false
  private let probe: LoopProbe
  private var sink: (any StreamSink)?
  private var write: (bytes: [UInt8], done: (UVError?) -> Void)?
  private var finish: ((UVError?) -> Void)?

  init(on loop: isolated EventLoop) { probe = loop.probe }

  /// How many bytes it has of the write that is under way.
  var pending: Int? { write?.bytes.count }

  var isFinishing: Bool { finish != nil }

  // MARK: What the test says

  /// The write that is under way has ended.
  func endWrite(_ error: UVError? = nil) {
    guard let (bytes, done) = write.take() else { preconditionFailure("No write is under way.") }
    if error == nil { taken += bytes }
    done(error)
  }

  /// Ends writes, and the end, until none is under way.
  func endAll() {
    while write != nil { endWrite() }
    if finish != nil { endFinish() }
  }

  func endFinish(_ error: UVError? = nil) {
    guard let done = finish.take() else { preconditionFailure("The end is not under way.") }
    isFinished = error == nil
    done(error)
  }

  /// Bytes come: how many of them somebody has wanted.
  @discardableResult
  func bring(_ bytes: [UInt8]) -> Int {
    var count = 0
    while count < bytes.count, let room = unsafe sink?.room() {
      let piece = bytes[count...].prefix(room.count)
      unsafe room.copyBytes(from: piece)
      count += piece.count
      sink?.received(piece.count)
    }
    return count
  }

  func bringEnd(_ error: UVError? = nil) { sink.take()?.ended(error) }

  // MARK: What the stream says

  func startReading(into sink: any StreamSink) throws(UVError) { self.sink = sink }

  func stopReading() {}

  func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int {
    precondition(write == nil && !isClosed && !isFinished, "A write was tried where none may be.")
    var count = 0
    for index in parts.indices {
      let piece = unsafe parts[index].prefix(room)
      unsafe taken.append(contentsOf: piece)
      count += unsafe piece.count
      room -= unsafe piece.count
    }
    return count
  }

  func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void) {
    precondition(write == nil && !isClosed && !isFinished, "A write was begun where none may be.")
    write = unsafe (Array(bytes), done)
  }

  func finishWriting(done: @escaping (UVError?) -> Void) {
    precondition(write == nil && finish == nil && !isClosed && !isFinished, "The end was begun where it must not be.")
    finish = done
  }

  func close(resetting: Bool) {
    isClosed = true
    sink = nil
    let (write, finish) = (write.take(), finish.take())
    // Later, as libuv does.
    probe.enqueue {
      write?.done(UVError(.canceled, call: "write", "It was closed."))
      finish?(UVError(.canceled, call: "finishWriting", "It was closed."))
    }
  }

  var descriptor: Int32? { nil }
}

/// Like `onTestLoop`, with a stream over a scripted transport, which is closed afterwards.
func onScriptedStream(
  time: EventLoop.Time = .real, options: ByteStream.Options = .init(),
  _ body:
    @Sendable (
      _ loop: isolated EventLoop, _ stream: ByteStream, _ transport: ScriptedTransport
    ) async throws -> Void
) async throws {
  try await onTestLoop(time: time) { loop, _ in
    let transport = ScriptedTransport(on: loop)
    let stream = ByteStream(over: transport, on: loop, options: options)
    defer { stream.close() }
    try await body(loop, stream, transport)
  }
}
