// Which libuv this is: the one of the headers, and the one that the linker found.

internal import CLibUV

/// The version of libuv, as this package was compiled against it and as it runs.
///
/// The two differ when the system's library was updated since the build. That is safe within 1.x: libuv promises
/// that sizes and layouts of its structs stay, and only adds. A ``running`` older than ``compiled`` may lack a
/// function, which the dynamic linker then reports.
///
/// > libuv: `docs/src/version.rst`.
public enum LibUVVersion {
  /// The version of the headers, such as `1.44.2`.
  public static var compiled: String { text(clibuv_compiled_version()) }

  /// The version of the library in this process, such as `1.44.2`; a pre-release suffix is left out.
  ///
  /// > libuv: `uv_version`.
  public static var running: String { text(uv_version()) }

  /// One byte each for major, minor and patch (`uv/version.h`).
  private static func text(_ hex: UInt32) -> String { "\(hex >> 16).\(hex >> 8 & 0xff).\(hex & 0xff)" }
}
