import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The `uv_pipe_t` of a connection over which streams are sent (SCM_RIGHTS).
///
/// libuv says when something has come, and this reads it: `uv_read_start` drops without a word what the process had no
/// descriptor for, and queues the others without a limit (`uv__stream_recv_cmsg` in `stream.c`). While nobody reads,
/// they stay in the kernel with the bytes.
@safe final class PassingEngine: PipeEngine {
  let passed = PassedDescriptors()
  /// Of the streams that come.
  let options: ByteStream.Options
  /// Told when descriptors have come, and the bytes beside them.
  weak var receiver: StreamReceiver?

  init(_ descriptor: Int32, on loop: LoopCore, _ options: ByteStream.Options, isAdopted: Bool) throws(UVError) {
    self.options = options
    try super.init(descriptor, on: loop, passesStreams: true, isAdopted: isAdopted)
  }

  // MARK: - Reading

  override func start() -> Int32 {
    // Without a buffer libuv reads nothing, and says so.
    unsafe uv_read_start(
      uvStream, { _, _, buffer in unsafe buffer?.pointee = uv_buf_t() },
      { stream, status, _ in unsafe PassingEngine.of(stream?.pointee.data)?.becameReadable(Int32(status)) })
  }

  private func becameReadable(_ status: Int32) {
    guard status == Int32(UV_ENOBUFS.rawValue), let descriptor, let room = unsafe sink?.room() else {
      return cameNone(status, isGuess: true)
    }
    let count = unsafe receive(from: descriptor, into: room)
    if count > 0 {
      sink?.received(count)
      receiver?.check()
    } else if count != Int(UV_EAGAIN.rawValue) {
      cameNone(count == 0 ? Int32(UV_EOF.rawValue) : Int32(count), isGuess: false)
    }
  }

  override func receive(from descriptor: Int32, into room: UnsafeMutableRawBufferPointer) -> Int {
    let (count, isCut) = unsafe Socket.receive(descriptor, into: room) { passed.add($0) }
    if isCut { passed.noteLost() }
    return count
  }

  override func letGo() { passed.close() }

  // MARK: - Writing

  /// What sends a descriptor with the first byte of a write. The descriptor is its own from now on, also where this
  /// throws.
  func courier(_ descriptor: Int32) throws(UVError) -> StreamCourier {
    StreamCourier(self, try PipeEngine(descriptor, on: loop, passesStreams: false, isAdopted: false))
  }
}

/// Sends a descriptor with the first byte of a write. Belongs to the loop's thread.
final class StreamCourier: StreamOutlet {
  private let pipe: PassingEngine
  /// libuv sends what is in a handle, and this one is there for nothing else. So the stream may be closed meanwhile.
  private let passed: PipeEngine

  init(_ pipe: PassingEngine, _ passed: PipeEngine) {
    self.pipe = pipe
    self.passed = passed
  }

  func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int {
    try unsafe pipe.tryWrite(parts, passing: passed.uvStream)
  }

  func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void) {
    unsafe pipe.write(bytes, passing: passed.uvStream, done: done)
  }

  /// It has gone, or will not go any more.
  func close() { passed.close(by: .owner) }
}

extension UVError {
  /// Whether the kernel lets no more descriptors be sent: more of them are under way than a process may have open.
  var isOfDescriptor: Bool { code.rawValue == -ETOOMANYREFS }
}
