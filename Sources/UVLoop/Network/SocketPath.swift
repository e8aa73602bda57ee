import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The file of a Unix socket that a listener has made.
///
/// The kernel makes it in `bind` and never removes it. It outlives its process, and a later `bind` then fails though
/// nobody listens.
struct SocketPath {
  private let path: String
  private let identity: Identity

  /// Which file it is: another one may have come to stand in its place.
  private struct Identity: Equatable {
    let device: UInt64
    let number: UInt64
    let isSocket: Bool
  }

  /// Binds the socket. Nil for an abstract name, which has no file.
  static func bind(
    _ descriptor: Int32, to address: SocketAddress, replacesStale: Bool, _ call: String
  ) throws(UVError) -> SocketPath? {
    var status = unsafe address.withUnsafeBytes { unsafe Socket.bind(descriptor, $0) }
    guard let path = address.path else {
      try check(status, call, hint: "Something else listens on \(address) already.")
      return nil
    }
    if UVError.Code(rawValue: status) == .addressInUse, replacesStale, isStale(path, address) {
      unlink(path)
      status = unsafe address.withUnsafeBytes { unsafe Socket.bind(descriptor, $0) }
    }
    let words =
      UVError.Code(rawValue: status) == .addressInUse
      ? "There is something at \(path) that is in use, or no socket." : "The path is \(path)."
    try check(status, call, hint: words)
    guard let identity = identity(of: path) else {
      throw UVError(status: -Posix.errno, call: call, hint: "The socket at \(path) has gone as soon as it was made.")
    }
    return SocketPath(path: path, identity: identity)
  }

  /// A socket at which nobody listens. Of a file that is no socket the kernel says the same when it is connected to.
  private static func isStale(_ path: String, _ address: SocketAddress) -> Bool {
    guard let found = identity(of: path), found.isSocket else { return false }
    let probe = Socket.make(AF_UNIX)
    if probe < 0 { return false }
    defer { Posix.close(probe) }
    let status = unsafe address.withUnsafeBytes { unsafe Socket.connect(probe, $0) }
    return UVError.Code(rawValue: status) == .connectionRefused
  }

  private static func identity(of path: String) -> Identity? {
    var status = stat()
    if unsafe lstat(path, &status) != 0 { return nil }
    return Identity(
      device: UInt64(status.st_dev), number: UInt64(status.st_ino), isSocket: status.st_mode & S_IFMT == S_IFSOCK)
  }

  func setPermissions(_ permissions: UInt16, _ call: String) throws(UVError) {
    if unsafe chmod(path, mode_t(permissions)) != 0 {
      throw UVError(status: -Posix.errno, call: call, hint: "The permissions of \(path) could not be set.")
    }
  }

  /// Removes the file, unless something else stands in its place by now.
  func remove() {
    if SocketPath.identity(of: path) == identity { unlink(path) }
  }
}

private func unlink(_ path: String) {
  #if canImport(Glibc)
    _ = unsafe Glibc.unlink(path)
  #elseif canImport(Musl)
    _ = unsafe Musl.unlink(path)
  #else
    _ = unsafe Darwin.unlink(path)
  #endif
}
