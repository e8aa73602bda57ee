import Foundation
import Testing

@testable import UVLoop

/// The demo, run as anybody runs it. Each of them is a program of its own, which waits for most of its time.
@Suite(.sideBySide) struct DemoTests {
  static let scenes = [
    ["hello", "--sleep", "20ms"], ["threads"], ["timers", "--every", "20ms", "--count", "3"],
    ["wake", "--threads", "2", "--sends", "50"], ["offload", "--jobs", "3", "--block", "20ms"],
    ["pools", "--calls", "12", "--block", "20ms"], ["deadlock"],
    ["deadlock", "--workers", "1"], ["signals", "--send"], ["signals", "--within", "20ms"],
    ["sync", "--block", "60ms"], ["inspect", "--once"], ["inspect", "--for", "300ms", "--every", "50ms"],
    ["echo", "--port", "0", "--clients", "2", "--for", "200ms", "--every", "50ms"], ["fetch", "--say", "hello"],
  ]

  @Test(arguments: [[]] + scenes)
  func `every scene and the tour end with 0, and no line is wider than 80 columns`(_ arguments: [String])
    async throws
  {
    let run = try await Demo.run(arguments)
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(!run.lines.isEmpty)
    #expect(run.lines.filter { $0.count > 80 } == [])
  }

