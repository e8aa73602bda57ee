extension EventLoop {
  /// How to make a loop.
  public struct Options: Sendable, Hashable {
    /// The loop's name, for people: it becomes the thread's name and stands in every message about the loop.
    ///
    /// Not empty, at most 255 bytes of UTF-8, and without a zero byte. The kernel keeps its first 15 bytes.
    public var name: String

    /// Options with a name.
    public init(name: String = "uv-loop") { self.name = name }

    /// Refuses what cannot work, before anything is made.
    func validate() throws(UVError) {
      if name.isEmpty {
        throw refusal("name", "is empty. Give the loop a name, or leave it out for \"uv-loop\".")
      }
      if name.utf8.count > 255 {
        throw refusal("name", "has \(name.utf8.count) bytes of UTF-8. At most 255 are allowed.")
      }
      if name.utf8.contains(0) {
        throw refusal("name", "contains a zero byte, where the system would cut it off.")
      }
    }

    private func refusal(_ option: String, _ sentence: String) -> UVError {
      UVError(.invalidArgument, call: "EventLoop.init", "Options.\(option) \(sentence)")
    }
  }
}
