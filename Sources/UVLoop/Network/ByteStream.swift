/// A stream of bytes in both directions: a TCP connection, a connection over a Unix socket, a pipe.
///
/// ```swift
/// let stream = try await loop.connect(to: .tcp("example.org", 80))
/// try await stream.write("GET / HTTP/1.0\r\nhost: example.org\r\n\r\n")
/// for try await line in stream.lines() { print(line) }
/// stream.close()
/// ```
///
/// Streams come from ``EventLoop/connect(to:timeout:options:)``, from a ``Listener`` and from
/// ``EventLoop/makePipe(options:)``. Each belongs to one loop, whose thread does all of its reading and writing: while
/// that thread is blocked, nothing moves.
///
/// **Reading.** A read waits until at least one byte is there. One reader at a time: a second one throws
/// ``UVError/Code/busy``, and the first does not notice. While nobody reads, bytes stay in the kernel, and when its
/// buffer is full the peer has to wait.
///
/// **Writing.** A write returns when the kernel has taken all of it. Any number of tasks may write: their calls queue,
/// first in, first out, and the bytes of one call stay together. One task may read while another one writes.
///
/// **The end.** Each direction ends by itself. `nil` from a read says that the peer has ended its side; writing goes on
/// until ``finishWriting()``. ``closeGracefully(within:)`` sees to it that the peer gets everything, ``close()`` does
/// not wait, and ``reset()`` tells the peer that something went wrong. An error does not close a stream: the side that
/// failed throws the same code from then on, until somebody closes it.
///
/// > Isolation: Any thread may use it. What waits may be called anywhere: on the stream's loop it costs no hop,
/// elsewhere it begins with a message to the loop and ends with a hop back. What does not wait and can fail runs on the
/// loop only, and compiles nowhere else; on another loop it throws ``UVError/Code/notOnLoop``. ``close()``,
/// ``reset()``, ``enqueue(_:)``, ``timeouts-swift.property`` and what is only looked at work on any thread.
///
/// > Cancellation: Ends a wait at once with a `CancellationError`. No read loses a byte by it; what becomes of a write
/// stands there.
///
/// > Ownership: The stream owns its descriptor. To drop the last reference is to ``close()`` it, on whatever thread.
///
/// > libuv: `uv_stream_t`.
open class ByteStream: @unchecked Sendable, CustomStringConvertible {  // Holds because all it has is one constant.
  final let inner: StreamCore

  init(_ inner: StreamCore) { self.inner = inner }

  /// A stream over a transport of this package's own.
  package init(over transport: any StreamTransport, on loop: EventLoop, options: Options = .init()) {
    inner = StreamCore("ByteStream", over: transport, on: loop.core, options, StreamAddresses())
  }

  deinit { inner.close() }

  // MARK: - The end

  /// Closes at once. What is still queued to be written is dropped, and every call that waits throws
  /// ``UVError/Code/handleClosed``.
  ///
  /// If bytes that came have not been read, the kernel tells a TCP peer that the connection was reset, and that may
  /// cost it what it has not read yet: ``closeGracefully(within:)`` avoids that. Twice is once, and after the loop's
  /// shutdown it does nothing.
  ///
  /// > Isolation: Call it on any thread. Elsewhere than on the loop it sends a message, and does not wait.
  ///
  /// > libuv: `uv_close`.
  public final func close() {
    inner.loop.requireOwnProcess()
    inner.close()
  }

  /// Closes so that a TCP peer gets an error (`ECONNRESET`) and does not take what it has for all.
  ///
  /// What the kernel has not sent yet is dropped. After ``finishWriting()`` the peer may have seen the end already, and
  /// then sees that first or only that. Of streams that are not TCP it is ``close()``.
  ///
  /// > Isolation: Call it on any thread. Elsewhere than on the loop it sends a message, and does not wait.
  ///
  /// > libuv: `uv_close` with `SO_LINGER` set to 0, as `uv_tcp_close_reset` does it; that one refuses after
  /// `uv_shutdown`.
  public final func reset() {
    inner.loop.requireOwnProcess()
    inner.close(resetting: true)
  }

  /// Whether it was closed here: by ``close()`` or one of its kin, or by the loop's shutdown. The peer's end and errors
  /// do not close a stream.
  ///
  /// > Isolation: Ask from anywhere.
  public final var isClosed: Bool { inner.isClosed }

  // MARK: - Facts

  /// This end of the connection, as it was when the stream was made; nil if it is no socket. That of a Unix socket has
  /// no name where nobody has given it one, as on the side that connects.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: `uv_tcp_getsockname`, `uv_pipe_getsockname`.
  public final var localAddress: SocketAddress? { inner.addresses.local }

  /// The other end of the connection, as it was when the stream was made; nil if it is no socket. That of a Unix socket
  /// has no name where nobody has given it one, as on the side that connects.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: `uv_tcp_getpeername`, `uv_pipe_getpeername`.
  public final var peerAddress: SocketAddress? { inner.addresses.peer }

  /// How many bytes have come from the kernel, whether anybody has taken them or not.
  ///
  /// > Isolation: Ask from anywhere.
  public final var bytesRead: Int64 { inner.reader.bytes }

  /// How many bytes the kernel has taken.
  ///
  /// > Isolation: Ask from anywhere.
  public final var bytesWritten: Int64 { inner.writer.bytes }

  /// How many bytes wait for the kernel to take them: those of ``enqueue(_:)``, and of writes that are under way.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: In place of `uv_stream_get_write_queue_size`, which sees one slice of 16 KiB at most.
  public final var queuedBytes: Int { inner.writer.queuedBytes }

  /// For how long a wait may go without a byte; see ``Timeouts-swift.struct``. Nil, the default, is for ever.
  ///
  /// Set during a wait, a limit counts from then on. It costs no timer for each call.
  ///
  /// > Isolation: Get and set it on any thread.
  public final var timeouts: Timeouts {
    get { inner.timeouts }
    set {
      inner.loop.requireOwnProcess()
      inner.timeouts = newValue
    }
  }

  /// The kind of stream, its two ends and its loop, in one line.
  ///
  /// > Isolation: Ask from anywhere.
  public final var description: String {
    "\(inner.text) on loop \"\(inner.loop.name)\"\(isClosed ? ", closed" : "")"
  }
}
