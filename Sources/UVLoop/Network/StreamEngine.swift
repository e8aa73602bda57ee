// The file is long because all callbacks of libuv's streams are here and nowhere else.

import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension RequestKind {
  fileprivate static let write = RequestKind(rawValue: "write")
  fileprivate static let finishWriting = RequestKind(rawValue: "finishWriting")
}

/// A `uv_stream_t`: the one place with its callbacks. Kinds differ in how they begin. Belongs to the loop's thread.
@safe class StreamEngine: Handle, StreamTransport {
  final private(set) var sink: (any StreamSink)?
  /// Whether `uv_read_start` is in force.
  private final var isStarted = false
  /// Bytes are there, and nobody wants them.
  private final var isUnwanted = false
  /// Whether libuv hands the descriptor to the kernel in the next poll, and it may have been closed by then.
  private final var isFresh = false
  /// Somebody else had the descriptor before, and may have kept its number.
  private final let isAdopted: Bool
  /// What the number of such a one stands for.
  private final var identity: Posix.Identity?
  /// It has been closed behind the stream.
  private final var isGone = false
  /// The write, or the end, that libuv has.
  private final var request: StreamRequest?

  init(
    _ type: uv_handle_type, _ typeName: StaticString, on loop: LoopCore, isAdopted: Bool,
    _ initialise: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> Int32
  ) throws(UVError) {
    self.isAdopted = isAdopted
    unsafe try super.init(type, typeName, on: loop, isTakenOn: !isAdopted, initialise)
  }

  /// Last in the init of a kind: what it made of the attempt to open the descriptor.
  final func open(_ descriptor: Int32, _ attempt: () -> Int32) throws(UVError) {
    let status = loop.handles.afresh(descriptor, attempt)
    if status >= 0 {
      if isAdopted { identity = Posix.Identity(of: descriptor) }
      return
    }
    // libuv has not taken it.
    Posix.close(descriptor)
    close(by: .owner)
    throw UVError(status: status, call: "\(typeName).init")
  }

  final var uvStream: UnsafeMutablePointer<uv_stream_t> { unsafe memory.assumingMemoryBound(to: uv_stream_t.self) }

  final var descriptor: Int32? { state.isClosed ? nil : watchedDescriptor }

  /// Also while it closes.
  override final var watchedDescriptor: Int32? {
    var descriptor: Int32 = -1
    return unsafe uv_fileno(uvHandle, &descriptor) == 0 ? descriptor : nil
  }

  /// Sets what somebody has asked for.
  func apply(_ options: ByteStream.Options) throws(UVError) {
    if let size = options.sendBufferSize { try set(SO_SNDBUF, size, "sendBufferSize") }
    if let size = options.receiveBufferSize { try set(SO_RCVBUF, size, "receiveBufferSize") }
  }

  private final func set(_ option: Int32, _ size: Int, _ name: StaticString) throws(UVError) {
    let size = try ByteStream.Options.bufferSize(size, "\(typeName).Options.\(name)")
    if let descriptor { try check(Socket.set(descriptor, SOL_SOCKET, option, size), "\(typeName).Options.\(name)") }
  }

  // MARK: - Reading

  final func startReading(into sink: any StreamSink) throws(UVError) {
    isUnwanted = false
    if isStarted { return }
    if let closeReason = state.closeReason { throw closedError("read", closeReason) }
    if isGone { throw goneError("read") }
    self.sink = sink
    try check(start(), "\(typeName).read")
    isStarted = true
    noteChange()
    if loop.time.virtual != nil { loop.handles.callBeforePoll(self) }
    activate(.reading)
  }

  /// Lets libuv read.
  func start() -> Int32 {
    // A reader without a scope of its own is anybody's: the object is found by the handle, which the loop keeps.
    unsafe uv_read_start(
      uvStream,
      { handle, _, buffer in
        guard let data = unsafe handle?.pointee.data, let buffer = unsafe buffer else { return }
        unsafe Unmanaged<StreamEngine>.fromOpaque(data)._withUnsafeGuaranteedRef { unsafe $0.allocate(buffer) }
      },
      { stream, count, buffer in
        guard let data = unsafe stream?.pointee.data else { return }
        unsafe Unmanaged<StreamEngine>.fromOpaque(data)._withUnsafeGuaranteedRef { unsafe $0.came(count, buffer) }
      })
  }

  final func stopReading() {
    if !isStarted { return }
    isStarted = false
    _ = unsafe uv_read_stop(uvStream)
    deactivate(.reading)
  }

