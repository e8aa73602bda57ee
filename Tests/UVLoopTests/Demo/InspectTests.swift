import Foundation
import Testing

/// `uv-hello inspect`. A long stall, so that a machine that is busy with other things sees it, too.
@Suite(.alone) struct InspectTests {
  private static let once = ["inspect", "--once", "--stall", "2s"]

  @Test func `--once --json is one object that tells what the loop does while it is blocked`() async throws {
    let run = try await Demo.run(Self.once + ["--json"])
    #expect(run.status == 0)
    #expect(run.errors == "")
    try #require(run.lines.count == 1)
    let view = try #require(try JSONSerialization.jsonObject(with: Data(run.lines[0].utf8)) as? [String: Any])

    let thread = try #require(view["thread"] as? [String: Any])
    #expect(thread["name"] as? String == "inspect-loop")
    #expect(try #require(thread["kernelID"] as? Int) > 0)
    #expect(view["state"] as? String == "running")

    let utilisation = try #require(view["utilisation"] as? Double)
    #expect(utilisation > 0 && utilisation <= 1)
    let lag = try #require(view["lag"] as? [String: Double])
    #expect(try #require(lag["count"]) > 0)
    let (middle, high, most) = try (#require(lag["p50Ms"]), #require(lag["p99Ms"]), #require(lag["maxMs"]))
    #expect(0 < middle && middle <= high && high <= most)

    let handles = try #require(view["handles"] as? [[String: Any]])
    let timers = handles.filter { $0["kind"] as? String == "TimerHandle" }
    #expect(timers.count == 2)
    #expect(timers.allSatisfy { $0["state"] as? String == "active" && $0["dueInMs"] is Double })
    let tasks = try #require(view["tasks"] as? [[String: Any]]).compactMap { $0["name"] as? String }
    #expect(Set(tasks).isSuperset(of: (1...5).map { "visitor \($0)" } + ["schedule", "report"]), "\(tasks)")
    // They sleep, or have slept and wait for the stall to end.
    let sleepers = try #require(view["sleepers"] as? [[String: Double]])
    #expect(try #require(view["queued"] as? Int) + sleepers.count > 0)

    let offload = try #require(view["offload"] as? [String: Any])
    let calls = try ["running", "queued"].flatMap { try #require(offload[$0] as? [[String: Any]]) }
    #expect(try #require(offload["workers"] as? Int) > 0)
    #expect(calls.allSatisfy { ($0["label"] as? String)?.hasPrefix("resize photo ") == true && $0["ageMs"] is Double })
  }

  #if os(Linux)
    @Test func `the snapshot is of the stall, and names the function that blocks`() async throws {
      let run = try await Demo.run(Self.once + ["--json"])
      let line = try #require(run.lines.first)
      let view = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      let running = try #require(view["running"] as? [String: Any])
      #expect(running["label"] as? String == "report")
      #expect(try #require(running["ageMs"] as? Double) >= 500)
      let stall = try #require(view["stall"] as? [String: Any])
      #expect(stall["label"] as? String == "report")
      #expect(try #require(stall["lastedMs"] as? Double) >= 500)
      #expect(stall["ranMs"] == nil)
      #expect(try #require(stall["stack"] as? [String]).contains { $0.contains("blockTheLoop") }, "\(stall)")

      let text = try await Demo.run(Self.once)
      #expect(text.status == 0)
      #expect(text.lines.contains { $0.contains("blockTheLoop") }, "\(text.output)")
      #expect(text.lines.contains { $0.hasPrefix("   runs                task \"report\", for ") }, "\(text.output)")
      #expect(text.lines.contains { $0.contains("task \"report\" blocks, for ") }, "\(text.output)")
    }

    @Test func `a stall that has ended is shown with the time that it took`() async throws {
      let run = try await Demo.run(["inspect", "--stall", "200ms", "--every", "20ms"]) {
        $0.contains("task \"report\" blocked for ") ? .interrupt : nil
      }
      #expect(run.status == 130)
      #expect(run.output.contains("blockTheLoop"))
    }
  #endif

  @Test func `without a terminal the pictures come one after the other`() async throws {
    let run = try await Demo.run(["inspect", "--for", "500ms", "--every", "50ms"])
    #expect(run.status == 0)
    #expect(run.lines.count { $0.hasPrefix("   utilisation") } >= 2)
    #expect(run.lines.count { $0.hasPrefix("A busy loop") } == 1)
    #expect(!run.output.contains("\u{1B}"))
  }

  @Test func `on a terminal each picture takes the place of the one before, with colours or without`() async throws {
    for environment in [[:], ["NO_COLOR": "1"]] {
      let run = try await Demo.run(
        ["inspect", "--for", "500ms", "--every", "50ms"], environment: environment, to: .terminal)
      #expect(run.status == 0)
      let pictures = run.output.components(separatedBy: "\u{1B}[J")
      #expect(pictures.count >= 3)
      // All rows but the title's are written over.
      let rows = pictures[1].utf8.count { $0 == UInt8(ascii: "\n") }
      #expect(pictures.dropFirst().dropLast().allSatisfy { $0.contains("\u{1B}[\(rows)A") })
      #expect(rows < 24)
      #expect(run.output.contains("\u{1B}[36m") == environment.isEmpty)
      let plain = run.output.replacing(/\u{1B}\[[0-9]*[A-Za-z]/, with: "")
      #expect(plain.split(whereSeparator: \.isNewline).filter { $0.count > 80 } == [])
    }
    let dumb = try await Demo.run(["inspect", "--for", "200ms"], environment: ["TERM": "dumb"], to: .terminal)
    #expect(!dumb.output.contains("\u{1B}"))
  }
}
