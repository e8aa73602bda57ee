#if os(Linux) && (arch(x86_64) || arch(arm64))
  import CLibUV
  import Synchronization

  @testable import UVLoop

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// A kernel that has no room for the datagrams of one socket, until it has: a thread of the test answers the system
  /// calls of the calling thread in the kernel's place (seccomp's user notification).
  ///
  /// The filter stays for as long as the thread, and those that it starts: for a process of its own.
  final class RefusedSends: @unchecked Sendable {  // Holds because all but the atomic ones is constant.
    private let listener: Int32
    private let refuses = Atomic(true)
    private let count = Atomic(0)

    /// How many calls have been refused.
    var refused: Int { count.load(ordering: .acquiring) }

    /// Nil where the kernel has no such thing.
    init?(of descriptor: Int32) {
      guard let control = Self.function("prctl", as: (@convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32).self),
        let system = Self.function("syscall", as: (@convention(c) (Int, Int, Int, Int) -> Int).self)
      else { return nil }
      #if arch(x86_64)
        let (sendmsg, sendmmsg, seccomp): (UInt32, UInt32, Int) = (46, 307, 317)
      #else
        let (sendmsg, sendmmsg, seccomp): (UInt32, UInt32, Int) = (211, 269, 277)
      #endif
      // struct sock_filter: code, jumps, operand. Loads the call's number, then its first argument.
      func step(_ code: UInt16, _ operand: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) -> UInt64 {
        UInt64(code) | UInt64(ifTrue) << 16 | UInt64(ifFalse) << 24 | UInt64(operand) << 32
      }
      let steps = [
        step(0x20, 0), step(0x15, sendmsg, ifTrue: 1), step(0x15, sendmmsg, ifFalse: 3), step(0x20, 16),
        // SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW.
        step(0x15, UInt32(bitPattern: descriptor), ifFalse: 1), step(0x06, 0x7fc0_0000), step(0x06, 0x7fff_0000),
      ]
      let listener = unsafe steps.withUnsafeBufferPointer { steps in
        // struct sock_fprog.
        var program = (UInt(steps.count), UInt(bitPattern: steps.baseAddress))
        return unsafe withUnsafePointer(to: &program) { program in
          // PR_SET_NO_NEW_PRIVS; SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_NEW_LISTENER.
          if control(38, 1, 0, 0, 0) != 0 { return -1 }
          return system(seccomp, 1, 8, Int(bitPattern: program))
        }
      }
      if listener < 0 { return nil }
      self.listener = Int32(listener)
      PlainThread { [self] in answer() }
    }

    /// From now on the kernel answers itself.
    func makeRoom() { refuses.store(false, ordering: .releasing) }

    /// Until the process ends.
    private func answer() {
      let (receive, send): (UInt, UInt) = (0xc050_2100, 0xc018_2101)
      while true {
        // struct seccomp_notif, whose first field is the id; struct seccomp_notif_resp: id, value, error, flags.
        var call = [UInt64](repeating: 0, count: 10)
        if unsafe ioctl(listener, receive, &call) != 0 {
          if Posix.errno == EINTR || Posix.errno == ENOENT { continue }
          return
        }
        let isRefused = refuses.load(ordering: .acquiring)
        let (error, flags): (Int32, UInt32) = isRefused ? (-EAGAIN, 0) : (0, 1)
        var answer: [UInt64] = [call[0], 0, UInt64(UInt32(bitPattern: error)) | UInt64(flags) << 32]
        if isRefused { count.add(1, ordering: .releasing) }
        _ = unsafe ioctl(listener, send, &answer)
      }
    }

    /// They take any number of arguments, which Swift does not call.
    private static func function<Type>(_ name: String, as type: Type.Type) -> Type? {
      guard let symbol = unsafe dlsym(nil, name) else { return nil }
      return unsafe unsafeBitCast(symbol, to: type)
    }
  }
#endif
