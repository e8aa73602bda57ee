import CLibUV

/// The `uv_pipe_t` of one connection over a Unix socket, or of a pipe.
@safe class PipeEngine: StreamEngine {
  private final let isSocket: Bool

  /// One over an open descriptor, which is the handle's from now on, also where this throws.
  init(_ descriptor: Int32, on loop: LoopCore, passesStreams: Bool, isAdopted: Bool) throws(UVError) {
    isSocket = Socket.type(of: descriptor) >= 0
    do throws(UVError) {
      try unsafe super.init(UV_NAMED_PIPE, "PipeStream", on: loop, isAdopted: isAdopted) { uvLoop, memory in
        unsafe uv_pipe_init(uvLoop, memory.bindMemory(to: uv_pipe_t.self, capacity: 1), passesStreams ? 1 : 0)
      }
    } catch {
      Posix.close(descriptor)
      throw error
    }
    try open(descriptor) { unsafe uv_pipe_open(memory.assumingMemoryBound(to: uv_pipe_t.self), descriptor) }
  }

  /// One of the kind that the options want. Streams can be sent over sockets alone.
  static func make(
    _ descriptor: Int32, on loop: LoopCore, _ options: ByteStream.Options, isAdopted: Bool
  ) throws(UVError) -> PipeEngine {
    options.passesStreams && Socket.type(of: descriptor) >= 0
      ? try PassingEngine(descriptor, on: loop, options, isAdopted: isAdopted)
      : try PipeEngine(descriptor, on: loop, passesStreams: false, isAdopted: isAdopted)
  }

  /// A pipe has no direction that could end by itself: its reader sees the end when the last writer closes.
  override func finishWriting(done: @escaping (UVError?) -> Void) {
    if isSocket { return super.finishWriting(done: done) }
    end()
    done(nil)
  }
}
