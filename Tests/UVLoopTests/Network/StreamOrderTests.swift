import Testing

@testable import UVLoop

/// What a peer gets of many writes.
@Suite(.sideBySide) struct StreamOrderTests {
  @Test(arguments: StreamSetting.all)
  func `L-07 what is sent is what the bytes were at the call, whatever becomes of the array`(
    setting: StreamSetting
  ) async throws {
    let pattern = Pattern(seed: 7)
    var options = ByteStream.Options()
    options.sendBufferSize = 16_384
    try await onTestStream(setting, options: options) { loop, stream, peer in
      peer.setReceiveBuffer(16_384)
      let slow = SlowPeer(peer, expecting: pattern)
      // More than the kernel takes at once: the rest is sent from the array later.
      let count = 300_000
      let bytes = Shared(pattern.bytes(count: count))
      let write = loop.task { _ in try await stream.write(bytes.value) }
      try await iterate(loop)
      bytes.update { array in for index in array.indices { array[index] = 0 } }
      slow.setPace(.full)
      try await write.value
      bytes.value = []
      try await stream.finishWriting()
      let end = try await slow.finish()
      #expect(end.count == count)
      #expect(end.firstDifference == nil)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-12 1 000 writes in a row arrive in order, also where the kernel has no room in between`(
    setting: StreamSetting
  ) async throws {
    let pattern = Pattern(seed: 1_000)
    var options = ByteStream.Options()
    options.sendBufferSize = 8_192
    try await onTestStream(setting, options: options) { loop, stream, peer in
      peer.setReceiveBuffer(8_192)
      let slow = SlowPeer(peer, pace: .slow(bytes: 50_000, rest: .milliseconds(1)), expecting: pattern)
      var sent = 0
      for number in 0..<1_000 {
        let bytes = pattern.bytes(at: sent, count: 1 + number % 500)
        sent += bytes.count
        switch number % 3 {
        case 0: try await stream.write(bytes)
        case 1: try await stream.write(contentsOf: [Array(bytes.prefix(7)), Array(bytes.dropFirst(7))])
        default: while try !stream.enqueue(bytes) { try await iterate(loop, times: 1) }
        }
      }
      try await stream.finishWriting()
      let end = try await slow.finish()
      #expect(end.count == sent)
      #expect(end.firstDifference == nil)
    }
  }
}
