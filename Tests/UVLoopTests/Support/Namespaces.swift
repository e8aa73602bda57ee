@testable import UVLoop

#if os(Linux)
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// Two sockets that are connected over a network of their own, which can be cut: what is sent then comes to nobody,
  /// and nobody says so.
  final class CutNetwork: Sendable {
    let ours: PlainSocket
    let peer: PlainSocket
    private let control: Int32

    /// Nil where this process may not make a network.
    init?() async throws {
      let made = try await onPlainThread { () -> (ours: PlainSocket, peer: PlainSocket, control: Int32)? in
        // Of this thread, which ends. The sockets keep it.
        if unsafe unshareNetwork(newNetwork) != 0 { return nil }
        let control = try check(Socket.make(AF_INET, Socket.datagram), "socket")
        if !setLoopbackFlags(control, isUp: true) { return nil }
        let listener = try PlainListener()
        let ours = try PlainSocket(connectingTo: listener.address)
        return (ours, try listener.accept(), control)
      }
      guard let made else { return nil }
      (ours, peer, control) = made
    }

    deinit { Posix.close(control) }

    func cut() { _ = setLoopbackFlags(control, isUp: false) }
  }

  /// A network of its own, in which sockets can be made, and whose one interface comes and goes.
  final class SeparateNetwork: Sendable {
    private let namespace: Int32
    private let control: Int32

    /// Nil where this process may not make a network.
    init?() async throws {
      let made = try await onPlainThread { () -> (namespace: Int32, control: Int32)? in
        // Of this thread, which ends. Its descriptor keeps it.
        if unsafe unshareNetwork(newNetwork) != 0 { return nil }
        let namespace = openNetwork()
        let control = try check(Socket.make(AF_INET, Socket.datagram), "socket")
        if namespace < 0 || !setLoopbackFlags(control, isUp: true) { return nil }
        return (namespace, control)
      }
      guard let made else { return nil }
      (namespace, control) = made
    }

    deinit {
      Posix.close(namespace)
      Posix.close(control)
    }

    /// Makes sockets in it. Nothing in `body` may start a thread, which would stay there.
    func inside<R>(_ body: () throws -> R) throws -> R {
      let outside = openNetwork()
      defer { Posix.close(outside) }
      if unsafe enterNetwork(namespace, newNetwork) != 0 { throw PlainFailure("setns") }
      defer { precondition(unsafe enterNetwork(outside, newNetwork) == 0, "There is no way back to the network.") }
      return try body()
    }

    func setLoopback(isUp: Bool) { _ = setLoopbackFlags(control, isUp: isUp) }
  }

  /// CLONE_NEWNET.
  private let newNetwork: Int32 = 0x4000_0000

  /// That of the calling thread.
  private func openNetwork() -> Int32 { unsafe open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC) }

  /// `ifreq`, of which Swift sees a union: a name of 16 bytes and the flags behind it.
  private func setLoopbackFlags(_ control: Int32, isUp: Bool) -> Bool {
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<2, with: Array("lo".utf8))
    request[16] = isUp ? 1 : 0
    let setFlags: UInt = 0x8914
    return unsafe ioctl(control, setFlags, &request) == 0
  }

  /// Hides behind _GNU_SOURCE, so that Swift does not see it.
  private nonisolated(unsafe) let unshareNetwork: @convention(c) (Int32) -> Int32 = {
    // Holds because it is a function of the C library, which is always there.
    unsafe unsafeBitCast(dlsym(nil, "unshare"), to: (@convention(c) (Int32) -> Int32).self)
  }()

  /// The same.
  private nonisolated(unsafe) let enterNetwork: @convention(c) (Int32, Int32) -> Int32 = {
    // Holds for the same reason.
    unsafe unsafeBitCast(dlsym(nil, "setns"), to: (@convention(c) (Int32, Int32) -> Int32).self)
  }()
#endif
