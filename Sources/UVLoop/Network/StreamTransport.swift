// A stream has two halves. What people use stands above: readers and writers that wait, framing, limits, ends. What
// moves the bytes stands below, and the two know each other by these protocols alone. So a stream over another stream
// (TLS), or over a file, has everything that one over a socket has.
//
// All calls are made on the loop's thread, in both directions.

/// What takes the bytes of a write: a transport, or what sends something else along with the first of them.
package protocol StreamOutlet: AnyObject {
  /// Takes what can be taken at once of these bytes, in this order; 0 if nothing can be.
  func tryWrite(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int

  /// Takes all of them, and calls `done` once, when the bytes are needed no longer. One at a time.
  func write(_ bytes: UnsafeRawBufferPointer, done: @escaping (UVError?) -> Void)
}

/// What moves the bytes of a stream: a handle of libuv, another stream, a test.
package protocol StreamTransport: StreamOutlet {
  /// Bytes are wanted: from now on `sink` is asked for room whenever some have come. Called again after the sink had
  /// none, which is how reading goes on.
  func startReading(into sink: any StreamSink) throws(UVError)

  /// No bytes are wanted for now.
  func stopReading()

  /// Takes what is there at once: how many bytes, 0 at the end; nil if it would have to wait.
  func tryRead(into room: UnsafeMutableRawBufferPointer) throws(UVError) -> Int?

  /// The peer sees the end behind all that was written. Not called while a write is under way.
  func finishWriting(done: @escaping (UVError?) -> Void)

  /// Nothing more is moved, and no more is called but the `done` of what is under way. With `resetting` the peer is to
  /// see that what it has got is not all.
  func close(resetting: Bool)

  /// The descriptor below, if there is one.
  var descriptor: Int32? { get }

  /// Whether `finishWriting` is the end. One that others write to as well only waits for what is queued, and is asked
  /// again.
  var endsWriting: Bool { get }

  /// Whether what has been thrown is the end of reading or writing: not where it could not be opened for now.
  var isLasting: Bool { get }

  /// How many bytes a `write` gets at most.
  var sliceSize: Int { get }

  /// Why nothing may be queued now, where that is known before; nil where it may. On any thread.
  func refusal(toQueue call: StaticString) -> UVError?
}

extension StreamTransport {
  package var endsWriting: Bool { true }
  package var isLasting: Bool { true }
  package var sliceSize: Int { StreamWriter.sliceSize }
  package func refusal(toQueue call: StaticString) -> UVError? { nil }

  /// For one that cannot read without a wait.
  package func tryRead(into room: UnsafeMutableRawBufferPointer) throws(UVError) -> Int? {
    throw UVError(.notSupported, call: "ByteStream.tryRead", "This stream cannot read without a wait.")
  }
}

/// The side of a stream that takes what its transport reads.
package protocol StreamSink: AnyObject {
  /// Where the next bytes go; nil while nobody wants any.
  func room() -> UnsafeMutableRawBufferPointer?

  /// So many bytes lie at the beginning of the room that was given last; at least one.
  func received(_ count: Int)

  /// No more bytes come: the end, or an error. Once.
  func ended(_ error: UVError?)

  /// The transport was closed by somebody else: by the loop's shutdown.
  func closed(_ error: UVError)
}
