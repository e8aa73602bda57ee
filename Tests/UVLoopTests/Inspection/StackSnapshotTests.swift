import Testing

@testable import UVLoop

/// The walk in a copy of a stack, and the tables that lead it.
@Suite(.alone) struct StackSnapshotTests {
  @Test func `a walk in a copy that holds anything ends and stays in it`() {
    var numbers = SystemRandomNumberGenerator()
    let code = CallStack.current(in: CallStack.own)
    #expect(!code.isEmpty)
    for _ in 0..<200 {
      let base: UInt = 0x7f00_0000_0000
      let words = (0..<200).map { _ -> UInt in
        switch Int.random(in: 0..<4, using: &numbers) {
        case 0: code.randomElement(using: &numbers) ?? 0
        case 1: base &+ 8 &* UInt.random(in: 0..<200, using: &numbers)
        case 2: .random(in: .min ... .max, using: &numbers)
        default: UInt.random(in: 0..<64, using: &numbers)
        }
      }
      var registers = (0..<33).map { _ in words.randomElement(using: &numbers) ?? 0 }
      registers[StackSnapshot.stackPointer] = base
      registers[StackSnapshot.instruction] = code.randomElement(using: &numbers) ?? 0
      let found = StackSnapshot(registers: registers, base: base, words: words).callers()
      #expect(!found.isEmpty && found.count <= 256)
    }
  }

  @Test func `without a copy of the stack the interrupted function is all that is known`() {
    var registers = [UInt](repeating: 0, count: 33)
    registers[StackSnapshot.instruction] = CallStack.current(in: CallStack.own).first ?? 0
    let found = StackSnapshot(registers: registers, base: 0, words: []).callers()
    #expect(found == [registers[StackSnapshot.instruction]])
  }

  @Test func `words outside the copy are not there`() {
    let snapshot = StackSnapshot(registers: [], base: 4_096, words: [1, 2])
    #expect(snapshot.word(at: 4_096) == 1 && snapshot.word(at: 4_104) == 2)
    for address: UInt in [0, 4_088, 4_097, 4_112, .max] { #expect(snapshot.word(at: address) == nil) }
  }

  @Test(arguments: [
    ([2], 2, 2), ([0x7f], 127, -1), ([0x80, 0x01], 128, 128), ([0xff, 0x00], 127, 127), ([0x80, 0x7f], 16_256, -128),
    ([0x7e], 126, -2), ([0xb9, 0x64], 12_857, -3_527),
  ])
  func `numbers of variable length are read as DWARF 5, §7.6 has them`(
    bytes: [UInt8], unsigned: Int, signed: Int
  ) throws {
    try unsafe bytes.withUnsafeBytes { bytes in
      let start = UInt(bitPattern: bytes.baseAddress)
      let reader = TableReader(address: start, end: start + UInt(bytes.count))
      var (one, other) = (reader, reader)
      let (first, second) = (try one.unsigned(), try other.signed())
      #expect(first == unsigned && one.isAtEnd)
      #expect(second == signed && other.isAtEnd)
    }
  }

  @Test func `a table that ends early is refused`() {
    unsafe [UInt8](repeating: 0xff, count: 20).withUnsafeBytes { bytes in
      let start = UInt(bitPattern: bytes.baseAddress)
      var short = TableReader(address: start, end: start + 3)
      #expect(throws: FrameTable.unreadable) { try short.number(UInt32.self) }
      #expect(throws: FrameTable.unreadable) { try short.unsigned() }
      #expect(throws: FrameTable.unreadable) { try short.skip(1) }
      var endless = TableReader(address: start, end: start + 20)
      #expect(throws: FrameTable.unreadable) { try endless.signed() }
    }
  }
}
