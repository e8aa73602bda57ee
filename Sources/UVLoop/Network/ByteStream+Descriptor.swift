#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension ByteStream {
  /// Lends the stream's descriptor, for options that have no name here, such as `SO_MARK`.
  ///
  /// A stream over another stream lends that one's.
  ///
  /// - Throws: What `body` throws; ``UVError/Code/notSupported`` if there is no descriptor;
  ///   ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > Ownership: It stays the stream's. Do not close it, and do not read from it.
  ///
  /// > libuv: `uv_fileno`.
  public final func withUnsafeDescriptor<R>(
    isolation: isolated any LoopActor = #isolation, _ body: (Int32) throws -> R
  ) throws -> R {
    try inner.requireOpen("withUnsafeDescriptor")
    return try body(try inner.descriptor("withUnsafeDescriptor"))
  }

  /// Leaves the loop: gives the descriptor away, for another loop or for C, and closes the stream.
  ///
  /// What the stream itself holds must be taken out before, with ``takeBuffered(isolation:)``; the new owner can give
  /// it back with ``unread(_:isolation:)``.
  ///
  /// - Throws: ``UVError/Code/busy`` while somebody waits, bytes are held or queued, or streams that came over it have
  ///   not been taken; ``UVError/Code/notSupported`` if there is no descriptor, or the stream lies over another one;
  ///   ``UVError/Code/tornWrite`` after a write that was cut, behind which nothing can be written;
  ///   ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Ownership: The descriptor is the caller's. It is a second one for the same connection, as libuv lets go of a
  /// handle's own only when it closes it.
  public final func detach() async throws -> OwnedDescriptor {
    if inner.loop.isCurrent { return OwnedDescriptor(owning: try inner.detach()) }
    return OwnedDescriptor(owning: try await inner.elsewhere("detach") { [inner] _ in try inner.detach() })
  }
}

extension StreamCore {
  /// For what is done at once, on the loop, with a stream that is open.
  func requireOpen(_ name: StaticString) throws(UVError) {
    try requireOnLoop(name)
    if isClosed { throw StreamCore.closedError(.handleClosed, typeName, loop, call(name)) }
  }

  func descriptor(_ name: StaticString) throws(UVError) -> Int32 {
    if let descriptor = transport.descriptor { return descriptor }
    throw UVError(.notSupported, call: call(name), "This stream has no descriptor.")
  }

  fileprivate func detach() throws -> Int32 {
    let descriptor = try duplicate(for: "detach") { () throws(UVError) in
      if reader.isInUse || reader.receiver?.isOccupied == true {
        throw UVError(.busy, call: call("detach"), "Somebody reads. End that first.")
      }
    }
    close()
    return descriptor
  }

  /// A second descriptor of the same connection, for somebody who goes on where the stream stands.
  func duplicate(
    for name: StaticString, _ requireMore: () throws(UVError) -> Void = {}
  ) throws(UVError) -> Int32 {
    try loop.requireRunning(call(name))
    if isClosed { throw StreamCore.closedError(.handleClosed, typeName, loop, call(name)) }
    if transport is StandardTransport {
      throw UVError(
        .notSupported, call: call(name),
        "A standard stream stays the process's. Use its number, or OwnedDescriptor(duplicating:) of that.")
    }
    // Whoever has the descriptor then would write on behind the part that has gone.
    if writer.isTorn, let error = writer.refused(name) { throw error }
    try requireMore()
    if !writer.isIdle { throw UVError(.busy, call: call(name), "Somebody writes. Let that be done first.") }
    if reader.receiver?.isEmpty == false {
      throw UVError(
        .busy, call: call(name), "Streams have come that nobody has taken. Take them first, with receiveStream.")
    }
    if !reader.isEmpty {
      throw UVError(
        .busy, call: call(name),
        "The stream holds \(reader.count) bytes that were read ahead. Take them out first, with takeBuffered.")
    }
    guard transport is StreamEngine else {
      throw UVError(
        .notSupported, call: call(name),
        "This stream lies over another one, and the descriptor below carries other bytes than it does.")
    }
    return try check(Socket.duplicate(try descriptor(name)), call(name))
  }
}

extension StreamEngine {
  /// Refuses what is no stream of this kind, before libuv gets it.
  static func requireConnected(_ descriptor: Int32, isUnix: Bool, _ call: String) throws(UVError) {
    if !Posix.isOpen(descriptor) {
      throw UVError(.badFileDescriptor, call: call, "Descriptor \(descriptor) is not open.")
    }
    let type = Socket.type(of: descriptor)
    if type < 0 {
      if isUnix && Posix.isPipe(descriptor) { return }
      throw UVError(
        .invalidArgument, call: call, "Descriptor \(descriptor) is no socket\(isUnix ? " and no pipe" : "").")
    }
    let family = Socket.family(of: descriptor)
    let isOfKind = isUnix ? family == AF_UNIX : family == AF_INET || family == AF_INET6
    if type != Socket.stream || !isOfKind {
      throw UVError(
        .invalidArgument, call: call,
        "Descriptor \(descriptor) is a socket of another kind than \(isUnix ? "a Unix" : "a TCP") stream.")
    }
    if !Socket.isConnected(descriptor) {
      throw UVError(
        .invalidArgument, call: call,
        "Descriptor \(descriptor) is a socket without a peer. For one that listens there is Listener(adopting:).")
    }
  }

  func applyOrClose(_ options: ByteStream.Options) throws(UVError) {
    do throws(UVError) { try apply(options) } catch {
      close(by: .owner)
      throw error
    }
  }
}
