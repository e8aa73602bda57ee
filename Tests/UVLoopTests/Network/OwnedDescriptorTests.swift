import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// Other tests open and close descriptors meanwhile, so whether one is closed is asked of its peer, not of its number.
// And they start processes, which have a copy of it until they are another program.

@Suite(.sideBySide) struct OwnedDescriptorTests {
  @Test func `a descriptor that is dropped is closed`() async {
    let pair = Socket.pair()
    defer { Posix.close(pair.second) }
    do {
      let descriptor = OwnedDescriptor(owning: pair.first)
      #expect(descriptor.rawValue == pair.first)
      #expect(!hasEnded(pair.second))
    }
    await expectEventually { hasEnded(pair.second) }
  }

  @Test func `it is closed by the function that it was given to`() async {
    let pair = Socket.pair()
    defer { Posix.close(pair.second) }
    func take(_ descriptor: consuming OwnedDescriptor) { #expect(!hasEnded(pair.second)) }
    take(OwnedDescriptor(owning: pair.first))
    await expectEventually { hasEnded(pair.second) }
  }

  @Test func `a descriptor that was released stays open`() async {
    let pair = Socket.pair()
    defer { Posix.close(pair.second) }
    let number = OwnedDescriptor(owning: pair.first).release()
    #expect(number == pair.first)
    #expect(!hasEnded(pair.second))
    Posix.close(number)
    await expectEventually { hasEnded(pair.second) }
  }

  @Test func `a duplicate has an owner of its own`() async throws {
    let pair = Socket.pair()
    defer { Posix.close(pair.second) }
    do {
      let twin = try OwnedDescriptor(duplicating: pair.first)
      #expect(twin.rawValue != pair.first)
      Posix.close(pair.first)
      #expect(!hasEnded(pair.second))
    }
    await expectEventually { hasEnded(pair.second) }
  }

  @Test func `what is not open has no duplicate`() {
    let error = #expect(throws: UVError.self) { _ = try OwnedDescriptor(duplicating: -1) }
    #expect(error?.code == .badFileDescriptor)
    #expect(error?.call == "OwnedDescriptor.init")
    #expect(error?.message.hasSuffix("Descriptor -1 is not open.") == true)
  }

  @Test func `a negative number is nobody's, and closes nothing`() {
    Posix.errno = 0
    do { _ = OwnedDescriptor(owning: -1) }
    #expect(Posix.errno == 0)
  }

  /// Whether the peer of this end of a pair is closed everywhere.
  private func hasEnded(_ descriptor: Int32) -> Bool {
    var byte: [UInt8] = [0]
    return unsafe byte.withUnsafeMutableBytes { unsafe Socket.read(descriptor, into: $0) } == 0
  }
}
