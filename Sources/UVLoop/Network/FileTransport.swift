import CLibUV

extension RequestKind {
  fileprivate static let readFile = RequestKind(rawValue: "read")
  fileprivate static let writeFile = RequestKind(rawValue: "write")
}

/// A file, and what else epoll refuses, such as `/dev/null`: read and written in the pool, at the position that it has,
/// which it shares with whoever else has it open. Belongs to the loop's thread.
///
/// No more is read than somebody wants, and one read at a time. Bytes that come when their reader has gone wait here
/// for the next one.
@safe final class FileTransport: StreamTransport {
  private let loop: LoopCore
  private let typeName: StaticString
  /// Ours. Closed when no request uses it any more.
  private let own: Int32
  private var requests = 0
  private var isClosed = false

  private weak var sink: (any StreamSink)?
  private var isReading = false
  /// What was read, and where that lies which was not handed on.
  private var buffer: RequestBuffer?
  private var start = 0
  private var end = 0
  private var isDue = false

  /// - Parameter descriptor: The transport's from now on.
  init(_ descriptor: Int32, on loop: LoopCore, _ typeName: StaticString) {
    own = descriptor
    self.loop = loop
    self.typeName = typeName
  }

  var descriptor: Int32? { isClosed ? nil : own }

  // MARK: Reading

  func startReading(into sink: any StreamSink) throws(UVError) {
    self.sink = sink
    if start < end { deliverLater() } else if !isReading { read() }
  }

  func stopReading() {}

  /// Not while it is called: who wants the bytes is about to wait for them.
  private func deliverLater() {
    if isDue { return }
    isDue = true
    loop.enqueue {
      self.isDue = false
      self.deliver()
    }
  }

  private func deliver() {
    while start < end, !isClosed, let sink {
      guard let room = unsafe sink.room(), let buffer else { return }
      let count = min(room.count, end - start)
      unsafe room.copyMemory(from: UnsafeRawBufferPointer(start: buffer.start + start, count: count))
      start += count
      sink.received(count)
    }
    if !isClosed && !isReading { read() }
  }

  /// Reads as much as is wanted, if somebody wants it.
  private func read() {
    guard let wanted = unsafe sink?.room() else { return }
    let buffer = reusable(wanted.count)
    self.buffer = buffer
    isReading = true
    (start, end) = (0, 0)
    let file = own
    let request = FileRequest(.readFile, on: loop) { self.cameToEnd(ofReading: $0) }
    unsafe begin(request) { uvLoop, memory in
      var piece = unsafe uv_buf_t(base: buffer.start.assumingMemoryBound(to: CChar.self), len: wanted.count)
      return unsafe uv_fs_read(uvLoop, memory, file, &piece, 1, -1) { unsafe FileRequest.finish($0) }
    }
  }

  private func reusable(_ count: Int) -> RequestBuffer {
    if let buffer, buffer.count >= count { return buffer }
    return RequestBuffer(count: count)
  }

  private func cameToEnd(ofReading count: Int) {
    isReading = false
    requestHasEnded()
    if isClosed { return }
    if count > 0 {
      end = count
      return deliver()
    }
    buffer = nil
    if count == Int(UV_EINTR.rawValue) { return read() }
    // The loop shuts down.
    if count == Int(UV_ECANCELED.rawValue) { return }
    let error = count < 0 ? UVError(status: Int32(count), call: "\(typeName).read") : nil
    sink?.ended(error)
  }

  // MARK: Writing

  /// The pool does it, and a caller of this does not wait for that.
  func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int { 0 }

  func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void) {
    let file = own
    let request = FileRequest(.writeFile, on: loop) { count in
      self.requestHasEnded()
      if count > 0 && count < bytes.count && !self.isClosed {
        return unsafe self.write(UnsafeRawBufferPointer(rebasing: bytes[count...]), done: done)
      }
      // A device that takes nothing, and has no reason, would be asked for ever.
      let status = count == 0 && bytes.count > 0 ? Int32(UV_EIO.rawValue) : Int32(count)
      done(status < 0 ? UVError(status: status, call: "\(self.typeName).write") : nil)
    }
    unsafe begin(request) { uvLoop, memory in
      let base = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
      var piece = unsafe uv_buf_t(base: base, len: bytes.count)
      return unsafe uv_fs_write(uvLoop, memory, file, &piece, 1, -1) { unsafe FileRequest.finish($0) }
    }
  }

  /// What is sent whole is one request, which a shutdown lets end.
  var sliceSize: Int { StreamWriter.wholeSize }

  func finishWriting(done: @escaping (UVError?) -> Void) { done(nil) }

  // MARK: The end

  func close(resetting: Bool) {
    if isClosed { return }
    isClosed = true
    sink = nil
    closeIfUnused()
  }

  private func begin(
    _ request: FileRequest, _ start: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutablePointer<uv_fs_t>) -> Int32
  ) {
    requests += 1
    unsafe request.start { unsafe start($0, $1) }
  }

  private func requestHasEnded() {
    requests -= 1
    closeIfUnused()
  }

  private func closeIfUnused() {
    if isClosed && requests == 0 { Posix.close(own) }
  }
}

/// One read or write in the pool. Belongs to the loop's thread.
private final class FileRequest: PendingRequest, @unchecked Sendable {  // Holds as for all requests.
  private var done: ((Int) -> Void)?
  private let mayBeAbandoned: Bool

  init(_ kind: RequestKind, on loop: LoopCore, _ done: @escaping (Int) -> Void) {
    self.done = done
    mayBeAbandoned = kind == .readFile
    super.init(kind, UV_FS, on: loop)
  }

  func start(_ start: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutablePointer<uv_fs_t>) -> Int32) {
    // A process that exits begins nothing any more.
    if !ExitGuard.enter() { return }
    let status = unsafe submit { unsafe start($0, $1.assumingMemoryBound(to: uv_fs_t.self)) }
    ExitGuard.leave()
    if status < 0 { ended(status) }
  }

  /// In libuv's callback.
  static func finish(_ request: UnsafeMutablePointer<uv_fs_t>?) {
    guard let request = unsafe request else { return }
    let result = unsafe Int32(truncatingIfNeeded: request.pointee.result)
    unsafe uv_fs_req_cleanup(request)
    unsafe PendingRequest.finish(request.pointee.data, result)
  }

  override func ended(_ status: Int32) {
    let done = done.take()
    done?(Int(status))
  }

  /// What a read brings nobody needs any more. A write goes on.
  override func releaseWaits() {
    if !mayBeAbandoned { return }
    stopAwaiting()
    cancel()
  }
}
