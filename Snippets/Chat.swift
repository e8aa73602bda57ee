// A chat: what one says all others get, and nobody waits for those who do not keep up.

import UVLoop

// snippet.room
/// Who is there. An actor on the loop: calls between it and the handlers do not hop.
actor Room: LoopActor {
  nonisolated let loop: EventLoop
  private var members: [ObjectIdentifier: (name: String, stream: TCPStream)] = [:]

  init(on loop: EventLoop) { self.loop = loop }

  func enter(_ name: String, _ stream: TCPStream) { members[ObjectIdentifier(stream)] = (name, stream) }
  func leave(_ stream: TCPStream) { members[ObjectIdentifier(stream)] = nil }

  /// A member that does not keep up is thrown out.
  func say(_ text: String, from sender: TCPStream) {
    let line = Array("\(members[ObjectIdentifier(sender)]?.name ?? "?"): \(text)\n".utf8)
    for (id, member) in members where id != ObjectIdentifier(sender) {
      let keepsUp = (try? member.stream.enqueue(line)) ?? false
      if !keepsUp {
        member.stream.reset()
        members[id] = nil
      }
    }
  }
}
// snippet.end

// snippet.serve
func chat(_ loop: EventLoop, _ listener: TCPListener) async throws {
  let room = Room(on: loop)
  try await listener.serve(limit: 1_000) { _, stream in
    stream.timeouts.read = .seconds(600)
    try await stream.write("Your name? ")
    guard let name = try await stream.readLine(limit: 64) else { return }
    await room.enter(name, stream)
    do {
      for try await line in stream.lines(limit: 512) { await room.say(line, from: stream) }
    } catch {
      await room.leave(stream)
      throw error
    }
    await room.leave(stream)
  }
}
// snippet.end

try await withEventLoop { loop in
  let listener = try await loop.listen(on: .loopback(port: 0))
  async let server: Void = chat(loop, listener)

  let ada = try await loop.connect(to: .address(listener.address))
  _ = try await ada.read(until: Array("? ".utf8))
  try await ada.write("Ada\n")

  let ben = try await loop.connect(to: .address(listener.address))
  try await ben.write("Ben\nIs anybody here?\n")
  print(try await ada.readLine() ?? "")  // Ben: Is anybody here?

  ada.close()
  ben.close()
  listener.close()
  try await server
}
