@testable import UVLoop

extension PlainSocket {
  /// Hands it to the library, as a stream of the loop.
  func adopted(on loop: isolated EventLoop, options: ByteStream.Options = .init()) throws -> PipeStream {
    try PipeStream(adopting: OwnedDescriptor(owning: release()), options: options)
  }

  /// Takes all that is there, and waits for nothing.
  func drain() throws { while let bytes = try receiveNow(), !bytes.isEmpty {} }
}

extension ByteStream {
  func tryWrite(_ bytes: [UInt8], isolation: isolated any LoopActor = #isolation) throws(UVError) -> Int {
    try unsafe tryWrite(bytes.span.bytes)
  }

  /// Writes until the kernel takes no more: the number of bytes. The next write has to wait.
  ///
  /// Of Unix sockets only, as others do not stay full.
  @discardableResult
  func fill(isolation: isolated any LoopActor = #isolation) throws -> Int {
    precondition(!(self is TCPStream), "TCP sends on what it was given, and has room again before the next write")
    let bytes = [UInt8](repeating: 7, count: 65_536)
    var total = 0
    while true {
      let count = try tryWrite(bytes)
      if count == 0 { return total }
      total += count
    }
  }
}
