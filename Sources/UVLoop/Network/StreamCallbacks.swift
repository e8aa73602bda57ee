/// Who reads by callbacks.
final class StreamCallbacks {
  private let watch: LoopObservation
  private let kind: CallKind
  private let addresses: StreamAddresses
  private let body: (RawSpan) -> Void
  private let atEnd: (UVError?) -> Void
  private let site: CallSite?

  init(
    _ loop: LoopCore, _ typeName: StaticString, _ addresses: StreamAddresses, _ body: @escaping (RawSpan) -> Void,
    atEnd: @escaping (UVError?) -> Void
  ) {
    watch = loop.observation
    kind = CallKind(rawValue: typeName.description)
    self.addresses = addresses
    site = loop.observation.siteIfWanted
    self.body = body
    self.atEnd = atEnd
  }

  @inline(__always)
  func receive(_ bytes: LentBytes) {
    watch.observing(call) { bytes.use(body) }
  }

  func end(_ error: UVError?) { watch.observing(call) { atEnd(error) } }

  private var call: LoopCall { LoopCall(kind: kind, label: addresses.text, site: site) }
}
