@testable import UVLoop

// Transports of the tests' own. What holds for a stream over a socket holds over these too, or the stream knows more of
// what is below it than the seam says.

/// A layer over another stream, whose transport it uses, and which it closes with itself. Passes everything on as it
/// is; a kind overrides what it does otherwise. Belongs to the loop's thread.
class LayeredTransport: StreamTransport, StreamSink {
  fileprivate let probe: LoopProbe
  private let lower: ByteStream
  fileprivate let below: any StreamTransport
  fileprivate private(set) var sink: (any StreamSink)?
  fileprivate private(set) var isClosed = false

  init(over lower: ByteStream) {
    self.lower = lower
    probe = LoopProbe(lower.inner.loop)
    below = lower.inner.transport
  }

  func startReading(into sink: any StreamSink) throws(UVError) {
    self.sink = sink
    try below.startReading(into: self)
  }

  func stopReading() { below.stopReading() }

  func tryRead(into room: UnsafeMutableRawBufferPointer) throws(UVError) -> Int? {
    unsafe try below.tryRead(into: room)
  }

  func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int {
    unsafe try below.tryWrite(parts)
  }

  fileprivate final func tryWrite(below bytes: UnsafeRawBufferPointer) throws(UVError) -> Int {
    try unsafe withUnsafePointer(to: bytes) { (part) throws(UVError) -> Int in
      try unsafe below.tryWrite(UnsafeBufferPointer(start: part, count: 1))
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void) {
    unsafe below.write(bytes, done: done)
  }

  func finishWriting(done: @escaping (UVError?) -> Void) { below.finishWriting(done: done) }

  func close(resetting: Bool) {
    isClosed = true
    sink = nil
    if resetting { lower.reset() } else { lower.close() }
  }

  var descriptor: Int32? { below.descriptor }

  func room() -> UnsafeMutableRawBufferPointer? { unsafe sink?.room() }

  func received(_ count: Int) { sink?.received(count) }

  func ended(_ error: UVError?) { sink?.ended(error) }

  func closed(_ error: UVError) { sink?.closed(error) }
}

/// Counts what a stream asks of its transport.
final class CountingTransport: LayeredTransport {
  /// How often reading was started, and how often bytes were there that nobody wanted.
  private(set) var starts = 0
  private(set) var refusals = 0

  override func startReading(into sink: any StreamSink) throws(UVError) {
    starts += 1
    try super.startReading(into: sink)
  }

  override func room() -> UnsafeMutableRawBufferPointer? {
    let room = unsafe super.room()
    if unsafe room == nil { refusals += 1 }
    return unsafe room
  }
}

/// Changes each byte on its way, in both directions, by a key that runs along: a byte that is lost, doubled or put
/// elsewhere spoils all that follow. Two of them, one over the other, change nothing.
@safe final class TransformingTransport: LayeredTransport {
  private var incoming: RunningKey
  private var outgoing: RunningKey
  private var lent: UnsafeMutableRawBufferPointer?
  /// More is not transformed in one try.
  private static let mostAtOnce = 65_536

  init(over lower: ByteStream, seed: UInt64) {
    incoming = RunningKey(seed: seed)
    outgoing = RunningKey(seed: seed)
    unsafe lent = nil
    super.init(over: lower)
  }

  override func tryRead(into room: UnsafeMutableRawBufferPointer) throws(UVError) -> Int? {
    let count = unsafe try super.tryRead(into: room)
    if let count { unsafe incoming.transform(UnsafeMutableRawBufferPointer(rebasing: room[..<count])) }
    return count
  }

  override func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int {
    var bytes: [UInt8] = []
    for index in parts.indices {
      let part = unsafe parts[index]
      unsafe bytes.append(contentsOf: part.prefix(Self.mostAtOnce - bytes.count))
      if bytes.count == Self.mostAtOnce { break }
    }
    var key = outgoing
    unsafe bytes.withUnsafeMutableBytes { unsafe key.transform($0) }
    let sent = unsafe try bytes.span.bytes.withUnsafeBytes { (bytes) throws(UVError) -> Int in
      unsafe try tryWrite(below: bytes)
    }
    // Only what was taken has gone.
    outgoing.skip(sent)
    return sent
  }

  override func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void) {
    let copy = RequestBuffer(count: bytes.count)
    let room = unsafe UnsafeMutableRawBufferPointer(start: copy.start, count: copy.count)
    unsafe room.copyMemory(from: bytes)
    unsafe outgoing.transform(room)
    unsafe super.write(UnsafeRawBufferPointer(room)) { error in withExtendedLifetime(copy) { done(error) } }
  }

  override func room() -> UnsafeMutableRawBufferPointer? {
    unsafe lent = super.room()
    return unsafe lent
  }

  override func received(_ count: Int) {
    if let lent = unsafe lent.take() {
      unsafe incoming.transform(UnsafeMutableRawBufferPointer(rebasing: lent[..<count]))
    }
    super.received(count)
  }
}

