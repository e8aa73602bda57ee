// Sockets as the system has them: numbers, raw addresses, and statuses as libuv returns them.
//
// A status is zero or more, or a negative errno, which is libuv's number for the same failure on every system that we
// know. It is read at once after the call, before anything else can overwrite it. What a signal has interrupted is
// called again.

import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The system calls of sockets. All that are made here are non-blocking and closed by an `exec`.
enum Socket {
  #if canImport(Glibc)
    static let stream = Int32(SOCK_STREAM.rawValue)
    static let datagram = Int32(SOCK_DGRAM.rawValue)
    private static let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
  #else
    static let stream = SOCK_STREAM
    static let datagram = SOCK_DGRAM
    #if canImport(Musl)
      private static let flags = SOCK_CLOEXEC | SOCK_NONBLOCK
    #endif
  #endif

  // MARK: Making

  /// A new socket of a family (`AF_INET`) and a type; its descriptor or a negative errno.
  static func make(_ family: Int32, _ type: Int32 = stream) -> Int32 {
    #if canImport(Darwin)
      prepared(status { openSocket(family, type) })
    #else
      status { openSocket(family, type | flags) }
    #endif
  }

  /// Two Unix stream sockets that are connected; of no meaning where the status is negative.
  static func pair() -> (status: Int32, first: Int32, second: Int32) {
    var ends: [Int32] = [-1, -1]
    #if canImport(Darwin)
      var result = status { unsafe socketpair(AF_UNIX, stream, 0, &ends) }
      if result < 0 { return (result, -1, -1) }
      for end in ends.indices where result >= 0 {
        // Closed by `prepared` if it is the one that fails; then the other is closed here.
        result = min(prepared(ends[end]), 0)
        if result < 0 { Posix.close(ends[1 - end]) }
      }
    #else
      let result = status { unsafe socketpair(AF_UNIX, stream | flags, 0, &ends) }
    #endif
    return (result, ends[0], ends[1])
  }

  /// Takes the next connection that waits at a listening socket, and lends the `sockaddr` of the other end; its
  /// descriptor or a negative errno.
  static func accept(_ descriptor: Int32, _ body: (UnsafeRawBufferPointer) -> Void) -> Int32 {
    unsafe withAddress(body) { address, size in
      #if canImport(Darwin)
        prepared(unsafe acceptOne(descriptor, address, size))
      #else
        unsafe clibuv_accept(descriptor, address, size)
      #endif
    }
  }

