/// Who reads by callbacks.
final class StreamCallbacks {
  private let watch: LoopWatch
  private let kind: CallKind
  private let body: (RawSpan) -> Void
  private let atEnd: (UVError?) -> Void
  private let site: CallSite?

  init(
    _ core: LoopCore, _ noun: StaticString, _ body: @escaping (RawSpan) -> Void,
    atEnd: @escaping (UVError?) -> Void
  ) {
    watch = core.watch
    kind = CallKind(rawValue: noun.description)
    site = core.watch.siteIfWanted
    self.body = body
    self.atEnd = atEnd
  }

  @inline(__always)
  func receive(_ bytes: LentBytes) {
    watch.observing(LoopCall(kind: kind, site: site)) { bytes.use(body) }
  }

  func end(_ error: UVError?) { watch.observing(LoopCall(kind: kind, site: site)) { atEnd(error) } }
}