/// A key without an end.
private struct RunningKey {
  private let numbers: SplitMix
  private var offset: UInt64 = 0

  init(seed: UInt64) { numbers = SplitMix(seed: seed) }

  mutating func skip(_ count: Int) { offset += UInt64(count) }

  mutating func transform(_ bytes: UnsafeMutableRawBufferPointer) {
    for index in bytes.indices {
      unsafe bytes[index] ^= UInt8(truncatingIfNeeded: numbers[offset])
      offset += 1
    }
  }
}

/// Cuts everything, in both directions, into pieces of random sizes, of which most are small, and lets the loop go
/// round between two of them. It reads ahead, as a layer does that has to see a whole record before it can tell its
/// bytes.
@safe final class FragmentingTransport: LayeredTransport {
  private var random: SplitMix
  private let buffer = RequestBuffer(count: 8_192)
  /// What of it was read and not handed on.
  private var start = 0
  private var end = 0
  /// No more comes, because of this.
  private var ending: UVError??
  private var isWanted = false
  private var isDue = false

  init(over lower: ByteStream, seed: UInt64) {
    random = SplitMix(seed: seed)
    super.init(over: lower)
  }

  private func size(atMost limit: Int) -> Int {
    let most =
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<4: 1
      case 4..<7: 10
      default: 4_096
      }
    return min(limit, Int.random(in: 1...most, using: &random))
  }

  // MARK: Reading

  override func startReading(into sink: any StreamSink) throws(UVError) {
    isWanted = true
    if start < end || ending != nil { deliverLater() } else { try super.startReading(into: sink) }
  }

  override func stopReading() {
    isWanted = false
    super.stopReading()
  }

  override func tryRead(into room: UnsafeMutableRawBufferPointer) throws(UVError) -> Int? {
    if start < end { return unsafe take(into: room) }
    if let ending {
      if let ending { throw ending }
      return 0
    }
    return unsafe try super.tryRead(into: UnsafeMutableRawBufferPointer(rebasing: room[..<size(atMost: room.count)]))
  }

  override func room() -> UnsafeMutableRawBufferPointer? {
    start < end ? nil : unsafe UnsafeMutableRawBufferPointer(start: buffer.start, count: buffer.count)
  }

  override func received(_ count: Int) {
    start = 0
    end = count
    deliverLater()
  }

  override func ended(_ error: UVError?) {
    ending = .some(error)
    deliverLater()
  }

  private func deliverLater() {
    if isDue { return }
    isDue = true
    Later.call(on: probe, after: Int.random(in: 0..<3, using: &random)) {
      self.isDue = false
      self.deliver()
    }
  }

  private func deliver() {
    guard !isClosed, isWanted, let sink else { return }
    if start < end {
      guard let room = unsafe sink.room() else {
        isWanted = false
        return
      }
      sink.received(unsafe take(into: room))
      if isClosed { return }
      if start < end || ending != nil { return deliverLater() }
      do { try super.startReading(into: sink) } catch { self.ended(error) }
    } else if let ending {
      isWanted = false
      sink.ended(ending)
    }
  }

  private func take(into room: UnsafeMutableRawBufferPointer) -> Int {
    let count = size(atMost: min(room.count, end - start))
    unsafe room.copyMemory(from: UnsafeRawBufferPointer(start: buffer.start + start, count: count))
    start += count
    return count
  }

  // MARK: Writing

  override func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int {
    guard let part = unsafe parts.first(where: { unsafe !$0.isEmpty }) else { return 0 }
    // As where the kernel has no room.
    if Bool.random(using: &random) { return 0 }
    let piece = unsafe UnsafeRawBufferPointer(rebasing: part[..<size(atMost: part.count)])
    return unsafe try tryWrite(below: piece)
  }

  override func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void) {
    let count = size(atMost: bytes.count)
    unsafe super.write(UnsafeRawBufferPointer(rebasing: bytes[..<count])) { error in
      if error != nil || count == bytes.count { return done(error) }
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[count...])
      Later.call(on: self.probe, after: Int.random(in: 0..<3, using: &self.random)) {
        if self.isClosed { return done(UVError(.canceled, call: "write", "The stream has been closed.")) }
        unsafe self.write(rest, done: done)
      }
    }
  }
}

/// A call in a later iteration of the loop, or at its end.
private final class Later: LoopDeadline {
  private let probe: LoopProbe
  private var rounds: Int
  private var body: (() -> Void)?

  private init(_ probe: LoopProbe, _ rounds: Int, _ body: @escaping () -> Void) {
    self.probe = probe
    self.rounds = rounds
    self.body = body
  }

  static func call(on probe: LoopProbe, after rounds: Int, _ body: @escaping () -> Void) {
    Later(probe, rounds, body).wait()
  }

  private func wait() { probe.expire(self) }

  func expire() {
    if rounds == 0 { return drop() }
    rounds -= 1
    wait()
  }

  func drop() { body.take()?() }
}
