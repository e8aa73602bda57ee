import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The `uv_tcp_t` of one connection.
@safe final class TCPEngine: StreamEngine {
  /// One over a socket, connected or to be connected, which is the handle's from now on, also where this throws.
  init(_ descriptor: Int32, on loop: LoopCore, isAdopted: Bool) throws(UVError) {
    do throws(UVError) {
      try unsafe super.init(UV_TCP, "TCPStream", on: loop, isAdopted: isAdopted) { uvLoop, memory in
        unsafe uv_tcp_init(uvLoop, memory.bindMemory(to: uv_tcp_t.self, capacity: 1))
      }
    } catch {
      Posix.close(descriptor)
      throw error
    }
    try open(descriptor) { unsafe uv_tcp_open(uvTCP, descriptor) }
  }

  var uvTCP: UnsafeMutablePointer<uv_tcp_t> { unsafe memory.assumingMemoryBound(to: uv_tcp_t.self) }

  /// A socket with this option sends a reset when it is closed, and drops what it had to send. That is what
  /// `uv_tcp_close_reset` does, which refuses where the writing has ended.
  override func reset(_ descriptor: Int32) { _ = Socket.setLinger(descriptor, seconds: 0) }

  override func apply(_ options: ByteStream.Options) throws(UVError) {
    if options.noDelay { try setNoDelay(true) }
    if let delay = options.keepAlive { try setKeepAlive(delay) }
    try super.apply(options)
  }

  func setNoDelay(_ isOn: Bool) throws(UVError) {
    try unsafe check(uv_tcp_nodelay(uvTCP, isOn ? 1 : 0), "TCPStream.setNoDelay")
  }

  func setKeepAlive(_ delay: Duration?) throws(UVError) {
    let seconds = try ByteStream.Options.keepAliveSeconds(delay, "TCPStream.setKeepAlive")
    try unsafe check(uv_tcp_keepalive(uvTCP, seconds == nil ? 0 : 1, seconds ?? 0), "TCPStream.setKeepAlive")
  }
}
