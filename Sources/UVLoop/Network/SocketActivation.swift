import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The sockets that a service manager has opened for this process: systemd's socket activation, sd_listen_fds(3).
///
/// They are never closed here, as little as the descriptors 0 to 2: a listener gets a second descriptor of the socket,
/// and when it has closed another one can be made. The variables stay too: to a child they say that they are not its.
final class SocketActivation: Sendable {
  /// What this process was started with.
  static let shared = SocketActivation(
    ActivationVariables(
      process: variable("LISTEN_PID"), count: variable("LISTEN_FDS"), names: variable("LISTEN_FDNAMES")),
    process: getpid())

  private let first: Int32
  /// One for each socket.
  private let names: Result<[String], UVError>
  private let claims: [SocketClaim]

  /// - Parameter first: The number of the first descriptor; systemd begins behind the standard ones.
  init(_ variables: ActivationVariables, process: Int32, first: Int32 = 3) {
    self.first = first
    let names = Result { () throws(UVError) in
      let names = try variables.names(for: process)
      for index in names.indices { try SocketActivation.prepare(first + Int32(index), names.count) }
      return names
    }
    self.names = names
    claims = ((try? names.get()) ?? []).map { _ in SocketClaim() }
  }

  /// What is started from now on does not get them.
  private static func prepare(_ descriptor: Int32, _ count: Int) throws(UVError) {
    if fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 { return }
    throw UVError(
      .badFileDescriptor, call: call,
      "LISTEN_FDS says that \(count) sockets were passed, and descriptor \(descriptor) is not open.")
  }

  /// Those with the name, or the first. The caller closes them.
  func open(_ name: String?) throws(UVError) -> [ListeningSocket] {
    var sockets: [ListeningSocket] = []
    do throws(UVError) {
      for index in try places(of: name) { sockets.append(try open(index)) }
      return sockets
    } catch {
      for socket in sockets { socket.close() }
      throw error
    }
  }

  private func places(of name: String?) throws(UVError) -> [Int] {
    let names = try names.get()
    guard let name else { return [0] }
    let found = names.indices.filter { names[$0] == name }
    if !found.isEmpty { return found }
    throw UVError(
      .addressNotAvailable, call: SocketActivation.call,
      "No socket named \"\(name)\" was passed to this process. It has \(names.joined(separator: ", ")).")
  }

  private func open(_ index: Int) throws(UVError) -> ListeningSocket {
    let number = first + Int32(index)
    let address = try ListeningSocket.address(of: number, isUnix: nil, SocketActivation.call)
    let claim = claims[index]
    if !claim.begin() {
      throw UVError(
        .addressInUse, call: SocketActivation.call, "Another listener has the socket on \(address). Close that first.")
    }
    do throws(UVError) {
      let descriptor = try check(Socket.duplicate(number), SocketActivation.call)
      return ListeningSocket(descriptor: descriptor, address: address, path: nil, isAdopted: false, claim: claim)
    } catch {
      claim.end()
      throw error
    }
  }

  fileprivate static let call = "EventLoop.listen"

  private static func variable(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }
}

/// Whether a listener has the socket.
final class SocketClaim: Sendable {
  private let isTaken = Atomic(false)

  /// False if another one has it.
  func begin() -> Bool { !isTaken.exchange(true, ordering: .acquiringAndReleasing) }

  func end() { isTaken.store(false, ordering: .releasing) }
}

/// The variables in which a service manager says what it has passed.
struct ActivationVariables {
  /// LISTEN_PID: whose they are.
  var process: String?
  /// LISTEN_FDS: how many.
  var count: String?
  /// LISTEN_FDNAMES: their names, with colons between them.
  var names: String?

  /// One for each socket that was passed to this process; at least one.
  func names(for own: Int32) throws(UVError) -> [String] {
    guard let count else { throw nothing("LISTEN_FDS is not set") }
    guard let process else { throw nothing("LISTEN_PID is not set, and LISTEN_FDS alone may be meant for another") }
    guard Int32(process) == own else { throw nothing("LISTEN_PID names process \(process), and this is \(own)") }
    // Behind these numbers there are no descriptors.
    guard let number = Int(count), (0...0xffff).contains(number) else {
      throw UVError(
        .invalidArgument, call: SocketActivation.call, "LISTEN_FDS is \"\(count)\", and no number of sockets.")
    }
    if number == 0 { throw nothing("LISTEN_FDS is 0") }
    // As sd_listen_fds_with_names(3) calls them.
    guard let names else { return Array(repeating: "unknown", count: number) }
    let list = names.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    if list.count == number { return list }
    throw UVError(
      .invalidArgument, call: SocketActivation.call,
      "LISTEN_FDS is \(number), and LISTEN_FDNAMES has \(list.count) names: \"\(names)\".")
  }

  private func nothing(_ why: String) -> UVError {
    UVError(
      .addressNotAvailable, call: SocketActivation.call,
      """
      No socket was passed to this process: \(why). Start it by a service manager with socket activation, or listen on \
      an address.
      """)
  }
}
