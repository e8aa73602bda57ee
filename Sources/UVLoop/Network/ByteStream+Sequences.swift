extension ByteStream: AsyncSequence {
  /// The next bytes, as many as are there.
  public typealias Element = [UInt8]

  /// Gives the bytes of a stream as they come; see ``ByteStream/read(upTo:)``.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let stream: ByteStream

    /// The next bytes; nil at the end, and when the stream was closed here.
    public mutating func next() async throws -> [UInt8]? { try await next(isolation: nil) }

    /// The next bytes, in the isolation of the caller; nil at the end, and when the stream was closed here.
    public mutating func next(isolation: isolated (any Actor)?) async throws -> [UInt8]? {
      if stream.isClosed { return nil }
      do { return try await stream.read() } catch let error as UVError where error.code == .handleClosed { return nil }
    }
  }

  /// The bytes as they come. One task can read at a time.
  public final func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }

  /// The lines as they come; see ``readLine(limit:validating:)``.
  public final func lines(limit: Int = 65_536) -> Lines { Lines(stream: self, limit: limit) }

  /// The frames as they come; see ``readFrame(lengthPrefix:limit:)``.
  public final func frames(lengthPrefix: LengthPrefix = .uint32, limit: Int = 1 << 20) -> Frames {
    Frames(stream: self, lengthPrefix: lengthPrefix, limit: limit)
  }

  /// The lines of a stream.
  public struct Lines: AsyncSequence, Sendable {
    /// A line, without its end.
    public typealias Element = String

    let stream: ByteStream
    let limit: Int

    /// Gives the lines as they come.
    public struct AsyncIterator: AsyncIteratorProtocol {
      let lines: Lines

      /// The next line; nil at the end, and when the stream was closed here.
      public mutating func next() async throws -> String? { try await next(isolation: nil) }

      /// The next line, in the isolation of the caller; nil at the end, and when the stream was closed here.
      public mutating func next(isolation: isolated (any Actor)?) async throws -> String? {
        do {
          return try await lines.stream.readLine(limit: lines.limit)
        } catch let error as UVError where error.code == .handleClosed {
          return nil
        }
      }
    }

    /// The lines as they come. One task can read at a time.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(lines: self) }
  }

  /// The frames of a stream, each behind its length.
  public struct Frames: AsyncSequence, Sendable {
    /// A frame, without its length.
    public typealias Element = [UInt8]

    let stream: ByteStream
    let lengthPrefix: LengthPrefix
    let limit: Int

    /// Gives the frames as they come.
    public struct AsyncIterator: AsyncIteratorProtocol {
      let frames: Frames

      /// The next frame; nil at the end, and when the stream was closed here.
      public mutating func next() async throws -> [UInt8]? { try await next(isolation: nil) }

      /// The next frame, in the isolation of the caller; nil at the end, and when the stream was closed here.
      public mutating func next(isolation: isolated (any Actor)?) async throws -> [UInt8]? {
        do {
          return try await frames.stream.readFrame(lengthPrefix: frames.lengthPrefix, limit: frames.limit)
        } catch let error as UVError where error.code == .handleClosed {
          return nil
        }
      }
    }

    /// The frames as they come. One task can read at a time.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(frames: self) }
  }
}
