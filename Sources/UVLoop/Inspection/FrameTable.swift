/// The table of an image's functions and their frames: `.eh_frame_hdr`, and `.eh_frame` which it leads to.
struct FrameTable {
  /// It is not there, ends early, or is of a form that compilers do not write.
  static let unreadable = UVError(
    .invalidArgument, call: "StackSampler.sample", "An image has tables of frames that are not as the standard says.")

  /// What several functions share.
  struct Common {
    var codeFactor: UInt = 1
    var dataFactor = 1
    var returnRegister = 0
    var pointerEncoding: UInt8 = 0
    var isSignal = false
    var hasLengths = false
    var instructions: TableReader
  }

  struct Function {
    let start: UInt
    let common: Common
    let instructions: TableReader
    var returnRegister: Int { common.returnRegister }
    var isSignal: Bool { common.isSignal }
  }

  private let image: LoadedImage

  init(_ image: LoadedImage) { self.image = image }

  func function(around instruction: UInt) throws(UVError) -> Function? {
    guard let start = image.frames else { return nil }
    var header = try reader(at: start)
    let (version, framesEncoding) = (try header.byte(), try header.byte())
    let (countEncoding, entryEncoding) = (try header.byte(), try header.byte())
    // All linkers write the entries as two signed offsets of four bytes from the header.
    if version != 1 || entryEncoding != 0x3b { throw FrameTable.unreadable }
    _ = try header.pointer(framesEncoding, of: start)
    let count = try header.pointer(countEncoding, of: start)
    let entries = header.address
    func entry(_ index: UInt) throws(UVError) -> (function: UInt, frame: UInt) {
      var entry = try reader(at: entries &+ index &* 8)
      return (try entry.pointer(0x3b, of: start), try entry.pointer(0x3b, of: start))
    }
    var (low, high) = (UInt(0), count)
    while low < high {
      let middle = low + (high - low) / 2
      if try entry(middle).function <= instruction { low = middle + 1 } else { high = middle }
    }
    if low == 0 { return nil }
    let found = try function(at: try entry(low - 1).frame)
    return found.range.contains(instruction) ? found.function : nil
  }

  private func function(at address: UInt) throws(UVError) -> (range: Range<UInt>, function: Function) {
    var frame = try record(at: address)
    let place = frame.address
    let back = UInt(try frame.number(UInt32.self))
    if back == 0 { throw FrameTable.unreadable }
    let common = try common(at: place &- back)
    let start = try frame.pointer(common.pointerEncoding)
    let length = try frame.pointer(common.pointerEncoding & 0x0f)
    if common.hasLengths { try frame.skip(try frame.unsigned()) }
    let (end, overflow) = start.addingReportingOverflow(length)
    if overflow { throw FrameTable.unreadable }
    return (start..<end, Function(start: start, common: common, instructions: frame))
  }

  private func common(at address: UInt) throws(UVError) -> Common {
    var record = try record(at: address)
    if try record.number(UInt32.self) != 0 { throw FrameTable.unreadable }
    let version = try record.byte()
    var letters: [UInt8] = []
    while case let letter = try record.byte(), letter != 0 { letters.append(letter) }
    var common = Common(instructions: record)
    common.codeFactor = UInt(try record.unsigned())
    common.dataFactor = try record.signed()
    common.returnRegister = version == 1 ? Int(try record.byte()) : try record.unsigned()
    for letter in letters {
      switch letter {
      case UInt8(ascii: "z"):
        common.hasLengths = true
        _ = try record.unsigned()
      case UInt8(ascii: "R"): common.pointerEncoding = try record.byte()
      case UInt8(ascii: "P"): _ = try record.pointer(try record.byte() & 0x0f)
      case UInt8(ascii: "L"): _ = try record.byte()
      case UInt8(ascii: "S"): common.isSignal = true
      case UInt8(ascii: "B"): break
      default: throw FrameTable.unreadable
      }
    }
    common.instructions = record
    return common
  }

  /// What stands behind the length that a record begins with.
  private func record(at address: UInt) throws(UVError) -> TableReader {
    var reader = try reader(at: address)
    let length = UInt(try reader.number(UInt32.self))
    if length == 0 || length == 0xffff_ffff { throw FrameTable.unreadable }
    return try reader.first(length)
  }

  private func reader(at address: UInt) throws(UVError) -> TableReader {
    guard let segment = image.readable.first(where: { $0.contains(address) }) else { throw FrameTable.unreadable }
    return TableReader(address: address, end: segment.upperBound)
  }
}

/// Reads numbers one after another, and never past the end.
///
/// Holds because its ranges are segments of an image that the loader keeps in memory (`LoadedImages.withImage`).
@safe struct TableReader {
  private(set) var address: UInt
  private let end: UInt

  init(address: UInt, end: UInt) {
    self.address = address
    self.end = end
  }

  var isAtEnd: Bool { address >= end }

  func first(_ length: UInt) throws(UVError) -> TableReader {
    if length > end - address { throw FrameTable.unreadable }
    return TableReader(address: address, end: address + length)
  }

  mutating func skip(_ length: Int) throws(UVError) {
    if length < 0 || UInt(length) > end - address { throw FrameTable.unreadable }
    address += UInt(length)
  }

  mutating func number<Number: FixedWidthInteger>(_: Number.Type) throws(UVError) -> Number {
    let size = MemoryLayout<Number>.size
    if UInt(size) > end - address { throw FrameTable.unreadable }
    guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { throw FrameTable.unreadable }
    address += UInt(size)
    return unsafe pointer.loadUnaligned(as: Number.self)
  }

  mutating func byte() throws(UVError) -> UInt8 { try number(UInt8.self) }

  /// LEB128, in at most 63 bits.
  mutating func unsigned() throws(UVError) -> Int {
    var (value, shift) = (0, 0)
    while true {
      let byte = try byte()
      if shift >= 63 { throw FrameTable.unreadable }
      value |= Int(byte & 0x7f) << shift
      shift += 7
      if byte & 0x80 == 0 { return value & .max }
    }
  }

  mutating func signed() throws(UVError) -> Int {
    var (value, shift) = (0, 0)
    while true {
      let byte = try byte()
      if shift >= 63 { throw FrameTable.unreadable }
      value |= Int(byte & 0x7f) << shift
      shift += 7
      if byte & 0x80 == 0 { return byte & 0x40 != 0 && shift < 64 ? value | (-1 << shift) : value }
    }
  }

  /// An address in one of the encodings of `DW_EH_PE`: from nothing, from its own place, or from `start`.
  mutating func pointer(_ encoding: UInt8, of start: UInt = 0) throws(UVError) -> UInt {
    let place = address
    let value: Int
    switch encoding & 0x0f {
    case 0x00, 0x04, 0x0c: value = try number(Int.self)
    case 0x02: value = Int(try number(UInt16.self))
    case 0x03: value = Int(try number(UInt32.self))
    case 0x0a: value = Int(try number(Int16.self))
    case 0x0b: value = Int(try number(Int32.self))
    default: throw FrameTable.unreadable
    }
    switch encoding & 0x70 {
    case 0x00: return UInt(bitPattern: value)
    case 0x10: return place &+ UInt(bitPattern: value)
    case 0x30: return start &+ UInt(bitPattern: value)
    default: throw FrameTable.unreadable
    }
  }
}
