import CLibUV
import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.sideBySide) struct UVErrorTests {
  static let ours: [(UVError.Code, String)] = [
    (.loopClosed, "loopClosed"), (.handleClosed, "handleClosed"), (.notOnLoop, "notOnLoop"),
    (.wouldDeadlock, "wouldDeadlock"), (.timedOut, "timedOut"), (.busy, "busy"), (.tornWrite, "tornWrite"),
  ]

  @Test(arguments: LibUVCode.all)
  func `H-01 each libuv code has its name, a sentence and its errno`(row: LibUVCode) {
    let error = UVError(status: row.status, call: "test")
    #expect(error.code == row.code)
    #expect(error.code.rawValue == row.status)
    #expect(error.code.name == row.name)
    #expect(error.message == libuvText(row.status))
    #expect(!error.message.isEmpty && !error.message.hasPrefix("Unknown system error"))
    #expect(error.errno == (row.status > -1000 ? -row.status : nil))
  }

  @Test(.enabled(if: LibUVVersion.running.hasPrefix("1.44.")))
  func `H-01 no code that libuv knows is without a constant`() {
    let known = Set(LibUVCode.all.map(\.status))
    for status in Int32(-5000) ... -1 where !libuvName(status).hasPrefix("Unknown system error") {
      #expect(known.contains(status), "\(libuvName(status))")
    }
  }

  @Test func `H-01 an errno is the system's own number`() {
    #expect(UVError(.addressInUse, call: "test", "").errno == EADDRINUSE)
    #expect(UVError(.badFileDescriptor, call: "test", "").errno == EBADF)
    #expect(UVError(.noSuchFileOrDirectory, call: "test", "").errno == ENOENT)
    #expect(UVError(.resourceTemporarilyUnavailable, call: "test", "").errno == EAGAIN)
    #expect(UVError(.connectionTimedOut, call: "test", "").errno == ETIMEDOUT)
  }

  @Test(arguments: [UVError.Code.endOfFile, .unknown, .invalidCharset, .addressInfoUnknownName, .addressInfoCanceled])
  func `H-01 a code that libuv invented has no errno`(code: UVError.Code) throws {
    #if os(Linux)
      #expect(UVError(code, call: "test", "").errno == nil)
    #endif
  }

  @Test(arguments: ours)
  func `H-01 each code of ours has its Swift name and no errno`(code: UVError.Code, name: String) {
    #expect(code.name == name)
    #expect(code.description == name)
    #expect(UVError(code, call: "test", "").errno == nil)
  }

  @Test func `H-01 no code of ours meets one of libuv's`() {
    let values = Self.ours.map(\.0.rawValue)
    #expect(Set(values).count == values.count)
    for value in values { #expect(libuvName(value) == "Unknown system error \(value)") }
  }

  @Test func `H-01 a number that libuv does not know is kept and says so`() {
    let error = UVError(status: -777, call: "test")
    #expect(error.code.rawValue == -777)
    #expect(error.code.name == "Unknown system error -777")
    #expect(error.errno == 777)
  }

  @Test func `H-02 a description holds the code's name, the call and libuv's sentence`() {
    let error = UVError(status: UV_EBADF.rawValue, call: "PollHandle.init")
    #expect("\(error)" == "EBADF in PollHandle.init: bad file descriptor")
  }

  @Test func `H-02 a hint follows libuv's words as a sentence`() {
    let error = UVError(status: UV_EBADF.rawValue, call: "PollHandle.init", hint: "Keep it open until close.")
    #expect("\(error)" == "EBADF in PollHandle.init: bad file descriptor. Keep it open until close.")
  }

  @Test func `H-02 a description of ours holds the code's name, the call and the sentence`() {
    let error = UVError(.loopClosed, call: "EventLoop.post", "the loop \"io\" has shut down")
    #expect("\(error)" == "loopClosed in EventLoop.post: the loop \"io\" has shut down")
  }

  @Test func `two errors are equal when code, call and message are`() {
    let error = UVError(.busy, call: "a", "b")
    #expect(error == UVError(.busy, call: "a", "b"))
    #expect(error != UVError(.timedOut, call: "a", "b"))
    #expect(error != UVError(.busy, call: "c", "b"))
    #expect(error != UVError(.busy, call: "a", "c"))
  }
}

private func libuvName(_ status: Int32) -> String {
  var bytes = [CChar](repeating: 0, count: 128)
  return unsafe String(cString: uv_err_name_r(status, &bytes, bytes.count))
}

private func libuvText(_ status: Int32) -> String {
  var bytes = [CChar](repeating: 0, count: 128)
  return unsafe String(cString: uv_strerror_r(status, &bytes, bytes.count))
}
