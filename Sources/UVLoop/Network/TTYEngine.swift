import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The `uv_tty_t` of one terminal.
@safe final class TTYEngine: StreamEngine {
  private let isMaster: Bool
  /// Set where others have what is open, too, since it could not be opened again.
  private var flag: SharedFlags.Token?
  /// Whether it has changed the mode of its terminal, and has to see that it is put back.
  private var change: TerminalModes.Change?
  /// The size is asked for on any thread, and the descriptor must not close meanwhile.
  private let lock = Lock()
  /// Guarded by it.
  private var isReadable = true

  /// One over a descriptor of a terminal, which is the handle's from now on, also where this throws.
  init(_ descriptor: Int32, on loop: LoopCore) throws(UVError) {
    isMaster = clibuv_is_terminal_master(descriptor)
    do throws(UVError) {
      try unsafe super.init(UV_TTY, "TTYStream", on: loop, isAdopted: true) { uvLoop, memory in
        // libuv opens it once more, and never closes one of the first three.
        let taken = Posix.takeFreeStandardDescriptors()
        defer { for descriptor in taken { Posix.close(descriptor) } }
        return unsafe uv_tty_init(uvLoop, memory.bindMemory(to: uv_tty_t.self, capacity: 1), descriptor, 0)
      }
    } catch {
      Posix.close(descriptor)
      throw error
    }
    let own = watchedDescriptor ?? descriptor
    // It may have the number of one that was closed behind a handle which watches no more.
    loop.handles.release(own)
    try open(own) { 0 }
    if own != descriptor {
      // It has put what it has opened under our number too, so that this stands for the same.
      Posix.close(descriptor)
      return
    }
    unsafe clibuv_write_without_blocking(uvTTY)
    do throws(UVError) { flag = try SharedFlags.process.claim(own, "TTYStream.init") } catch {
      close(by: .owner)
      throw error
    }
  }

  private var uvTTY: UnsafeMutablePointer<uv_tty_t> { unsafe memory.assumingMemoryBound(to: uv_tty_t.self) }

  /// A terminal has no direction that could end by itself: whoever has it goes on writing.
  override var endsWriting: Bool { false }

  override func finishWriting(done: @escaping (UVError?) -> Void) { done(nil) }

  // MARK: The end of the terminal

  /// The last one who had the terminal has gone, if this is its other end.
  override func isEnd(_ status: Int32) -> Bool {
    super.isEnd(status) || (isMaster && status == Int32(UV_EIO.rawValue))
  }

  override func advice(on status: Int32) -> String? {
    if status != Int32(UV_EIO.rawValue) { return nil }
    return "A terminal answers so to a process in the background, which may not read from it."
  }

  // MARK: Mode and size

  func setMode(_ mode: TTYStream.Mode) throws(UVError) {
    guard let descriptor else { throw closedError("setMode", state.closeReason ?? .owner) }
    if mode == .normal && change == nil && !TerminalModes.process.hasChanged(descriptor) { return }
    if clibuv_is_in_background(descriptor) {
      throw UVError(
        .ioError, call: "TTYStream.setMode",
        "This process is in the background, and the terminal is somebody else's. Set the mode in the foreground.")
    }
    var change = change
    if change == nil { change = try TerminalModes.process.begin(descriptor, "TTYStream.setMode") }
    self.change = change
    guard let change else { return }
    // libuv would take what it finds for the original, though another stream may have changed it. So it is told that it
    // knows that already.
    unsafe uvTTY.pointee.orig_termios = change.original
    unsafe uvTTY.pointee.mode = Int32((mode == .io ? UV_TTY_MODE_RAW : UV_TTY_MODE_IO).rawValue)
    let status = unsafe uv_tty_set_mode(uvTTY, mode.uv)
    if mode == .normal || status < 0 { leaveMode() }
    try check(status, "TTYStream.setMode")
  }

  private func leaveMode() {
    if let change = change.take() { TerminalModes.process.end(change) }
  }

  /// On any thread.
  var size: TerminalSize? {
    lock.withLock {
      var (columns, rows): (Int32, Int32) = (0, 0)
      if !isReadable { return nil }
      if unsafe uv_tty_get_winsize(uvTTY, &columns, &rows) < 0 || columns <= 0 || rows <= 0 { return nil }
      return TerminalSize(columns: Int(columns), rows: Int(rows))
    }
  }

  override func letGo() {
    lock.withLock { isReadable = false }
    leaveMode()
    if let flag = flag.take() { SharedFlags.process.release(flag) }
  }
}

extension TTYStream.Mode {
  fileprivate var uv: uv_tty_mode_t {
    switch self {
    case .normal: UV_TTY_MODE_NORMAL
    case .raw: UV_TTY_MODE_RAW
    case .io: UV_TTY_MODE_IO
    }
  }
}
