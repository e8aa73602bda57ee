/// Random numbers that are the same for the same seed, one after the other or by their index.
struct SplitMix: RandomNumberGenerator {
  private let seed: UInt64
  private var index: UInt64 = 0

  init(seed: UInt64) { self.seed = seed }

  mutating func next() -> UInt64 {
    index += 1
    return self[index]
  }

  subscript(index: UInt64) -> UInt64 {
    var mixed = seed &+ index &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
