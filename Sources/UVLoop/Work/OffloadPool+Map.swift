extension OffloadPool {
  /// Calls `transform` with each of the items, on the pool's threads, and returns the results in the items' order.
  ///
  /// ```swift
  /// let sizes = try await pool.map(paths, atMost: 2) { try size(of: $0) }
  /// ```
  ///
  /// - Parameters:
  ///   - items: What to do it with.
  ///   - limit: How many calls are at the pool at once, so that others have their turn; nil for as many as it has
  ///     threads.
  ///   - label: A name for people, for each of the calls.
  ///   - isolation: The caller's; leave it out.
  ///   - transform: Runs once for each item that has begun.
  /// - Throws: The first error of a call, when those that run have ended; the others are cancelled, and do not begin.
  ///   What ``run(label:whenFull:onCancel:isolation:_:)`` throws; ``UVError/Code/invalidArgument`` for a limit below 1.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Cancels the calls that have not begun, waits for those that run, and throws `CancellationError`;
  /// where all have begun it returns what they give.
  public func map<Items: Collection, Result: Sendable>(
    _ items: Items, atMost limit: Int? = nil, label: String? = nil, isolation: isolated (any Actor)? = #isolation,
    _ transform: @escaping @Sendable (Items.Element) throws -> Result
  ) async throws -> [Result] where Items.Element: Sendable {
    var results: [Result?] = Array(repeating: nil, count: items.count)
    try await forEachResult(of: items, atMost: limit, label: label, isolation: isolation, transform) { index, result in
      results[index] = result
    }
    return results.compactMap(\.self)
  }

  /// The same, and hands each result over as it comes, in any order, with the place of its item.
  ///
  /// If `body` throws, that is the first error; it runs in the caller's isolation. For the rest see
  /// ``map(_:atMost:label:isolation:_:)``.
  public func map<Items: Collection, Result: Sendable>(
    _ items: Items, atMost limit: Int? = nil, label: String? = nil, isolation: isolated (any Actor)? = #isolation,
    _ transform: @escaping @Sendable (Items.Element) throws -> Result,
    onResult body: (_ index: Int, _ result: Result) throws -> Void
  ) async throws where Items.Element: Sendable {
    try await forEachResult(of: items, atMost: limit, label: label, isolation: isolation, transform, body)
  }

  private func forEachResult<Items: Collection, Result: Sendable>(
    of items: Items, atMost limit: Int?, label: String?, isolation: isolated (any Actor)?,
    _ transform: @escaping @Sendable (Items.Element) throws -> Result, _ body: (Int, Result) throws -> Void
  ) async throws where Items.Element: Sendable {
    if let limit, limit < 1 {
      throw UVError(
        .invalidArgument, call: "OffloadPool.map", "A limit of \(limit) calls lets none begin. Give at least 1.")
    }
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
      var rest = items.enumerated().makeIterator()
      func add() {
        guard let (index, item) = rest.next() else { return }
        group.addTask { (index, try await self.run(label: label) { try transform(item) }) }
      }
      for _ in 0..<min(limit ?? threads, items.count) { add() }
      while let (index, result) = try await group.next() {
        try body(index, result)
        add()
      }
    }
  }
}
