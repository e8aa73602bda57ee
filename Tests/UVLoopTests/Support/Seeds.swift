#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The seeds of a test that does random things. It prints, or names in its failures, the one that fails.
enum Seeds {
  /// So many, or as many as `UVLOOP_SEEDS` says, or the one in `UVLOOP_SEED`.
  static func first(_ count: Int) -> [UInt64] {
    if let seed = number("UVLOOP_SEED") { return [seed] }
    return Array(1...max(1, number("UVLOOP_SEEDS") ?? UInt64(count)))
  }

  /// How many pools a storm has, each with 10,000 calls, where `UVLOOP_STORM` says so.
  static var stormSize: Int? { number("UVLOOP_STORM").map(Int.init) }

  private static func number(_ name: String) -> UInt64? {
    unsafe getenv(name).flatMap { unsafe UInt64(String(cString: $0)) }
  }
}
