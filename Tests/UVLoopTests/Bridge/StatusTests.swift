import CLibUV
import Testing

@testable import UVLoop

@Suite(.sideBySide) struct StatusTests {
  @Test(arguments: [0, 1, Int32.max])
  func `a status that is not negative is handed back`(status: Int32) throws {
    #expect(try check(status, "test") == status)
  }

  @Test func `a negative status throws its code, the call and the hint`() {
    let error = #expect(throws: UVError.self) {
      try check(UV_EINVAL.rawValue, "TimerHandle.again", hint: "Start it first.")
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.call == "TimerHandle.again")
    #expect(error?.message == "invalid argument. Start it first.")
  }

  @Test func `success evaluates neither call nor hint`() throws {
    var evaluated = 0
    func text() -> String {
      evaluated += 1
      return "test"
    }
    try check(0, text(), hint: text())
    #expect(evaluated == 0)
  }
}
