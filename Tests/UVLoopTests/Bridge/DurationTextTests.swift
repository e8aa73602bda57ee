import Testing

@testable import UVLoop

@Suite(.sideBySide) struct DurationTextTests {
  @Test(arguments: [
    (Duration.zero, "0 ns"), (.nanoseconds(999), "999 ns"), (.microseconds(1), "1 µs"),
    (.nanoseconds(1_050), "1.05 µs"),
    (.nanoseconds(541_711), "541 µs"), (.milliseconds(100), "100 ms"), (.microseconds(12_500), "12.5 ms"),
    (.seconds(1), "1 s"), (.milliseconds(1_250), "1.25 s"), (.milliseconds(-1_500), "-1.5 s"),
    (.seconds(3_600), "3600 s"),
  ])
  func `a duration reads in its largest unit with three digits`(_ duration: Duration, _ text: String) {
    #expect(duration.text == text)
  }
}
