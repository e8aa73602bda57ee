// A program without `async`: the main thread makes a loop, asks it, posts to it and ends it.

import UVLoop

// snippet.hide
@main
enum PlainThread {
  static func main() throws {
    // snippet.show
    let loop = try EventLoop(.init(name: "background"))
    print("on the loop's thread:", loop.isCurrent)  // false

    // Waits for the result, two seconds at most. On a loop's thread it would throw instead of blocking for ever.
    let thread = try loop.runBlocking(timeout: .seconds(2)) { loop in
      try await loop.sleep(for: .milliseconds(100))
      return ThreadIdentity.current
    }
    print("the body ran on:", thread)

    // Does not wait.
    try loop.post { print("posted") }

    print(try loop.shutdownBlocking())
    // snippet.hide
  }
}