  /// A second descriptor for what this one stands for, whose flags they share; never 0, 1 or 2, also where those are
  /// free.
  static func duplicate(_ descriptor: Int32) -> Int32 { status { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) } }

  // MARK: Using

  /// Binds the socket to the bytes of a `sockaddr`.
  static func bind(_ descriptor: Int32, _ address: UnsafeRawBufferPointer) -> Int32 {
    status { unsafe bindSocket(descriptor, address) }
  }

  /// Begins to connect to the bytes of a `sockaddr`: 0, or `EINPROGRESS` where the socket becomes writable later.
  static func connect(_ descriptor: Int32, _ address: UnsafeRawBufferPointer) -> Int32 {
    if unsafe connectSocket(descriptor, address) == 0 { return 0 }
    // A connect that a signal has interrupted goes on by itself. Called again it would say `EALREADY`.
    return Posix.errno == EINTR ? -EINPROGRESS : -Posix.errno
  }

  /// Lets others connect; at most about `backlog` of them wait to be accepted.
  static func listen(_ descriptor: Int32, backlog: Int32) -> Int32 { status { startListening(descriptor, backlog) } }

  /// Reads what is there: the number of bytes, 0 at the end, or a negative errno, `EAGAIN` if nothing is there.
  static func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    while true {
      let count = unsafe readBytes(descriptor, buffer)
      if count >= 0 { return count }
      let error = Posix.errno
      if error != EINTR { return -Int(error) }
    }
  }

  /// The same of a Unix socket, with the descriptors that came beside the bytes. They are closed by an `exec`.
  ///
  /// - Parameter came: Gets each of them, which is its own from now on.
  /// - Returns: `isCut` says that more came, and were dropped: the process may have no more.
  static func receive(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, _ came: (Int32) -> Void
  ) -> (count: Int, isCut: Bool) {
    unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: Int(clibuv_most_descriptors)) { passed in
      var (found, isCut) = (Int32(0), false)
      let count = unsafe clibuv_receive(
        descriptor, buffer.baseAddress, buffer.count, passed.baseAddress, &found, &isCut)
      for index in 0..<Int(found) { unsafe came(passed[index]) }
      return (count, isCut)
    }
  }

  /// Whether the next read would give a byte, 1, or the end, 0, or the negative errno that it would give.
  static func peek(_ descriptor: Int32) -> Int32 { status { peekByte(descriptor) } }

  // MARK: Options

  /// Sets an option whose value is an `int`.
  static func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) -> Int32 {
    var value = value
    return status { unsafe setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) }
  }

  /// An option whose value is an `int` that is not negative, or a negative errno.
  static func get(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    let result = status { unsafe getsockopt(descriptor, level, name, &value, &size) }
    return result < 0 ? result : value
  }

  /// How long a close waits for what is not sent yet; 0 makes it a reset, nil is the system's way: it never waits.
  static func setLinger(_ descriptor: Int32, seconds: Int32?) -> Int32 {
    var value = linger(l_onoff: seconds == nil ? 0 : 1, l_linger: seconds ?? 0)
    #if canImport(Darwin)
      let name = SO_LINGER_SEC
    #else
      let name = SO_LINGER
    #endif
    return status { unsafe setsockopt(descriptor, SOL_SOCKET, name, &value, socklen_t(MemoryLayout<linger>.size)) }
  }

  // MARK: Facts

  /// The type, ``stream`` for instance, or a negative errno: `ENOTSOCK` where the descriptor is not a socket.
  static func type(of descriptor: Int32) -> Int32 { get(descriptor, SOL_SOCKET, SO_TYPE) }

  /// The family, `AF_INET` for instance, or a negative errno.
  static func family(of descriptor: Int32) -> Int32 {
    var family = AF_UNSPEC
    let result = unsafe withLocalAddress(of: descriptor) { address in
      // A socket without a name may have no more bytes than these.
      let offset = MemoryLayout<sockaddr>.offset(of: \.sa_family) ?? 0
      family = unsafe Int32(address.loadUnaligned(fromByteOffset: offset, as: sa_family_t.self))
    }
    return result < 0 ? result : family
  }

  /// Whether it is a socket that connections can be accepted from.
  static func isListening(_ descriptor: Int32) -> Bool { get(descriptor, SOL_SOCKET, SO_ACCEPTCONN) > 0 }

  /// Whether it is a socket that has a peer.
  static func isConnected(_ descriptor: Int32) -> Bool { unsafe withPeerAddress(of: descriptor) { _ in } >= 0 }

  /// Lends the `sockaddr` that the socket is bound to, as long as it is: of a Unix socket the length says where the
  /// name ends. Calls nothing if the status is negative.
  static func withLocalAddress(of descriptor: Int32, _ body: (UnsafeRawBufferPointer) -> Void) -> Int32 {
    unsafe withAddress(body) { unsafe getsockname(descriptor, $0, $1) }
  }

  /// Lends the `sockaddr` of the peer, as ``withLocalAddress(of:_:)`` does its own: `ENOTCONN` without a peer.
  static func withPeerAddress(of descriptor: Int32, _ body: (UnsafeRawBufferPointer) -> Void) -> Int32 {
    unsafe withAddress(body) { unsafe getpeername(descriptor, $0, $1) }
  }

  /// Who connected a Unix socket, or listened at the one that it is connected to; nil where the system does not know.
  static func peerCredentials(of descriptor: Int32) -> (process: Int32, user: UInt32, group: UInt32)? {
    #if canImport(Darwin)
      var (process, user, group) = (pid_t(), uid_t(), gid_t())
      var size = socklen_t(MemoryLayout<pid_t>.size)
      if status({ unsafe getpeereid(descriptor, &user, &group) }) < 0 { return nil }
      if status({ unsafe getsockopt(descriptor, SOL_LOCAL, LOCAL_PEERPID, &process, &size) }) < 0 { return nil }
      return (process, user, group)
    #else
      // `ucred`, which hides behind _GNU_SOURCE.
      var peer: (process: Int32, user: UInt32, group: UInt32) = (0, 0, 0)
      var size = socklen_t(MemoryLayout.size(ofValue: peer))
      let result = status { unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) }
      // Of a socket without a peer, or of another family, Linux answers with process 0.
      return result < 0 || peer.process == 0 ? nil : peer
    #endif
  }

  // MARK: Private

  @inline(__always)
  private static func status(_ call: () -> Int32) -> Int32 {
    while true {
      let result = call()
      if result >= 0 { return result }
      let error = Posix.errno
      if error != EINTR { return -error }
    }
  }

  private static func withAddress(
    _ body: (UnsafeRawBufferPointer) -> Void,
    _ call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> Int32 {
    var storage = sockaddr_storage()
    // Holds because no address is longer than the storage; were one, the system would cut it and say its full length.
    return unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -EFAULT }
      var size = socklen_t(bytes.count)
      let result = status { unsafe call(start, &size) }
      if result >= 0 { unsafe body(UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(size)))) }
      return result
    }
  }

  #if canImport(Darwin)
    /// Sets by calls what other systems make a socket with, and closes it if that fails.
    private static func prepared(_ descriptor: Int32) -> Int32 {
      if descriptor < 0 { return descriptor }
      var result = status { fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
      if result >= 0 { result = status { fcntl(descriptor, F_SETFL, O_NONBLOCK) } }
      if result < 0 {
        Posix.close(descriptor)
        return result
      }
      // It fails where the peer has reset the connection already, and the first read says so better.
      _ = set(descriptor, SOL_SOCKET, SO_NOSIGPIPE, 1)
      return descriptor
    }
  #endif
}

// The functions of C whose names ours hide: inside the enum they could not be called without the module's name, which
// each system has its own of.

private func openSocket(_ family: Int32, _ type: Int32) -> Int32 { socket(family, type, 0) }

private func bindSocket(_ descriptor: Int32, _ address: UnsafeRawBufferPointer) -> Int32 {
  let start = unsafe address.baseAddress?.assumingMemoryBound(to: sockaddr.self)
  return unsafe bind(descriptor, start, socklen_t(address.count))
}

private func connectSocket(_ descriptor: Int32, _ address: UnsafeRawBufferPointer) -> Int32 {
  let start = unsafe address.baseAddress?.assumingMemoryBound(to: sockaddr.self)
  return unsafe connect(descriptor, start, socklen_t(address.count))
}

private func startListening(_ descriptor: Int32, _ backlog: Int32) -> Int32 { listen(descriptor, backlog) }

#if canImport(Darwin)
  private func acceptOne(
    _ descriptor: Int32, _ address: UnsafeMutablePointer<sockaddr>, _ size: UnsafeMutablePointer<socklen_t>
  ) -> Int32 { unsafe accept(descriptor, address, size) }
#endif

private func peekByte(_ descriptor: Int32) -> Int32 {
  var byte: UInt8 = 0
  return unsafe Int32(recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)))
}

private func readBytes(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
  unsafe read(descriptor, buffer.baseAddress, buffer.count)
}
