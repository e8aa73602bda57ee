import NIOCore
import NIOPosix

/// One socket for datagrams, with one handler.
enum Datagrams {
  static func serve(_ handler: @escaping @Sendable () -> any ChannelHandler) async throws {
    let channel = try await DatagramBootstrap(group: Server.group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler()) }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    Server.announce(channel)
    try await channel.closeFuture.get()
  }
}

/// Sends each datagram back, and flushes once for what one read brought.
final class DatagramEchoHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  typealias OutboundOut = AddressedEnvelope<ByteBuffer>

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }

  func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
}

/// Counts datagrams, and answers one of a byte with their number.
final class DatagramCountHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  typealias OutboundOut = AddressedEnvelope<ByteBuffer>

  private var received: UInt64 = 0

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var datagram = unwrapInboundIn(data)
    if datagram.data.readableBytes != 1 {
      received += 1
      return
    }
    datagram.data.clear()
    datagram.data.writeInteger(received, endianness: .host)
    context.writeAndFlush(wrapOutboundOut(datagram), promise: nil)
  }
}
