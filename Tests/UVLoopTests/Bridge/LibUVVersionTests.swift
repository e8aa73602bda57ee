import CLibUV
import Testing

@testable import UVLoop

@Suite(.sideBySide) struct LibUVVersionTests {
  @Test func `the running version is the one that libuv prints`() {
    let printed = unsafe String(cString: uv_version_string())
    #expect(printed.hasPrefix(LibUVVersion.running))
  }

  @Test func `the compiled version is the one of the headers`() {
    #expect(LibUVVersion.compiled == "\(UV_VERSION_MAJOR).\(UV_VERSION_MINOR).\(UV_VERSION_PATCH)")
  }
}
