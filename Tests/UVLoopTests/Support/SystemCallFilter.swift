#if os(Linux) && (arch(x86_64) || arch(arm64))
  import UVLoop

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// Lets the kernel refuse system calls of the calling thread (seccomp). It cannot be taken back.
  enum SystemCallFilter {
    /// The numbers of calls.
    enum Call: UInt32 {
      #if arch(x86_64)
        case socket = 41
        case setsockopt = 54
        case accept = 288
      #else
        case socket = 198
        case setsockopt = 208
        case accept = 242
      #endif
    }

    /// `prctl` takes any number of arguments, which Swift does not call.
    static func fail(_ call: Call, ofWhichFirst argument: Int32, with error: Int32) -> Bool {
      guard let symbol = unsafe dlsym(nil, "prctl") else { return false }
      typealias Control = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
      let control = unsafe unsafeBitCast(symbol, to: Control.self)
      // struct sock_filter: code, jumps, operand. Loads the call's number, then its first argument.
      func step(_ code: UInt16, _ operand: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) -> UInt64 {
        UInt64(code) | UInt64(ifTrue) << 16 | UInt64(ifFalse) << 24 | UInt64(operand) << 32
      }
      let steps = [
        step(0x20, 0), step(0x15, call.rawValue, ifFalse: 3), step(0x20, 16),
        step(0x15, UInt32(bitPattern: argument), ifFalse: 1), step(0x06, 0x0005_0000 | UInt32(error)),
        step(0x06, 0x7fff_0000),
      ]
      return unsafe steps.withUnsafeBufferPointer { steps in
        // struct sock_fprog.
        var program = (UInt(steps.count), UInt(bitPattern: steps.baseAddress))
        return unsafe withUnsafePointer(to: &program) { program in
          // PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP with SECCOMP_MODE_FILTER.
          if control(38, 1, 0, 0, 0) != 0 { return false }
          return control(22, 2, UInt(bitPattern: program), 0, 0) == 0
        }
      }
    }
  }
#endif
