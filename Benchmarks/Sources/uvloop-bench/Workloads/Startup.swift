extension Workload {
  /// From the start of a process to its first callback and its end.
  static let startup = Workload(
    name: "W6.startup", title: "a process starts, runs its first callback, and exits", size: 100, quickSize: 20,
    warmsUp: false,
    peers: [
      Peer("c-uv", .program("startup-c-uv")),
      Peer("uvloop-swift", .program("startup-uvloop")),
      Peer("conc", .program("startup-conc")),
      Peer("nio", .program("startup-nio")),
    ] + Script.starts)
}
