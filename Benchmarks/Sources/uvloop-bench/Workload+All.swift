extension Workload {
  /// In the order in which they run.
  static let all: [Workload] =
    [
      posting(producers: 1), posting(producers: 4), taskPosting, selfPosting, yielding, onLoopCalls,
      roundTrips, hops, threadHops,
      timerChurn, timerReschedule, oneShots, sleepers,
      offloading, offloadLatency, pooling, poolingWithoutScope, poolLatency,
      startup,
      watchedPosts, watchedTrips,
    ] + serving

  static func named(_ name: String) -> Workload? {
    all.first { $0.name == name } ?? Growth.all.lazy.flatMap(\.workloads).first { $0.name == name }
  }
}
