import Testing

@testable import UVLoop

/// Names for addresses.
@Suite(.sideBySide) struct SymbolicatorTests {
  @inline(never)
  private static func innermost() -> [UInt] { CallStack.current(in: CallStack.own) }

  @inline(never)
  private static func outer() -> [UInt] {
    let found = innermost()
    return found
  }

  @Test func `the calling thread's own stack names its functions, the innermost first`() throws {
    let names = Symbolicator.frames(SymbolicatorTests.outer()).map { $0.function ?? "?" }
    try #require(names.count >= 2)
    #expect(names[0].contains("SymbolicatorTests.innermost"), "\(names)")
    #expect(names[1].contains("SymbolicatorTests.outer"), "\(names)")
  }

  @Test func `a stack has no more calls than were asked for`() {
    #expect(CallStack.current(in: CallStack.own, limit: 1).count == 1)
    #expect(CallStack.current(in: CallStack.own, limit: 0).isEmpty)
    #expect(CallStack.current(in: 0..<0).isEmpty)
  }

  @Test func `an address in no image has a frame without a name`() throws {
    let frame = try #require(Symbolicator.frames([16]).first)
    #expect(frame.function == nil && frame.image == nil && frame.address == 16)
    #expect(frame.description == "? + 0 in ? (0x0)")
    #expect(Symbolicator.frames([]).isEmpty)
  }

  @Test func `a frame says where in which file it is`() throws {
    let frame = try #require(Symbolicator.frames(SymbolicatorTests.outer()).first)
    #expect(frame.image?.contains("UVLoop") == true || frame.image?.contains("swiftpm-testing") == true)
    #expect(frame.imageAddress > 0 && frame.offset < 4_096)
    #expect(frame.description.contains(" in \(frame.image ?? "") (0x"))
  }

  @Test func `Swift's names are demangled, all others stay`() {
    #expect(Symbolicator.demangled("$s6UVLoop05EventB0C4name") != "$s6UVLoop05EventB0C4name")
    let plus = "static Swift.Int.+ infix(Swift.Int, Swift.Int) -> Swift.Int"
    #expect(Symbolicator.demangled("$sSi1poiyS2i_SitFZ") == plus)
    for name in ["uv_run", "", "$s"] { #expect(Symbolicator.demangled(name) == name) }
  }

  #if os(Linux)
    @Test(arguments: ["/dev/null", "/proc/self/status", "/nowhere", "/", "/etc/passwd"])
    func `a file that is no program has no symbols`(path: String) {
      var isReadable = false
      if let file = ObjectFile(path: path) { isReadable = SymbolTable(file) != nil }
      #expect(!isReadable)
    }
  #endif
}
