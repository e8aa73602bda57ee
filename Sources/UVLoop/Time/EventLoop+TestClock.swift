// Advancing the time of a loop that was made for a test.

extension EventLoop {
  /// Moves the loop's time on by `span`, deadline by deadline, and returns when all that this leads to is done.
  ///
  /// ```swift
  /// try await withEventLoop(.init(time: .manual)) { loop in
  ///   try loop.schedule(after: .seconds(3_600)) { print("an hour later") }
  ///   try await loop.advance(by: .seconds(3_600))
  /// }
  /// ```
  ///
  /// The time goes to the next deadline within the span; what is due fires, by deadline and then by submission; and
  /// what that makes ready runs, until nothing but time is left to wait for on the loop: no job, no posted closure, no
  /// descriptor that is ready, no offloaded call. Then it goes on to the next deadline. So a task of the loop that
  /// sleeps again within the span is woken within the span, at its own moment. At the end the time is exactly `span`
  /// later.
  ///
  /// The advance does not end on a loop that is never done: with a call that schedules itself again with zero delay, a
  /// descriptor that is always ready, an offloaded call that waits for the very deadline which is next.
  ///
  /// The loop does not see what runs elsewhere; see ``Time/manual``.
  ///
  /// - Parameters:
  ///   - span: In nanoseconds, a fraction rounded up. Zero moves nothing, and is ``runUntilIdle(isolation:)``. The time
  ///     ends after 292 years, and what waits for ever waits beyond that.
  ///   - isolation: The caller's; leave it out.
  /// - Throws: ``UVError/Code/invalidArgument`` for a negative span, and on a loop with real time;
  ///   ``UVError/Code/notOnLoop`` off the loop's thread: `await loop.run { loop in … }` leads there;
  ///   ``UVError/Code/busy`` while another task advances this clock; ``UVError/Code/loopClosed`` when the loop shuts
  ///   down, or has; `CancellationError`. A call that is refused moves nothing.
  /// - Complexity: Two passes of libuv's loop for each deadline, and those that the work there takes.
  ///
  /// > Isolation: On the loop's thread: in its body, its tasks, the actors that live on it. It causes no wake.
  ///
  /// > Cancellation: Ends the advance where it is; the time that it has come to stays. In a task that is already
  /// cancelled nothing begins.
  public func advance(by span: Duration, isolation: isolated (any Actor)? = #isolation) async throws {
    if span < .zero {
      throw UVError(
        .invalidArgument, call: "advance", "advance(by:) was given \(span.text), and time never goes back.")
    }
    _ = try await TestClock.advance(core, "advance", isolation: isolation) { .to($0.now(plus: span)) }
  }

  /// Moves the loop's time on to the next deadline, and returns when all that this leads to is done.
  ///
  /// What is due or ready now runs first. All calls and sleepers of that one deadline fire, in the order in which they
  /// were submitted, and what they make ready runs, as with ``advance(by:isolation:)``; a deadline that comes up
  /// meanwhile is left for the next advance, unless it is due at once.
  ///
  /// - Parameter isolation: The caller's; leave it out.
  /// - Returns: The moment to which the time has moved; nil, and it stands where it stood, if nothing waits for any.
  /// - Throws: As ``advance(by:isolation:)`` does.
  ///
  /// > Isolation: On the loop's thread. It causes no wake.
  ///
  /// > Cancellation: Ends the advance where it is.
  @discardableResult
  public func advanceToNextDeadline(isolation: isolated (any Actor)? = #isolation) async throws -> Clock.Instant? {
    try await TestClock.advance(core, "advanceToNextDeadline", isolation: isolation) { _ in .nextDeadline }
      .map { Clock.Instant(nanoseconds: $0) }
  }

  /// Lets the time stand, and returns when nothing but time is left to wait for on the loop.
  ///
  /// What is due now fires, and what that makes ready runs, offloaded calls included, as with
  /// ``advance(by:isolation:)``.
  ///
  /// - Parameter isolation: The caller's; leave it out.
  /// - Throws: As ``advance(by:isolation:)`` does.
  ///
  /// > Isolation: On the loop's thread. It causes no wake.
  ///
  /// > Cancellation: Ends the wait.
  public func runUntilIdle(isolation: isolated (any Actor)? = #isolation) async throws {
    _ = try await TestClock.advance(core, "runUntilIdle", isolation: isolation) { _ in .idle }
  }
}
