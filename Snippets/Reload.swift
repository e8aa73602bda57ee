// A server that begins anew when it is told to, and loses nobody by that.

import Foundation
import UVLoop

// snippet.reload
/// Serves with what `configuration` says, and asks it again at each SIGHUP.
///
/// Who is connected goes on as it began. Whoever connects between the two waits in the socket's queue.
func serve(
  _ loop: EventLoop, on endpoint: TCPEndpoint, configuration: @Sendable () async throws -> String
) async throws {
  try await withThrowingDiscardingTaskGroup { group in
    var hangups = try loop.signals(.hangup).makeAsyncIterator()
    var listener = try await loop.listen(on: endpoint)
    while true {
      let greeting = try await configuration()
      group.addTask { [listener] in
        do {
          try await listener.serve { _, stream in
            try await stream.write(greeting)
            try await stream.copy(to: stream)
          }
        } catch let error as UVError where error.code == .handleClosed {
          // The next signal came before it had begun.
        }
      }
      if try await hangups.next() == nil { break }
      // `serve` takes nobody any more, and ends when those have ended that it has.
      let socket = try await listener.detach().release()
      listener = try await loop.run { _ in try TCPListener(adopting: OwnedDescriptor(owning: socket)) }
    }
  }
}
// snippet.end

try await withEventLoop { loop in
  let free = try await loop.listen(on: .loopback(port: 0))
  let endpoint = try TCPEndpoint.address(free.address)
  free.close()
  let (configurations, asks) = AsyncStream.makeStream(of: Void.self)
  let server = loop.task { _ in
    try await serve(loop, on: endpoint) {
      asks.yield()
      return "hello\n"
    }
  }
  var asked = configurations.makeAsyncIterator()
  await asked.next()

  /// Until the server is there.
  func connect() async throws -> TCPStream {
    while true {
      if let stream = try? await loop.connect(to: endpoint) { return stream }
      try await loop.sleep(for: .milliseconds(10))
    }
  }
  let first = try await connect()
  print(try await first.readLine() ?? "nothing")
  kill(getpid(), SIGHUP)
  await asked.next()
  let second = try await connect()
  print(try await second.readLine() ?? "nothing")
  try await first.write("still here\n")
  print(try await first.readLine() ?? "nothing")
  server.cancel()
}
