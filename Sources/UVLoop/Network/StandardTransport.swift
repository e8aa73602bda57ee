import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// What is behind a number, and how it is used:
//   a terminal        opened again by its name (TTYEngine)
//   a pipe            opened again: O_NONBLOCK belongs to what is open, which the shell has too
//   a socket, and what cannot be opened again
//                     as it is, non-blocking until we have done with it (SharedFlags)
//   a file, and what epoll refuses
//                     in the pool (FileTransport)

/// What is behind a standard stream. It is looked at, and claimed for the loop, at the first use: a stream that nobody
/// uses changes nothing. Belongs to the loop's thread, but any thread may make one.
@safe final class StandardTransport: StreamTransport {
  private let number: StandardDescriptor
  // Holds because the stream's core, which has this, keeps the loop's.
  private unowned(unsafe) let loop: LoopCore
  private var below: (any StreamTransport)?
  private var isClosed = false
  /// `O_RDONLY` and its like.
  private var access = O_RDWR
  private var flag: SharedFlags.Token?

  init(_ number: StandardDescriptor, on loop: LoopCore) {
    self.number = number
    unsafe self.loop = loop
  }

  // MARK: On any thread

  /// The shell and whoever else has it goes on writing.
  var endsWriting: Bool { false }

  /// Nobody would be told that what was queued is another loop's to write.
  func refusal(toQueue call: StaticString) -> UVError? {
    unsafe StandardClaims.process.refusal(number, for: loop, "\(number.typeName).\(call)")
  }

  // MARK: On the loop: opening

  var descriptor: Int32? { isClosed || !number.wasOpen ? nil : number.rawValue }

  /// While another loop has it, and while there is no descriptor for it, it can be tried again.
  var isLasting: Bool { below != nil }

  var sliceSize: Int { below?.sliceSize ?? StreamWriter.sliceSize }

  private func opened(_ name: StaticString) throws(UVError) -> any StreamTransport {
    if let below { return below }
    let call = "\(number.typeName).\(name)"
    if !number.wasOpen || !Posix.isOpen(number.rawValue) {
      let reason = number.wasOpen ? "has been closed by the program" : "was closed when the first loop began"
      throw UVError(.badFileDescriptor, call: call, "\(number.title), descriptor \(number.rawValue), \(reason).")
    }
    try unsafe StandardClaims.process.claim(number, for: loop, name)
    access = Posix.flags(of: number.rawValue) & O_ACCMODE
    let below = try open(call)
    self.below = below
    return below
  }

  private func open(_ call: String) throws(UVError) -> any StreamTransport {
    let number = number.rawValue
    if Posix.isTerminal(number) { return try unsafe TTYEngine(try duplicate(call), on: loop) }
    switch Posix.kind(of: number) {
    case S_IFIFO:
      let own = Posix.reopen(number)
      if own < 0 { return try openShared(call) }
      // A named pipe whose writers had gone before tells nothing of that to who opens it again: he might be early.
      if access == O_RDONLY && Posix.hasHungUp(number) && !Posix.hasHungUp(own) {
        Posix.close(own)
        return try openShared(call)
      }
      return try unsafe PipeEngine(own, on: loop, passesStreams: false, isAdopted: false)
    case S_IFSOCK: return try openShared(call)
    case S_IFREG, S_IFDIR, S_IFBLK:
      return unsafe FileTransport(try duplicate(call), on: loop, self.number.typeName)
    default:
      if unsafe Posix.refusal(toPoll: number, by: uv_backend_fd(loop.rawLoop.loop)) == 0 {
        return try openShared(call)
      }
      return unsafe FileTransport(try duplicate(call), on: loop, self.number.typeName)
    }
  }

  private func duplicate(_ call: String) throws(UVError) -> Int32 {
    try check(Socket.duplicate(number.rawValue), call)
  }

  private func openShared(_ call: String) throws(UVError) -> any StreamTransport {
    flag = try SharedFlags.process.claim(number.rawValue, call)
    do throws(UVError) {
      return try unsafe PipeEngine(try duplicate(call), on: loop, passesStreams: false, isAdopted: false)
    } catch {
      releaseFlag()
      throw error
    }
  }

  private func releaseFlag() {
    if let flag = flag.take() { SharedFlags.process.release(flag) }
  }

  private func wrongWay(_ name: StaticString, _ only: String) -> UVError {
    UVError(
      .badFileDescriptor, call: "\(number.typeName).\(name)",
      "\(number.title) is open for \(only) only in this process.")
  }

  private func openedForReading(_ name: StaticString) throws(UVError) -> any StreamTransport {
    let below = try opened(name)
    if access == O_WRONLY { throw wrongWay(name, "writing") }
    return below
  }

  private func openedForWriting(_ name: StaticString) throws(UVError) -> any StreamTransport {
    let below = try opened(name)
    if access == O_RDONLY { throw wrongWay(name, "reading") }
    return below
  }

  // MARK: On the loop: reading and writing

  func startReading(into sink: any StreamSink) throws(UVError) {
    try openedForReading("read").startReading(into: sink)
  }

  func stopReading() { below?.stopReading() }

  func tryRead(into room: UnsafeMutableRawBufferPointer) throws(UVError) -> Int? {
    unsafe try openedForReading("tryRead").tryRead(into: room)
  }

  func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int {
    unsafe try openedForWriting("write").tryWrite(parts)
  }

  func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void) {
    do throws(UVError) { unsafe try openedForWriting("write").write(bytes, done: done) } catch { done(error) }
  }

  /// Nothing is under way: what was written has gone.
  func finishWriting(done: @escaping (UVError?) -> Void) { done(nil) }

  // MARK: On the loop: the end

  /// Nobody is told that it was reset: it is not ours alone.
  func close(resetting: Bool) {
    isClosed = true
    below.take()?.close(resetting: false)
    releaseFlag()
  }
}