  final func tryRead(into room: UnsafeMutableRawBufferPointer) throws(UVError) -> Int? {
    if isGone { throw goneError("tryRead") }
    guard let descriptor else { throw closedError("tryRead", state.closeReason ?? .owner) }
    let count = unsafe receive(from: descriptor, into: room)
    if count == Int(UV_EAGAIN.rawValue) { return nil }
    if count < 0 { throw UVError(status: Int32(count), call: "\(typeName).tryRead") }
    return count
  }

  /// Reads what is there: the number of bytes, 0 at the end, or a negative errno.
  func receive(from descriptor: Int32, into room: UnsafeMutableRawBufferPointer) -> Int {
    unsafe Socket.read(descriptor, into: room)
  }

  @inline(__always)
  private final func allocate(_ buffer: UnsafeMutablePointer<uv_buf_t>) {
    let room = unsafe sink?.room()
    unsafe buffer.pointee.base = room?.baseAddress?.assumingMemoryBound(to: CChar.self)
    unsafe buffer.pointee.len = room?.count ?? 0
  }

  @inline(__always)
  private final func came(_ count: Int, _ buffer: UnsafePointer<uv_buf_t>?) {
    if count > 0 {
      sink?.received(count)
    } else if count < 0 {
      unsafe cameNone(Int32(truncatingIfNeeded: count), isGuess: buffer?.pointee.base == nil)
    }
  }

  /// - Parameter isGuess: libuv has not read an end: behind bytes it goes by the poll alone, which says of a reset too
  ///   that nothing comes any more (`uv__stream_io` in `stream.c`).
  @inline(never)
  final func cameNone(_ status: Int32, isGuess: Bool) {
    if status == Int32(UV_ENOBUFS.rawValue) {
      // Reading goes on if somebody wants them before the poll.
      isUnwanted = true
      loop.handles.callBeforePoll(self)
      return
    }
    stopReading()
    let sink = sink.take()
    var status = status
    if isGuess, status == Int32(UV_EOF.rawValue), let descriptor {
      // A pipe says that it is no socket, and knows no resets.
      let found = Socket.peek(descriptor)
      if found < 0, found != Int32(UV_ENOTSOCK.rawValue), found != Int32(UV_EAGAIN.rawValue) { status = found }
    }
    sink?.ended(isEnd(status) ? nil : UVError(status: status, call: "\(typeName).read", hint: advice(on: status)))
  }

  /// Whether a status of reading is the peer's end.
  func isEnd(_ status: Int32) -> Bool { status == Int32(UV_EOF.rawValue) }

  /// What to do about an error of reading, where the kind knows more.
  func advice(on status: Int32) -> String? { nil }

  /// libuv tells epoll in its next poll what it watches the descriptor for, and aborts the process if epoll refuses it.
  private final func noteChange() {
    if !isAdopted || state.isClosed { return }
    isFresh = true
    loop.handles.callBeforePoll(self)
  }

  /// Checks whether an adopted descriptor is still what it was.
  private final func checkDescriptor() {
    if identity == nil || isGone { return }
    if let descriptor = watchedDescriptor, identity == Posix.Identity(of: descriptor) { return }
    isGone = true
    stopReading()
    unsafe clibuv_leave_descriptor(uvStream)
  }

  private final func goneError(_ call: StaticString) -> UVError {
    UVError(
      .badFileDescriptor, call: "\(typeName).\(call)",
      "The descriptor was closed behind the stream. Close the stream and nothing else.")
  }

  override final func beforePoll() -> Bool {
    if isFresh {
      isFresh = false
      checkDescriptor()
      if isGone { return true }
    }
    if !isStarted { return false }
    if loop.time.virtual != nil {
      // A stream that is merely open must not hold the time.
      if unsafe sink?.room() == nil { isUnwanted = true }
      loop.handles.callBeforePoll(self)
    }
    if isUnwanted {
      isUnwanted = false
      stopReading()
    }
    return false
  }

  override final func afterPoll() {
    if state.isClosed { return }
    // libuv has the request until the stream closes, and does nothing with it.
    request.take()?.fail(goneError("write"))
    let sink = sink.take()
    sink?.ended(goneError("read"))
  }

  // MARK: - Writing

  final func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int {
    try unsafe tryWrite(parts, passing: nil)
  }

