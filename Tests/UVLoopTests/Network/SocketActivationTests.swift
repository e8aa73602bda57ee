import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Sockets that a service manager passes to the process that it starts.
@Suite(.sideBySide, .serialized) struct SocketActivationTests {
  // MARK: The variables

  @Test func `L-71 the variables name each socket, or leave all of them unknown`() throws {
    #expect(try ActivationVariables(process: "7", count: "2", names: "web:admin").names(for: 7) == ["web", "admin"])
    #expect(try ActivationVariables(process: "7", count: "2", names: ":").names(for: 7) == ["", ""])
    #expect(try ActivationVariables(process: "7", count: "2").names(for: 7) == ["unknown", "unknown"])
  }

  @Test(arguments: [
    ActivationVariables(), .init(process: "7"), .init(count: "1"), .init(process: "8", count: "1"),
    .init(process: "", count: "1"), .init(process: "x", count: "1"), .init(process: "7", count: "0"),
  ])
  func `L-71 without the variables, and with those of another process, nothing was passed`(
    _ variables: ActivationVariables
  ) {
    let error = #expect(throws: UVError.self) { _ = try variables.names(for: 7) }
    #expect(error?.code == .addressNotAvailable)
    #expect(error?.message.contains("No socket was passed") == true)
  }

  @Test(arguments: [
    ActivationVariables(process: "7", count: "x"), .init(process: "7", count: "-1"),
    .init(process: "7", count: "99999999999"), .init(process: "7", count: "2", names: "web"),
    .init(process: "7", count: "1", names: "web:admin"),
  ])
  func `variables that contradict themselves are refused`(_ variables: ActivationVariables) {
    let error = #expect(throws: UVError.self) { _ = try variables.names(for: 7) }
    #expect(error?.code == .invalidArgument)
  }

  // MARK: The sockets

