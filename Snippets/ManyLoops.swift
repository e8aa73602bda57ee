// A server on as many loops as there are CPUs.

// snippet.hide
import Foundation

// snippet.show
import UVLoop

// snippet.server
/// Connections that go to the loop with the fewest, a loop for each core.
func echoOnManyLoops(
  port: UInt16, ready: @Sendable (SocketAddress) -> Void = { print("listening on", $0) }
) async throws {
  try await withEventLoopGroup { group in
    let listener = try await group.listen(on: .allInterfaces(port: port))
    ready(listener.address)
    try await listener.serve { _, stream in
      for try await bytes in stream { try await stream.write(bytes) }
    }
  }
}
// snippet.end

let (addresses, found) = AsyncStream.makeStream(of: SocketAddress.self)
let server = Task { try await echoOnManyLoops(port: 0) { found.yield($0) } }
for await address in addresses {
  try await withEventLoop { loop in
    for number in 1...4 {
      let stream = try await loop.connect(to: .loopback(port: address.port ?? 0), timeout: .seconds(5))
      try await stream.write("hello \(number)\n")
      print("the server says", try await stream.readLine() ?? "nothing")
      stream.close()
    }
  }
  break
}
server.cancel()
_ = await server.result
