import ArgumentParser
import Synchronization
import UVLoop

/// The server that sends back datagrams. It has no connections: who asks is known by each datagram's address.
extension Echo {
  func sendBackDatagrams(_ loop: isolated EventLoop, _ output: Output) async throws {
    let socket = try await loop.bindUDP(to: .loopback(port: UInt16(port)))
    let tally = Tally()
    let server = loop.task(name: "server") { _ in
      for try await datagram in socket {
        tally.datagrams.add(1, ordering: .relaxed)
        try await socket.send(datagram.bytes, to: datagram.peerAddress)
        tally.bytes.add(datagram.bytes.count, ordering: .relaxed)
      }
    }
    let report = loop.task(name: "report") { loop in try await self.report(tally, loop, output) }
    let address = socket.localAddress
    let ending = try await withClients(loop, { try await ask(address, $0) }) { loop in
      try await waitForTheEnd(address, loop, output)
    }
    socket.close()
    report.cancel()
    try await report.value
    try await server.value
    output.fact("ended by", .text(ending))
    output.fact("datagrams", .number(tally.datagrams.load(ordering: .relaxed)))
    output.fact("bytes sent back", .number(tally.bytes.load(ordering: .relaxed)))
  }

  /// A row for each moment at which something has come, until its task is cancelled.
  private func report(_ tally: Tally, _ loop: isolated EventLoop, _ output: Output) async throws {
    let start = loop.clock.now
    var (before, seen) = (start, 0)
    for try await _ in try loop.ticks(every: every.duration) {
      let (now, datagrams) = (loop.clock.now, tally.datagrams.load(ordering: .relaxed))
      if datagrams != seen {
        let rate = Double(datagrams - seen) / (before.duration(to: now) / .seconds(1))
        let row = output.table(
          "traffic",
          [
            "after": .time(start.duration(to: now)), "datagrams": .number(datagrams),
            "bytes so far": .number(tally.bytes.load(ordering: .relaxed)), "datagrams a second": .number(Int(rate)),
          ])
        try await show(row, loop)
      }
      (before, seen) = (now, datagrams)
    }
  }
}

/// Asks, and waits for the answer, until its task is cancelled. A datagram may be lost: it asks again after a while.
private func ask(_ address: SocketAddress, _ loop: EventLoop) async throws {
  let socket = try await loop.bindUDP()
  defer { socket.close() }
  try await socket.connect(to: address)
  let question = (0..<512).map { UInt8(truncatingIfNeeded: $0) }
  while true {
    try await socket.send(question)
    do {
      let answer = try await loop.withTimeout(.milliseconds(200)) { try await socket.receive().bytes }
      if answer != question { throw ValidationError("the answer differs from what was sent.") }
    } catch let error as UVError where error.code == .timedOut {}
  }
}