  /// The same, and sends the descriptor of a handle with the first byte.
  @inline(__always)
  final func tryWrite(
    _ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>, passing passed: UnsafeMutablePointer<uv_stream_t>?
  ) throws(UVError) -> Int {
    if isGone { throw goneError("write") }
    let status: Int32
    if parts.count == 1 {
      var buffer = unsafe StreamEngine.buffer(parts[0])
      status = unsafe uv_try_write2(uvStream, &buffer, 1, passed)
    } else {
      status = unsafe withUnsafeTemporaryAllocation(of: uv_buf_t.self, capacity: parts.count) { buffers in
        for index in parts.indices {
          unsafe buffers.initializeElement(at: index, to: StreamEngine.buffer(parts[index]))
        }
        return unsafe uv_try_write2(uvStream, buffers.baseAddress, UInt32(parts.count), passed)
      }
    }
    if status >= 0 { return Int(status) }
    if status == Int32(UV_EAGAIN.rawValue) { return 0 }
    throw UVError(status: status, call: "\(typeName).write")
  }

  private static func buffer(_ bytes: UnsafeRawBufferPointer) -> uv_buf_t {
    let base = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
    return unsafe uv_buf_t(base: base, len: bytes.count)
  }

  var endsWriting: Bool { true }

  final func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void) {
    unsafe write(bytes, passing: nil, done: done)
  }

  /// The same, and sends the descriptor of a handle with the first byte. The handle stays open until then.
  final func write(
    _ bytes: UnsafeRawBufferPointer, passing passed: UnsafeMutablePointer<uv_stream_t>?,
    done: @escaping (UVError?) -> Void
  ) {
    if isGone { return done(goneError("write")) }
    let request = StreamRequest(.write, UV_WRITE, of: self, "\(typeName).write", done)
    self.request = request
    var buffer = unsafe StreamEngine.buffer(bytes)
    let stream = unsafe uvStream
    unsafe request.start { memory in
      unsafe uv_write2(memory.assumingMemoryBound(to: uv_write_t.self), stream, &buffer, 1, passed) { request, status in
        unsafe PendingRequest.finish(request?.pointee.data, status)
      }
    }
    noteChange()
  }

  func finishWriting(done: @escaping (UVError?) -> Void) {
    if isGone { return done(goneError("finishWriting")) }
    let request = StreamRequest(.finishWriting, UV_SHUTDOWN, of: self, "\(typeName).finishWriting", done)
    self.request = request
    let stream = unsafe uvStream
    unsafe request.start { memory in
      unsafe uv_shutdown(memory.assumingMemoryBound(to: uv_shutdown_t.self), stream) { request, status in
        unsafe PendingRequest.finish(request?.pointee.data, status)
      }
    }
  }

  // MARK: - The end

  /// libuv is done with its one request.
  fileprivate final func ended(_ request: StreamRequest) {
    if self.request === request { self.request = nil }
    noteChange()
  }

  final func close(resetting: Bool) {
    if state.isClosed { return }
    if resetting {
      checkDescriptor()
      if let descriptor { reset(descriptor) }
    }
    close(by: .owner)
  }

  /// Closes the handle of a stream that is open, which can read no more then.
  final func end() {
    let sink = sink.take()
    close(by: .owner)
    sink?.closed(closedError("read", .owner))
  }

  /// Makes the close one that the peer sees as a failure, where the kind has such a thing.
  func reset(_ descriptor: Int32) {}

  override final func willFree() { loop.network.descriptorIsFree() }

  /// It closes, and its descriptor is still open.
  func letGo() {}

  override final func willClose() {
    letGo()
    checkDescriptor()
    isFresh = false
    isStarted = false
    let sink = sink.take()
    if case .loop? = state.closeReason { sink?.closed(closedError("close", .loop)) }
  }
}

extension HandleActivity {
  /// Bytes are read, or waited for.
  fileprivate static let reading = HandleActivity(rawValue: 2)
}

/// A write or an end that libuv has of a stream. The callback always comes, at the latest when the handle closes.
private final class StreamRequest: PendingRequest, @unchecked Sendable {  // Holds as for all requests.
  private let engine: StreamEngine
  private let call: String
  private var done: ((UVError?) -> Void)?

  init(
    _ kind: RequestKind, _ type: uv_req_type, of engine: StreamEngine, _ call: String,
    _ done: @escaping (UVError?) -> Void
  ) {
    self.engine = engine
    self.call = call
    self.done = done
    // A shutdown closes the handle, and with it this ends.
    super.init(kind, type, on: engine.loop, isAwaited: false)
  }

  func start(_ submit: (UnsafeMutableRawPointer) -> Int32) {
    let status = unsafe self.submit { unsafe submit($1) }
    if status < 0 { ended(status) }
  }

  override func ended(_ status: Int32) {
    engine.ended(self)
    let done = done.take()
    done?(status < 0 ? UVError(status: status, call: call) : nil)
  }

  /// It will not be done, though libuv has it still.
  func fail(_ error: UVError) {
    let done = done.take()
    done?(error)
  }
}
