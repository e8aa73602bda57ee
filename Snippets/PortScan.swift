// Many connections at the same time, each with a limit: which ports of a host are open.

import UVLoop

// snippet.scan
/// Which ports are open, 200 at a time.
func scan(_ host: String, _ ports: ClosedRange<UInt16>) async throws -> [UInt16] {
  try await withEventLoop { loop in
    try await withThrowingTaskGroup(of: UInt16?.self) { group in
      var open: [UInt16] = []
      var next = ports.makeIterator()
      for _ in 0..<200 { if let port = next.next() { group.addTask { try await probe(host, port, loop) } } }
      while let result = try await group.next() {
        if let result { open.append(result) }
        if let port = next.next() { group.addTask { try await probe(host, port, loop) } }
      }
      return open.sorted()
    }
  }
}

private func probe(_ host: String, _ port: UInt16, _ loop: EventLoop) async throws -> UInt16? {
  do {
    let stream = try await loop.connect(to: .tcp(host, port), timeout: .milliseconds(300))
    stream.close()
    return port
  } catch let error as UVError where [.connectionRefused, .timedOut, .connectionTimedOut].contains(error.code) {
    return nil
  }
}
// snippet.end

// snippet.names
/// The names of a host's addresses.
func names(of host: String, on loop: EventLoop) async throws -> [String] {
  var names: [String] = []
  for address in try await loop.resolve(host, port: 80) { names.append(try await loop.reverseResolve(address).host) }
  return names
}
// snippet.end

try await withEventLoop { loop in
  let listener = try await loop.listen(on: .loopback(port: 0))
  let port = listener.address.port ?? 0
  print(try await scan("127.0.0.1", max(port, 1_100) - 100...min(port, .max - 100) + 100).contains(port))  // true
  print(try await names(of: "localhost", on: loop))
  listener.close()
}
