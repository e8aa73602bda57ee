extension ByteStream: AsyncSequence {
  /// The next bytes, as many as are there.
  public typealias Element = [UInt8]

  /// Gives the bytes of a stream as they come.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let stream: ByteStream

    /// The next bytes; nil at the end, and when the stream is closed here, or was.
    ///
    /// - Throws: As ``ByteStream/read(upTo:)`` does, but for ``UVError/Code/handleClosed``. A cancellation throws.
    public mutating func next() async throws -> [UInt8]? { try await next(isolation: nil) }

    /// The next bytes, in the isolation of the caller; nil at the end, and when the stream is closed here, or was.
    ///
    /// - Throws: As ``ByteStream/read(upTo:)`` does, but for ``UVError/Code/handleClosed``. A cancellation throws.
    public mutating func next(isolation: isolated (any Actor)?) async throws -> [UInt8]? {
      do { return try await stream.read() } catch let error as UVError where error.code == .handleClosed { return nil }
    }
  }

  /// The bytes as they come, up to the end.
  ///
  /// ```swift
  /// for try await bytes in stream { try await stream.write(bytes) }
  /// ```
  ///
  /// Making an iterator reads nothing: leave the loop, and go on reading in another way where it stood.
  public final func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }

  /// The lines as they come, up to the end; see ``readLine(limit:validating:)``.
  ///
  /// - Parameter limit: How many bytes a line may have, its end not counted.
  public final func lines(limit: Int = 65_536) -> Lines { Lines(stream: self, limit: limit) }

  /// The frames as they come, up to the end; see ``readFrame(lengthPrefix:limit:)``.
  ///
  /// - Parameters:
  ///   - lengthPrefix: How the length in front of a frame is written.
  ///   - limit: How many bytes a frame may have, its length not counted.
  public final func frames(lengthPrefix: LengthPrefix = .uint32, limit: Int = 1 << 20) -> Frames {
    Frames(stream: self, lengthPrefix: lengthPrefix, limit: limit)
  }

  /// The lines of a stream, from ``ByteStream/lines(limit:)``. What is not UTF-8 in them becomes U+FFFD.
  public struct Lines: AsyncSequence, Sendable {
    /// A line, without its end.
    public typealias Element = String

    let stream: ByteStream
    let limit: Int

    /// Gives the lines as they come.
    public struct AsyncIterator: AsyncIteratorProtocol {
      let lines: Lines

      /// The next line; nil at the end, and when the stream is closed here, or was.
      ///
      /// - Throws: As ``ByteStream/readLine(limit:validating:)`` does, but for ``UVError/Code/handleClosed``.
      public mutating func next() async throws -> String? { try await next(isolation: nil) }

      /// The next line, in the isolation of the caller; nil at the end, and when the stream is closed here, or was.
      ///
      /// - Throws: As ``ByteStream/readLine(limit:validating:)`` does, but for ``UVError/Code/handleClosed``.
      public mutating func next(isolation: isolated (any Actor)?) async throws -> String? {
        do {
          return try await lines.stream.readLine(limit: lines.limit)
        } catch let error as UVError where error.code == .handleClosed {
          return nil
        }
      }
    }

    /// The lines as they come. Making an iterator reads nothing.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(lines: self) }
  }

  /// The frames of a stream, from ``ByteStream/frames(lengthPrefix:limit:)``.
  public struct Frames: AsyncSequence, Sendable {
    /// A frame, without its length.
    public typealias Element = [UInt8]

    let stream: ByteStream
    let lengthPrefix: LengthPrefix
    let limit: Int

    /// Gives the frames as they come.
    public struct AsyncIterator: AsyncIteratorProtocol {
      let frames: Frames

      /// The next frame; nil at the end, and when the stream is closed here, or was.
      ///
      /// - Throws: As ``ByteStream/readFrame(lengthPrefix:limit:)`` does, but for ``UVError/Code/handleClosed``.
      public mutating func next() async throws -> [UInt8]? { try await next(isolation: nil) }

      /// The next frame, in the isolation of the caller; nil at the end, and when the stream is closed here, or was.
      ///
      /// - Throws: As ``ByteStream/readFrame(lengthPrefix:limit:)`` does, but for ``UVError/Code/handleClosed``.
      public mutating func next(isolation: isolated (any Actor)?) async throws -> [UInt8]? {
        do {
          return try await frames.stream.readFrame(lengthPrefix: frames.lengthPrefix, limit: frames.limit)
        } catch let error as UVError where error.code == .handleClosed {
          return nil
        }
      }
    }

    /// The frames as they come. Making an iterator reads nothing.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(frames: self) }
  }
}
