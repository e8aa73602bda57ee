import CLibUV
import Testing

/// The calling thread.
enum Thread {
  /// Names it for the kernel, so that a message can be seen to name it.
  static func name(_ name: String) { unsafe name.withCString { unsafe clibuv_set_thread_name($0) } }
}

extension ExitTest.Result {
  /// What the process wrote to standard error, if that was observed.
  var standardErrorText: String { String(decoding: standardErrorContent, as: UTF8.self) }
}
