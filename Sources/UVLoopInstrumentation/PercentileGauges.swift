import CoreMetrics
import UVLoop

/// Percentiles of a histogram, in seconds: a gauge for each, with the dimension `quantile`.
///
/// Not a `Timer`, which takes one duration at a time: there may be a million of them since the last report, and
/// percentiles that a backend makes of percentiles mean nothing.
struct PercentileGauges: Sendable {
  private let gauges: [(instrument: Gauge, share: Double)]

  init(_ label: String, _ dimensions: [(String, String)], _ factory: any MetricsFactory) {
    gauges = [("0.5", 0.5), ("0.99", 0.99), ("1", 1)].map { quantile, share in
      let dimensions = dimensions + [("quantile", quantile)]
      return (Gauge(label: "uvloop_\(label)_seconds", dimensions: dimensions, factory: factory), share)
    }
  }

  /// What has come since `earlier`.
  func record(_ histogram: LatencyHistogram, since earlier: LatencyHistogram?) {
    let recent = earlier.map { histogram.since($0) } ?? histogram
    for (instrument, share) in gauges { instrument.record(recent.percentile(share) / .seconds(1)) }
  }

  func destroy() { for (instrument, _) in gauges { instrument.destroy() } }
}
