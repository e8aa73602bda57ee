import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Listening on Unix sockets, and what stands at their paths before and after.
@Suite(.sideBySide) struct UnixListenerTests {
  @Test func `L-23 100 clients on a socket's path echo intact`() async throws {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        let listener = try await loop.listen(on: .unix(path))
        #expect(listener.address.path == path)
        let server = Task {
          try await listener.serve { _, stream in for try await bytes in stream { try await stream.write(bytes) } }
        }
        let pattern = Pattern(seed: 23)
        try await withThrowingTaskGroup { group in
          for thread in 0..<10 {
            group.addTask {
              try await onPlainThread {
                for client in (0..<10).map({ thread * 10 + $0 }) {
                  let peer = try PlainSocket(connectingTo: .unix(path))
                  let bytes = pattern.bytes(at: client * 1_000, count: 10_000)
                  #expect(try peer.exchange(bytes) == bytes)
                }
              }
            }
          }
          try await group.waitForAll()
        }
        #expect(listener.statistics.accepted == 100)
        listener.close()
        try await server.value
      }
    }
  }

  @Test func `a connection shows the path as the address of the end that listens`() async throws {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        let listener = try await loop.listen(on: .unix(path))
        let client = try await loop.connect(to: .unix(path))
        let server = try await listener.accept()
        #expect(client.peerAddress == listener.address)
        #expect(server.localAddress == listener.address)
        #expect(server.peerAddress?.description == "unix:")
        #expect(client.localAddress?.description == "unix:")
        #expect(server.peerCredentials?.process == getpid())
        #expect(client.peerCredentials?.user == geteuid())
      }
    }
  }

  #if os(Linux)
    @Test func `an abstract name is listened on and connected to, and is free after the close`() async throws {
      try await onTestLoop { loop, _ in
        let name = "uvloop-listener-\(getpid())"
        for _ in 0..<2 {
          let listener = try await loop.listen(on: .unix("@\(name)"))
          #expect(listener.address.description == "@\(name)")
          #expect(listener.address.path == nil)
          let peer = try PlainSocket(connectingTo: .abstract(name))
          let stream = try await listener.accept()
          try await stream.write("hello")
          #expect(try peer.receive(exactly: 5) == Array("hello".utf8))
          try await expectCode(.addressInUse) { _ = try await loop.listen(on: .unix("@\(name)")) }
          listener.close()
        }
        // Not at once: a child that another test starts holds the socket until it runs its program.
        try await expectEventually {
          try await errorCode { _ = try await loop.connect(to: .unix("@\(name)")) } == .connectionRefused
        }
      }
    }
  #endif

  // MARK: - What stands at the path

  @Test func `L-70 the path is removed at close, by shutdown, and where the listener is dropped`() async throws {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        let listener = try await loop.listen(on: .unix(path))
        #expect(isSocket(path))
        listener.close()
        await expectEventually { !exists(path) }
        do { _ = try await loop.listen(on: .unix(path)) }
        await expectEventually { !exists(path) }
        let last = try await loop.listen(on: .unix(path))
        await loop.shutdown()
        #expect(!exists(path))
        #expect(last.isClosed)
      }
    }
  }

  @Test func `L-70 at close a path stays that something else has taken`() async throws {
    try await withSocketPath { path in
      try await onTestLoop { loop, _ in
        let listener = try await loop.listen(on: .unix(path))
        unsafe unlink(path)
        try Files.write("not a socket", to: path)
        listener.close()
        #expect(Files.text(of: path) == "not a socket")
        unsafe unlink(path)

        let first = try await loop.listen(on: .unix(path))
        unsafe unlink(path)
        let second = try await loop.listen(on: .unix(path))
        first.close()
        #expect(isSocket(path))
        _ = try PlainSocket(connectingTo: .unix(path))
        second.close()
        #expect(!exists(path))
      }
    }
  }

  @Test func `L-70 a socket at which nobody listens any more is replaced, unless that is not wanted`() async throws {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        try bindPlainly(path, plainStream)
        #expect(isSocket(path))

        var options = PipeListener.Options()
        options.replacesStaleSocket = false
        try await expectCode(.addressInUse) { _ = try await loop.listen(on: .unix(path), options: options) }
        #expect(isSocket(path))

        let listener = try await loop.listen(on: .unix(path))
        _ = try PlainSocket(connectingTo: .unix(path))
        #expect(try await listener.accept().localAddress == listener.address)
      }
    }
  }

  @Test func `L-70 a socket at which somebody listens is addressInUse, and goes on listening`() async throws {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        let live = try PlainListener(on: .unix(path))
        let error = await #expect(throws: UVError.self) { _ = try await loop.listen(on: .unix(path)) }
        #expect(error?.code == .addressInUse)
        #expect(error?.message.contains(path) == true)
        let peer = try PlainSocket(connectingTo: .unix(path))
        // The first is the probe, which has gone.
        _ = try live.accept()
        let accepted = try live.accept()
        try accepted.sendAll("live")
        #expect(try peer.receive(exactly: 4) == Array("live".utf8))

        // Also one whose queue is full.
        let full = try SilentListener(on: .unix(path + "2"))
        try await expectCode(.addressInUse) { _ = try await loop.listen(on: .unix(path + "2")) }
        _ = try full.acceptOne()
        let own = try await loop.listen(on: .unix(path + "3"))
        try await expectCode(.addressInUse) { _ = try await loop.listen(on: .unix(path + "3")) }
        #expect(!own.isClosed)
      }
    }
  }

  @Test func `a plain file, a folder, a link and a datagram socket at the path are addressInUse, and untouched`()
    async throws
  {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        try Files.write("mine", to: path)
        try await expectCode(.addressInUse) { _ = try await loop.listen(on: .unix(path)) }
        #expect(Files.text(of: path) == "mine")
        unsafe unlink(path)

        unsafe mkdir(path, 0o700)
        try await expectCode(.addressInUse) { _ = try await loop.listen(on: .unix(path)) }
        unsafe rmdir(path)

        let datagram = try bindPlainly(path, Socket.datagram, keepsOpen: true)
        try await expectCode(.addressInUse) { _ = try await loop.listen(on: .unix(path)) }
        #expect(isSocket(path))
        Posix.close(datagram)
        unsafe unlink(path)

        // A link to a socket that nobody listens at any more: the link is not ours to remove.
        try bindPlainly(path + "2", plainStream)
        unsafe symlink(path + "2", path)
        try await expectCode(.addressInUse) { _ = try await loop.listen(on: .unix(path)) }
        #expect(isSocket(path + "2"))
        #expect(Files.target(of: path) == path + "2")
      }
    }
  }

  @Test func `the permissions of the path are those that the options say`() async throws {
    try await withSocketPath { path in
      try await onTestLoop { loop, _ in
        for permissions in [UInt16(0o600), 0o666, 0o640] {
          var options = PipeListener.Options()
          options.permissions = permissions
          let listener = try await loop.listen(on: .unix(path), options: options)
          #expect(mode(of: path) & 0o777 == mode_t(permissions))
          listener.close()
        }
      }
    }
  }

  @Test func `a path in a folder that is not there throws noSuchFileOrDirectory`() async throws {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        let error = await #expect(throws: UVError.self) { _ = try await loop.listen(on: .unix(path + "/in/none")) }
        #expect(error?.code == .noSuchFileOrDirectory)
        #expect(error?.message.contains(path) == true)
      }
    }
  }

  @Test func `L-25 the longest path is listened at, and connected to, whole`() async throws {
    try await withScratchFolder { folder in
      let room = SocketAddress.unixCapacity - 1 - folder.utf8.count - 1
      let path = "\(folder)/\(String(repeating: "p", count: room))"
      try await withTestLoop { loop, _ in
        let listener = try await loop.listen(on: .unix(path))
        #expect(listener.address.path == path)
        #expect(isSocket(path))
        let stream = try await loop.connect(to: .unix(path))
        #expect(stream.peerAddress?.path == path)
      }
    }
  }

  // MARK: - Moving on

  @Test func `L-70 a detached socket's path stays, and that of an adopted one is never removed`() async throws {
    try await withSocketPath { path in
      try await onTestLoop { loop, _ in
        let number = try await loop.listen(on: .unix(path)).detach().release()
        #expect(isSocket(path))
        let waiting = try PlainSocket(connectingTo: .unix(path))
        let adopted = try PipeListener(adopting: OwnedDescriptor(owning: number))
        #expect(adopted.address.path == path)
        let stream = try await adopted.accept()
        try await stream.write("adopted")
        #expect(try waiting.receive(exactly: 7) == Array("adopted".utf8))
        adopted.close()
        #expect(isSocket(path))
        try expectCode(.invalidArgument) {
          let plain = try PlainListener(on: .unix(path + "2"))
          _ = try TCPListener(adopting: OwnedDescriptor(duplicating: plain.descriptor), isolation: loop)
        }
      }
    }
  }
}

private func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

private func isSocket(_ path: String) -> Bool { mode(of: path) & S_IFMT == S_IFSOCK }

private func mode(of path: String) -> mode_t {
  var status = stat()
  return unsafe lstat(path, &status) == 0 ? status.st_mode : 0
}

/// Leaves a socket at the path at which nobody listens.
@discardableResult
private func bindPlainly(_ path: String, _ type: Int32, keepsOpen: Bool = false) throws -> Int32 {
  let socket = Socket.make(AF_UNIX, type)
  let status = unsafe PlainAddress.unix(path).withSockaddr { unsafe bind(socket, $0, $1) }
  if status != 0 { throw PlainFailure("bind") }
  if !keepsOpen { Posix.close(socket) }
  return socket
}
