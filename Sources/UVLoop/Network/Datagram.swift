/// What one `receive` gives: the bytes of a datagram, and who sent it.
public struct Datagram: Hashable, Sendable {
  /// The bytes, none in an empty datagram.
  public var bytes: [UInt8]
  /// Who sent it.
  public var peerAddress: SocketAddress
  /// Whether it was larger than ``UDPSocket/Options/maximumSize``. Then the bytes are its beginning, and the rest is
  /// lost.
  public var isTruncated: Bool

  /// One made by hand, for a test.
  public init(bytes: [UInt8], peerAddress: SocketAddress, isTruncated: Bool = false) {
    self.bytes = bytes
    self.peerAddress = peerAddress
    self.isTruncated = isTruncated
  }
}
