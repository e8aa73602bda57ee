extension Workload {
  /// Streams and servers: each server runs alone in its process, and all meet the load of one program in C.
  ///
  /// What counts is `.cpu`, the time that the server's threads run for one answer: how many come in a second is as much
  /// the load's doing.
  static let serving: [Workload] = [
    echoing(1, placements: [.free, .oneCPU]), echoing(50), echoing(500),
    serving(
      "W5.bulk64k", "a connection sends blocks of 64 KiB and has them back",
      under: Load("bulk", connections: 1, bytes: 65_536), by: allInC + ours + swiftNIO),
    serving(
      "W5.storm", "connections come, have a byte back, and are reset", size: 50_000, quickSize: 2_000,
      under: Load("storm", connections: 64, bytes: 1),
      by: ["c-uv-try", "c-uv-accept", "uvloop-swift"] + swiftNIO),
    serving(
      "W5.group", "50 connections ask, of one loop or of four that share them",
      under: Load("echo", connections: 50, bytes: 64),
      by: ["uvloop-swift", "uvloop-swift-group", "uvloop-swift-reuseport"],
      inQuick: ["uvloop-swift", "uvloop-swift-group"]),
    serving(
      "W5.group.busy", "50 connections ask for what takes 0.4 ms to compute, of one loop or of four",
      under: Load("busy", connections: 50, bytes: 64),
      by: ["uvloop-swift", "uvloop-swift-group", "uvloop-swift-reuseport"],
      inQuick: ["uvloop-swift", "uvloop-swift-group"]),
    serving(
      "W5.idle", "9,900 connections keep still beside 50 busy ones: memory of each",
      under: Load("idle", connections: 9_900, bytes: 64),
      by: ["c-uv-try", "uvloop-swift", "uvloop-swift-callback"] + swiftNIO),
    serving(
      "W5.lines", "50 connections send lines of 80 bytes and have each one back",
      under: Load("lines", connections: 50, bytes: 4_096),
      by: ["c-uv-try", "c-uv-batch", "uvloop-swift", "uvloop-swift-array", "nio", "asyncio", "uvloop"]),
    serving(
      "W5.proxy", "50 connections ask through a proxy to c-uv-try",
      under: Load("proxy", connections: 50, bytes: 64), by: ["c-uv-try", "uvloop-swift"]),
    serving(
      "W5.slow", "1,000 readers take 1 KiB a second of a MiB: memory of each", size: 3_000, quickSize: 1_000,
      under: Load("slow", connections: 1_000, bytes: 1_024), by: ["c-uv-try", "uvloop-swift"] + swiftNIO),
    serving(
      "W5.fair", "a timer of 10 ms beside 50 connections that send all the time: its latest tick", size: 3_000,
      quickSize: 500, under: Load("fair", connections: 50, bytes: 65_536),
      by: ["c-uv", "c-uv-try", "uvloop-swift", "uvloop-swift-callback", "nio"]),
    serving(
      "W5.unix", "50 connections ask over a Unix socket",
      under: Load("unix", connections: 50, bytes: 64),
      by: ["c-uv", "c-uv-try", "uvloop-swift", "uvloop-swift-callback"] + swiftNIO),
    serving(
      "W5.udp", "50 sockets ask by datagrams of 64 bytes",
      under: Load("udp", connections: 50, bytes: 64),
      by: ["c-uv", "c-uv-try", "uvloop-swift", "uvloop-swift-array", "nio", "asyncio", "uvloop"]),
    serving(
      "W5.udp.flood", "datagrams of 64 bytes come as fast as 4 sockets can send: how many arrive",
      under: Load("flood", connections: 4, bytes: 64), by: ["c-uv", "uvloop-swift", "nio"],
      inQuick: ["c-uv", "uvloop-swift"]),
  ]

  private static let allInC = ["c-uv", "c-uv-try", "epoll"]
  /// In the ways that the library has to read and write: borrowed bytes, an array for each read or for all, callbacks.
  private static let ours = ["uvloop-swift", "uvloop-swift-array", "uvloop-swift-into", "uvloop-swift-callback"]
  private static let swiftNIO = ["nio", "nio-async"]

  private static func echoing(_ connections: Int, placements: [Placement] = [.free]) -> Workload {
    serving(
      "W5.echo.c\(connections)",
      "\(connections) connection\(connections == 1 ? "" : "s") ask\(connections == 1 ? "s" : "") for 64 bytes",
      placements: placements, under: Load("echo", connections: connections, bytes: 64),
      by: allInC + ours + swiftNIO + ["flyingsocks", "asyncio", "uvloop", "node"],
      inQuick: connections == 50 ? ["c-uv", "c-uv-try", "nio", "uvloop-swift"] : [])
  }

  /// - Parameters:
  ///   - size: In milliseconds, or of a storm in connections.
  ///   - quickPeers: Those of a quick run of all workloads, which would take too long with all of them.
  private static func serving(
    _ name: String, _ title: String, size: Int = 900, quickSize: Int = 300,
    placements: [Placement] = [.free], under load: Load, by peers: [String],
    inQuick quickPeers: Set<String> = ["c-uv-try", "uvloop-swift"]
  ) -> Workload {
    Workload(
      name: name, title: title, size: size, quickSize: quickSize, placements: placements,
      quickPeers: quickPeers, peers: peers.map { Peer($0, .server(Server($0), load)) })
  }
}
