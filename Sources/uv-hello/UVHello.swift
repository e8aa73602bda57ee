import ArgumentParser
import UVLoop

/// The demo: on which thread does my event loop run, and am I on it?
///
/// Each scene is in a file of its own, to be read beside its output.
@main
struct UVHello: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "uv-hello",
    abstract: "On which thread does my event loop run, and am I on it?",
    discussion: """
      Without a subcommand it plays all scenes, which takes about seven seconds.\
       Each scene has a loop of its own, on a thread that is named after it.\
       Ctrl-C ends the loop, and then the program.

      Example: uv-hello --json | head -3
      """,
    version: """
      uv-hello 0.1.0
      libuv \(LibUVVersion.running) (compiled against \(LibUVVersion.compiled))
      Swift \(swiftVersion)
      """,
    subcommands: [
      Hello.self, Threads.self, Timers.self, Wake.self, Offload.self, Pools.self, Deadlock.self, CountSignals.self,
      Sync.self, Inspect.self, Echo.self, Fetch.self,
    ])

  @OptionGroup var format: FormatOptions

  /// Not `async`: the code of an asynchronous `main` leaves the main thread on Linux as soon as it waits. A plain
  /// thread, as this one is, reaches a loop through `runBlocking`.
  static func main() {
    Terminal.prepare()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      let code = exitCode(for: error)
      if code.isSuccess { exit(withError: error) }  // The help, or the version.
      // ArgumentParser breaks the lines of a help, and not those of an error.
      // A scene that ends with a code alone has nothing to say.
      let message = fullMessage(for: error)
      let lines = message.isEmpty ? [] : message.split(separator: "\n", omittingEmptySubsequences: false)
      for line in lines { Terminal.writeError((line.count > 80 ? line.wrapped(margin: 7) : String(line)) + "\n") }
      exit(withError: code)
    }
  }

  func run() throws {
    let commands = [
      "hello", "threads", "timers", "wake", "offload", "pools --block 40ms", "deadlock", "signals --send", "sync",
      "inspect --once", "echo \(Echo.example)", "fetch \(Fetch.example)",
    ]
    let scenes = try commands.map { try (command: $0, scene: scene($0)) }
    for (_, scene) in scenes { try scene.prepare() }

    let output = Output(scene: "tour", isJSON: format.json)
    output.title("UVLoop on libuv \(LibUVVersion.running)")
    for (number, (command, scene)) in scenes.enumerated() {
      let output = Output(scene: type(of: scene).name, isJSON: format.json)
      output.title("\n\(number + 1)  \(type(of: scene).title)")
      output.fact("the command", .text("uv-hello \(command)"))
      try scene.perform(output)
    }
  }

  /// What the command line would give.
  private func scene(_ command: String) throws -> any Scene {
    let words = command.split(separator: " ").map(String.init)
    guard let scene = try Self.parseAsRoot(words) as? any Scene else { throw ValidationError("\(command) is no scene") }
    return scene
  }

  /// The language has conditions for the compiler's version, and no text.
  private static var swiftVersion: String {
    #if compiler(>=6.4)
      "6.4 or newer"
    #elseif compiler(>=6.3)
      "6.3"
    #else
      "6.2"
    #endif
  }
}