  @Test(arguments: [[]] + scenes)
  func `with --json every line is an object that names its scene and its fact`(_ arguments: [String]) async throws {
    let run = try await Demo.run(arguments + ["--json"])
    #expect(run.status == 0)
    #expect(!run.lines.isEmpty)
    for line in run.lines {
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
      if let scene = arguments.first { #expect(object["scene"] as? String == scene) }
      #expect(object["scene"] is String)
      #expect(object["fact"] is String)
    }
  }

  @Test(arguments: [
    (["hello", "--sleep", "0s"], "'--sleep <time>': it must be a time from 1ms to 1m"),
    (["timers", "--every", "-5ms"], "'--every <time>': it must be a time from 1ms to 1h"),
    (["timers", "--every", "5"], "'--every <time>': it must be a time from 1ms to 1h"),
    (["timers", "--every", "nans"], "'--every <time>': it must be a time from 1ms to 1h"),
    (["timers", "--every", "99999999999999999999h"], "'--every <time>': it must be a time from 1ms to 1h"),
    (["timers", "--count", "0"], "'--count <number>': it must be a whole number from 1 to 100000"),
    (["timers", "--count", "-1"], "'--count <number>': it must be a whole number from 1 to 100000"),
    (["timers", "--count", "99999999999999999999"], "'--count <number>': it must be a whole number from 1 to 100000"),
    (["wake", "--threads", "65"], "'--threads <number>': it must be a whole number from 1 to 64"),
    (["wake", "--sends", "many"], "'--sends <number>': it must be a whole number from 1 to 1000000"),
    (["offload", "--jobs", "0"], "'--jobs <number>': it must be a whole number from 1 to 1000"),
    (["offload", "--block", "2m"], "'--block <time>': it must be a time from 1ms to 1m"),
    (["pools", "--calls", "0"], "'--calls <number>': it must be a whole number from 1 to 1000"),
    (["deadlock", "--workers", "0"], "'--workers <number>': it must be a whole number from 1 to 64"),
    (["signals", "--within", "0ms"], "'--within <time>': it must be a time from 1ms to 1h"),
    (["signals", "--count"], "Missing value for '--count <number>'"),
    (["inspect", "--stall", "1ms"], "'--stall <time>': it must be a time from 150ms to 2s"),
    (["inspect", "--for", "soon"], "'--for <time>': it must be a time from 100ms to 24h"),
    (["sync", "--block", "-1s"], "'--block <time>': it must be a time from 1ms to 1m"),
    (["echo", "--port", "65536"], "'--port <number>': it must be a whole number from 0 to 65535"),
    (["fetch", "nowhere"], "'<host:port>': it must be a host and a port, such as localhost:7000"),
    (["fetch"], "there must be a host:port, or a text to '--say'"),
    (["threads", "--colour"], "Unknown option '--colour'"), (["dance"], "Unexpected argument 'dance'"),
  ])
  func `bad usage ends with 64 and says why on standard error only`(_ arguments: [String], _ reason: String)
    async throws
  {
    let run = try await Demo.run(arguments)
    #expect(run.status == 64)
    #expect(run.output == "")
    let words = run.errors.split { $0.isWhitespace }.joined(separator: " ")
    #expect(words.contains(reason), "\(run.errors)")
    #expect(run.errors.split(separator: "\n").filter { $0.count > 80 } == [])
  }

  @Test(arguments: Set(scenes.map { $0[0] }))
  func `the help of every scene shows an example that can be played`(_ scene: String) async throws {
    let help = try await Demo.run([scene, "--help"])
    #expect(help.status == 0)
    let example = try #require(help.lines.first { $0.hasPrefix("Example: uv-hello ") })
    let arguments = example.split(separator: " ").dropFirst(2).map(String.init)
    #expect(arguments.first == scene)
    let run = try await Demo.run(arguments) { $0.hasPrefix("   waiting for") ? .interrupt : nil }
    #expect(run.status == 0)
    #expect(run.errors == "")
  }

  @Test func `the version names libuv, as it runs and as it was compiled against`() async throws {
    let run = try await Demo.run(["--version"])
    #expect(run.status == 0)
    #expect(run.lines.first == "uv-hello 0.1.0")
    #expect(run.lines.contains("libuv \(LibUVVersion.running) (compiled against \(LibUVVersion.compiled))"))
    #expect(run.lines.contains { $0.hasPrefix("Swift 6.") })
  }

  @Test func `colours are for terminals, and for nobody who has set NO_COLOR`() async throws {
    let escape = "\u{1B}"
    #expect(try await Demo.run(["threads"], to: .terminal).output.contains(escape))
    #expect(try await !Demo.run(["threads"], environment: ["NO_COLOR": "0"], to: .terminal).output.contains(escape))
    #expect(try await !Demo.run(["threads", "--json"], to: .terminal).output.contains(escape))
    #expect(try await !Demo.run(["threads"]).output.contains(escape))
  }

  @Test(arguments: [
    (["timers", "--every", "1s", "--count", "100"], "        1  "), (["hello", "--sleep", "1m"], "   Hello"),
    (["offload", "--jobs", "9", "--block", "300ms"], "        "), (["pools", "--block", "1s"], "   A name"),
    (["sync", "--block", "1m"], "   The main thread"),
    (["inspect"], "   loop"), ([], "   Hello"),
  ])
  func `an interrupt ends a scene and the tour with 130 and one line`(_ arguments: [String], _ line: String)
    async throws
  {
    // Until the loop watches the signal it does its default. The first fact of a scene comes after that.
    let run = try await Demo.run(arguments) { $0.hasPrefix(line) ? .interrupt : nil }
    #expect(run.status == 130)
    #expect(run.errors.hasPrefix("uv-hello: SIGINT: the loop ended in "), "\(run.errors)")
    #expect(run.errors.split(separator: "\n").count == 1)
  }

  @Test func `an interrupt while calls wait for each other leaves none of them behind`() async throws {
    // Whether it comes before all of them have begun is a matter of luck.
    for _ in 1...10 {
      let run = try await Demo.run(["deadlock", "--workers", "64"]) {
        $0.hasPrefix("   Every worker") ? .interrupt : nil
      }
      if run.status == 0 || run.status == -SIGINT {
        // It came too late: all calls but the refused one had ended, and the loop may have, behind which the default
        // ends the process.
        #expect(run.lines.count { $0.contains("inner call ran on") } == 63)
        continue
      }
      #expect(run.status == 130)
      #expect(run.errors.hasSuffix(": nothing left behind\n"), "\(run.errors)")
    }
  }

  @Test func `an interrupt that is waited for is counted and ends with 0`() async throws {
    let run = try await Demo.run(["signals", "--count", "1"]) {
      $0.hasPrefix("   waiting for") ? .interrupt : nil
    }
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.lines.last?.hasSuffix("the count") == true)
  }

  @Test func `a reader that has seen enough ends it without a word`() async throws {
    // Many more ticks than the reader needs time to go.
    let run = try await Demo.run(["timers", "--every", "20ms", "--count", "5000"]) { _ in .stopReading }
    #expect(run.status == 128 + SIGPIPE)
    #expect(run.errors == "")
  }
}
