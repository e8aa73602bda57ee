import NIOCore
import NIOPosix

/// `nio`: handlers in a pipeline.
enum Handlers {
  static func serve(
    on path: String?, sendRoom: Int? = nil, _ handlers: @escaping @Sendable () -> [any ChannelHandler]
  ) async throws {
    let bootstrap = Server.bootstrap(sendRoom: sendRoom).childChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        for handler in handlers() { try channel.pipeline.syncOperations.addHandler(handler) }
      }
    }
    let channel =
      if let path {
        try await bootstrap.bind(unixDomainSocketPath: path).get()
      } else {
        try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
      }
    Server.announce(channel)
    try await channel.closeFuture.get()
  }
}

/// Sends back what comes, and flushes once for what one read brought.
final class EchoHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }

  func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Hands on each line, with its end.
struct LineDecoder: ByteToMessageDecoder {
  typealias InboundOut = ByteBuffer

  mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) -> DecodingState {
    guard let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")),
      let line = buffer.readSlice(length: end - buffer.readerIndex + 1)
    else { return .needMoreData }
    context.fireChannelRead(wrapInboundOut(line))
    return .continue
  }
}

final class SlowHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var piece = 0

  func channelActive(context: ChannelHandlerContext) { sendNext(context) }

  private func sendNext(_ context: ChannelHandlerContext) {
    if piece == Pieces.count { return context.close(promise: nil) }
    let bytes = Pieces.make(piece, with: context.channel.allocator)
    piece += 1
    let written = context.eventLoop.makePromise(of: Void.self)
    context.writeAndFlush(wrapOutboundOut(bytes), promise: written)
    written.futureResult.assumeIsolated().whenSuccess { self.sendNext(context) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
