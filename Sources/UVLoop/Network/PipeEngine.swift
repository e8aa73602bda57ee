import CLibUV

/// The `uv_pipe_t` of one connection over a Unix socket, or of a pipe.
@safe final class PipeEngine: StreamEngine {
  private let isSocket: Bool

  /// One over an open descriptor, which is the handle's from now on, also where this throws.
  init(_ descriptor: Int32, on core: LoopCore, passesStreams: Bool, isAdopted: Bool) throws(UVError) {
    isSocket = Socket.type(of: descriptor) >= 0
    do throws(UVError) {
      try unsafe super.init(UV_NAMED_PIPE, "PipeStream", on: core, isAdopted: isAdopted) { loop, memory in
        unsafe uv_pipe_init(loop, memory.bindMemory(to: uv_pipe_t.self, capacity: 1), passesStreams ? 1 : 0)
      }
    } catch {
      Posix.close(descriptor)
      throw error
    }
    try open(descriptor) { unsafe uv_pipe_open(memory.assumingMemoryBound(to: uv_pipe_t.self), descriptor) }
  }

  /// A pipe has no direction that could end by itself: its reader sees the end when the last writer closes.
  override func finishWriting(done: @escaping (UVError?) -> Void) {
    if isSocket { return super.finishWriting(done: done) }
    end()
    done(nil)
  }
}
