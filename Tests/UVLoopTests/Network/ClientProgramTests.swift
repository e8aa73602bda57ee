import Testing

/// Programs of clients, as they would write them: unchanged in every setting, and with a peer.
@Suite(.sideBySide, .serialized) struct ClientProgramTests {
  private static let folder = "\(Files.folder(of: Files.folder(of: #filePath)))/Misuse/Fixtures/network-programs"
  private static let driver = "Driver.swift.txt"

  /// How clients set their compiler.
  enum Setting: String, CaseIterable, CustomTestStringConvertible {
    case plain = "Swift 6"
    case upcoming = "Swift 6 with upcoming features and strict memory safety"
    case mainActor = "isolated to the main actor by default"
    case mainActorNonsending = "isolated to the main actor by default, with nonsending functions"

    var testDescription: String { rawValue }

    var options: [String] {
      let nonsending = ["-enable-upcoming-feature", "NonisolatedNonsendingByDefault"]
      let mainActor = ["-default-isolation", "MainActor"]
      return switch self {
      case .plain: []
      case .upcoming:
        ["ExistentialAny", "MemberImportVisibility", "InternalImportsByDefault", "InferIsolatedConformances"]
          .flatMap { ["-enable-upcoming-feature", $0] } + nonsending + ["-strict-memory-safety"]
      case .mainActor: mainActor
      case .mainActorNonsending: mainActor + nonsending
      }
    }
  }

  @Test func `the eight programs of the network are there, and nothing else but what calls them`() {
    let names = ["Chat", "DNS", "Descriptors", "Driver", "Echo", "HTTP", "Proxy", "RPC", "Scanner"].map {
      "\($0).swift.txt"
    }
    #expect(Files.names(in: Self.folder) == names)
  }

  @Test(arguments: Setting.allCases)
  func `the programs of the network compile without a warning`(_ setting: Setting) async throws {
    try await withScratchFolder { folder in
      let sources = try Self.copy(to: folder) { $0 != Self.driver }
      let arguments = SwiftCompiler.clientArguments() + setting.options + ["-emit-sil", "-wmo", "-o", "/dev/null"]
      let outcome = try await SwiftCompiler.run("swiftc", arguments + sources)
      #expect(outcome.status == 0, "\(outcome.output)")
      #expect(outcome.warnings.isEmpty, "\(outcome.output)")
    }
  }

  @Test func `each function of the programs does with a peer what it says`() async throws {
    try await withScratchFolder { folder in
      let sources = try Self.copy(to: folder) { _ in true }
      let program = "\(folder)/client"
      let build = try await SwiftCompiler.build(sources, [], to: program)
      try #require(build.status == 0, "\(build.output)")
      #expect(build.warnings.isEmpty, "\(build.output)")

      let run = try await SwiftCompiler.run(program, [folder])
      #expect(run.status == 0, "\(run.output)")
      let functions = [
        "echoServer", "leanEcho", "echoLines", "echoUntilSignal", "echoWithHeartbeat", "chat", "hello", "proxy",
        "relayByHand", "relayWithAsyncLet", "relayWithProgress", "scan", "names", "rpcServer", "greet", "countBytes",
        "query", "senders", "pass", "move", "reopen", "echoOnManyLoops", "netcat",
      ]
      // One of them prints how far it is.
      let answers = run.output.split(separator: "\n").filter { $0.hasPrefix("true ") || $0.hasPrefix("false ") }
      #expect(answers == functions.map { "true \($0)" })
      #expect(run.output.contains("said by the peer of netcat"))
    }
  }

  /// As files that the compiler takes for Swift's.
  private static func copy(to folder: String, where isWanted: (String) -> Bool) throws -> [String] {
    try Files.names(in: Self.folder).filter(isWanted).map { name in
      let copy = "\(folder)/\(name.dropLast(4))"
      try Files.write(Files.text(of: "\(Self.folder)/\(name)"), to: copy)
      return copy
    }
  }
}