  @Test func `L-71 a passed socket serves, by its name and as the first, and not an exec gets it`() async throws {
    try await onTestLoop { loop, _ in
      let (tcp, unix) = (try PlainListener(), try PlainListener(on: .abstract("uvloop-\(getpid())-passed")))
      let passed = try Passed([tcp.descriptor, unix.descriptor], names: "web:admin")
      for descriptor in passed.numbers { #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0) }
      for (name, address) in [("web", tcp.address), ("admin", unix.address), (nil, tcp.address)] {
        let listener = try passed.listen(name, on: loop)
        let peer = try PlainSocket(connectingTo: address)
        let stream = try await listener.accept()
        #expect(name == "admin" ? stream is PipeStream : stream is TCPStream)
        try await stream.write("hello")
        #expect(try await onPlainThread { try peer.receive(exactly: 5) } == Array("hello".utf8))
        stream.close()
        listener.close()
      }
    }
  }

  @Test func `L-71 a socket that a listener has is in use, and is free when that has closed or was detached`()
    async throws
  {
    try await onTestLoop { loop, _ in
      let tcp = try PlainListener()
      let passed = try Passed([tcp.descriptor], names: "web")
      let first = try passed.listen("web", on: loop)
      try expectCode(.addressInUse) { _ = try passed.listen("web", on: loop) }
      try expectCode(.addressInUse) { _ = try passed.listen(nil, on: loop) }
      let early = try PlainSocket(connectingTo: tcp.address)
      first.close()
      // It is kept, and who waits in its queue with it.
      #expect(Posix.isOpen(passed.numbers[0]))
      let second = try passed.listen("web", on: loop)
      #expect(try await second.accept().peerAddress == early.ownAddress)
      let number = try await second.detach().release()
      let third = try passed.listen("web", on: loop)
      #expect(third.address == second.address)
      Posix.close(number)
    }
  }

  @Test func `L-71 sockets with one name have one listener`() async throws {
    try await onTestLoop { loop, _ in
      let (tcp, unix) = (try PlainListener(), try PlainListener(on: .abstract("uvloop-\(getpid())-named")))
      let passed = try Passed([tcp.descriptor, unix.descriptor], names: "web:web")
      let listener = try passed.listen("web", on: loop)
      let peers = [try PlainSocket(connectingTo: tcp.address), try PlainSocket(connectingTo: unix.address)]
      let streams = [try await listener.accept(), try await listener.accept()]
      #expect(streams.contains { $0 is TCPStream } && streams.contains { $0 is PipeStream })
      try expectCode(.addressInUse) { _ = try passed.listen(nil, on: loop) }
      _ = consume peers
    }
  }

  @Test func `L-71 a socket of the wrong kind, and a name that nobody has, is refused with a sentence`() async throws {
    try await onTestLoop { loop, _ in
      let datagrams = socket(AF_INET, Socket.datagram, 0)
      let (connected, _) = try PlainSocket.pair()
      let file = try #require(TemporaryFile())
      defer { Posix.close(datagrams) }
      let passed = try Passed([datagrams, connected.descriptor, file.descriptor], names: "udp:connection:file")
      try expectCode(.invalidArgument) { _ = try passed.listen("udp", on: loop) }
      try expectCode(.invalidArgument) { _ = try passed.listen("connection", on: loop) }
      try expectCode(.notSocket) { _ = try passed.listen("file", on: loop) }
      let error = #expect(throws: UVError.self) { _ = try passed.listen("web", on: loop) }
      #expect(error?.code == .addressNotAvailable)
      #expect(error?.message.contains("udp, connection, file") == true)

      let variables = ActivationVariables(process: "1", count: "1")
      let closed = SocketActivation(variables, process: 1, first: 100_000)
      try expectCode(.badFileDescriptor) { _ = try closed.open(nil) }
    }
  }

  @Test func `L-71 in a process to which nothing was passed the error says so`() async throws {
    try await withTestLoop { loop, _ in
      let error = await #expect(throws: UVError.self) { _ = try await loop.listen(on: .activatedSocket("web")) }
      #expect(error?.code == .addressNotAvailable)
      #expect(error?.call == "EventLoop.listen")
    }
  }

  // MARK: Processes

  @Test func `L-71 a process that is started with a socket serves at it, and not where it was another's`() async throws
  {
    try await Self.withProgram { program, folder in
      let listener = try PlainListener()
      try await Self.start(program, "LISTEN_PID=$$", passing: [listener.descriptor], in: folder) { _ in
        let peer = try PlainSocket(connectingTo: listener.address)
        #expect(try await onPlainThread { try peer.receiveAll() } == Array("hello".utf8))
      }
      let output = try await Self.start(program, "LISTEN_PID=1", passing: [listener.descriptor], in: folder) { $0 }
      #expect(Files.text(of: output) == "EADDRNOTAVAIL\n")
    }
  }

  @Test(
    .enabled(
      if: PeerProgram.isInstalled("systemd-socket-activate"),
      "This program is not installed: Scripts/setup --peers."))
  func `L-71 systemd passes a socket`() async throws {
    try await Self.withProgram { program, folder in
      let path = "\(folder)/socket"
      try await PeerProgram.serving("systemd-socket-activate -l '\(path)' --fdname=web '\(program)'") {
        // It listens when it is ready, and starts the program when somebody connects.
        await expectEventually { (try? PlainSocket(connectingTo: .unix(path))) != nil }
        let peer = try PlainSocket(connectingTo: .unix(path))
        #expect(try await onPlainThread { try peer.receiveAll() } == Array("hello".utf8))
      }
    }
  }

  /// Builds one that says hello to whoever connects to the socket "web", by the function of the client's program.
  private static func withProgram(_ body: (_ program: String, _ folder: String) async throws -> Void) async throws {
    let sources = "\(Files.folder(of: Files.folder(of: #filePath)))/Misuse/Fixtures/network-programs"
    let main = """
      import UVLoop

      @main struct Program {
        static func main() async throws {
          try await withEventLoop { loop in
            do {
              let listener = try await activated(loop, "web")
              try await listener.serve { _, stream in try await stream.write("hello") }
            } catch let error as UVError {
              print(error.code)
            }
          }
        }
      }
      """
    try await withScratchFolder { folder in
      let files = ["\(folder)/Descriptors.swift", "\(folder)/Program.swift"]
      try Files.write(Files.text(of: "\(sources)/Descriptors.swift.txt"), to: files[0])
      try Files.write(main, to: files[1])
      let program = "\(folder)/activated"
      let build = try await SwiftCompiler.build(files, [], to: program)
      try #require(build.status == 0, "\(build.output)")
      try await body(program, folder)
    }
  }

  @discardableResult
  private static func start<R>(
    _ program: String, _ process: String, passing descriptors: [Int32], in folder: String,
    _ body: (_ output: String) async throws -> R
  ) async throws -> R {
    let path = "\(folder)/output"
    let child = try ChildProcess.startingAlone {
      let output = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      let passed = descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
      defer { for descriptor in passed + [output] { Posix.close(descriptor) } }
      return try ChildProcess(
        "/bin/sh", ["-c", "\(process) LISTEN_FDS=\(descriptors.count) LISTEN_FDNAMES=web exec '\(program)'"],
        environment: [], output: output, errors: output, passing: passed)
    }
    let result: Result<R, any Error>
    do { result = .success(try await body(path)) } catch { result = .failure(error) }
    // One that serves is ended; of one that does not the end is waited for.
    if process == "LISTEN_PID=$$" { child.kill(SIGKILL) }
    _ = try await onPlainThread { child.wait() }
    return try result.get()
  }
}

/// Sockets as a service manager passes them: under numbers that follow each other, until this goes away.
private final class Passed {
  let numbers: [Int32]
  private let activation: SocketActivation

  init(_ descriptors: [Int32], names: String) throws {
    numbers = try Passed.inARow(descriptors)
    let first = numbers[0]
    activation = SocketActivation(
      ActivationVariables(process: "7", count: "\(descriptors.count)", names: names), process: 7, first: first)
  }

  deinit { for number in numbers { Posix.close(number) } }

  /// Tests beside this one open and close others all the time.
  private static func inARow(_ descriptors: [Int32]) throws -> [Int32] {
    var start: Int32 = 200
    for _ in 0..<100 {
      var numbers: [Int32] = []
      for descriptor in descriptors {
        numbers.append(fcntl(descriptor, F_DUPFD, numbers.last.map { $0 + 1 } ?? start))
      }
      if !numbers.contains(-1) && zip(numbers, numbers.dropFirst()).allSatisfy({ $0 + 1 == $1 }) { return numbers }
      for number in numbers { Posix.close(number) }
      start = (numbers.last ?? start) + 1
    }
    throw PlainFailure("fcntl(F_DUPFD)")
  }

  func listen(_ name: String?, on loop: isolated EventLoop) throws -> Listener<ByteStream> {
    Listener(try loop.probe.listener(at: try activation.open(name)))
  }
}
