import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The few calls of the C library whose names our own types use too, or that differ between systems.
enum Posix {
  static var errno: Int32 {
    get {
      #if canImport(Glibc)
        Glibc.errno
      #elseif canImport(Musl)
        Musl.errno
      #else
        Darwin.errno
      #endif
    }
    set {
      #if canImport(Glibc)
        Glibc.errno = newValue
      #elseif canImport(Musl)
        Musl.errno = newValue
      #else
        Darwin.errno = newValue
      #endif
    }
  }

  /// A new descriptor on `/dev/null`, or -1.
  static func openNull() -> Int32 {
    #if canImport(Glibc)
      unsafe Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC)
    #elseif canImport(Musl)
      unsafe Musl.open("/dev/null", O_RDONLY | O_CLOEXEC)
    #else
      unsafe Darwin.open("/dev/null", O_RDONLY | O_CLOEXEC)
    #endif
  }

  /// Takes those of the numbers 0, 1 and 2 that are free, so that what is opened next gets others. The caller closes
  /// them again.
  static func takeFreeStandardDescriptors() -> [Int32] {
    var taken: [Int32] = []
    while true {
      let descriptor = openNull()
      if descriptor > 2 { close(descriptor) }
      if descriptor < 0 || descriptor > 2 { return taken }
      taken.append(descriptor)
    }
  }

  static func close(_ descriptor: Int32) {
    #if canImport(Glibc)
      _ = Glibc.close(descriptor)
    #elseif canImport(Musl)
      _ = Musl.close(descriptor)
    #else
      _ = Darwin.close(descriptor)
    #endif
  }

  /// Whether the number is that of an open descriptor.
  static func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) != -1 }

  /// Whether it is one end of a pipe.
  static func isPipe(_ descriptor: Int32) -> Bool {
    var status = stat()
    return unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
  }

  /// Whether it is a terminal, or the other end of a pseudo-terminal.
  static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// What sort of file it is, `S_IFREG` for instance, or 0 where the number is not that of an open descriptor.
  static func kind(of descriptor: Int32) -> mode_t {
    var status = stat()
    return unsafe fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0
  }

  /// How it was opened, `O_RDONLY` for instance, and the flags that belong to what is open; 0 where it is not.
  static func flags(of descriptor: Int32) -> Int32 { max(0, fcntl(descriptor, F_GETFL)) }

  static func setNonBlocking(_ descriptor: Int32, _ isOn: Bool) {
    let flags = fcntl(descriptor, F_GETFL)
    if flags < 0 || (flags & O_NONBLOCK != 0) == isOn { return }
    _ = fcntl(descriptor, F_SETFL, isOn ? flags | O_NONBLOCK : flags & ~O_NONBLOCK)
  }

  /// Opens once more what a descriptor stands for, so that its flags are ours alone: non-blocking, closed by an `exec`,
  /// never 0, 1 or 2. A negative errno where the system refuses: for a socket, for a pipe of another user, without
  /// `/proc`.
  static func reopen(_ descriptor: Int32) -> Int32 {
    let flags = flags(of: descriptor) & O_ACCMODE | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
    #if canImport(Glibc)
      let own = unsafe Glibc.open("/proc/self/fd/\(descriptor)", flags)
    #elseif canImport(Musl)
      let own = unsafe Musl.open("/proc/self/fd/\(descriptor)", flags)
    #else
      let own: Int32 = -1
      errno = ENOENT
    #endif
    if own < 0 { return -errno }
    if own > 2 { return own }
    defer { close(own) }
    let moved = fcntl(own, F_DUPFD_CLOEXEC, 3)
    return moved < 0 ? -errno : moved
  }

  /// Whether the other end of a pipe that is read from has gone.
  static func hasHungUp(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLHUP) != 0
  }

  /// What a descriptor's number stands for, to be compared: no two open files have the same.
  struct Identity: Equatable {
    private let device: UInt64
    private let node: UInt64

    /// Nil where the number is not that of an open descriptor.
    init?(of descriptor: Int32) {
      var status = stat()
      if unsafe fstat(descriptor, &status) != 0 { return nil }
      device = UInt64(truncatingIfNeeded: status.st_dev)
      node = UInt64(truncatingIfNeeded: status.st_ino)
    }
  }

  /// Whether there is something to read; of the descriptor of an epoll set or a kqueue, whether any member is ready.
  static func isReadable(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&entry, 1, 0) > 0
  }

  /// Why the loop with this `uv_backend_fd` cannot poll the descriptor, as a negative errno; 0 if it can.
  ///
  /// One system call for sockets and pipes, which can be polled by their kind; of others only epoll itself knows.
  static func refusal(toPoll descriptor: Int32, by backend: Int32) -> Int32 {
    #if os(Linux)
      var status = stat()
      if unsafe fstat(descriptor, &status) != 0 { return -errno }
      let kind = status.st_mode & S_IFMT
      if kind == S_IFSOCK || kind == S_IFIFO { return 0 }
      var event = unsafe epoll_event()
      if unsafe epoll_ctl(backend, EPOLL_CTL_ADD, descriptor, &event) == 0 {
        _ = unsafe epoll_ctl(backend, EPOLL_CTL_DEL, descriptor, &event)
        return 0
      }
      return errno == EEXIST ? 0 : -errno
    #else
      return isOpen(descriptor) ? 0 : -EBADF
    #endif
  }

  /// Lets another thread have the CPU.
  static func yield() { _ = sched_yield() }

  /// Writes a line and does not care whether anybody reads it: a pipe without a reader ends no process.
  static func write(_ line: String, to descriptor: Int32) {
    let bytes = Array(line.utf8)
    var pipe = sigset_t()
    var before = sigset_t()
    var pending = sigset_t()
    unsafe sigemptyset(&pipe)
    unsafe sigaddset(&pipe, SIGPIPE)
    unsafe pthread_sigmask(SIG_BLOCK, &pipe, &before)
    unsafe sigpending(&pending)
    let wasPending = unsafe sigismember(&pending, SIGPIPE) == 1
    #if canImport(Glibc)
      let written = unsafe Glibc.write(descriptor, bytes, bytes.count)
    #elseif canImport(Musl)
      let written = unsafe Musl.write(descriptor, bytes, bytes.count)
    #else
      let written = unsafe Darwin.write(descriptor, bytes, bytes.count)
    #endif
    if written < 0 && errno == EPIPE && !wasPending {
      // It pends for this thread alone: taken here it is never delivered.
      var taken: Int32 = 0
      unsafe sigwait(&pipe, &taken)
    }
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
  }
}
