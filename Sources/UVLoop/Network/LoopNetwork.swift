import CLibUV
import Synchronization

/// What the streams, listeners and sockets of one loop share. Any thread may make it, and use the arrivals, the
/// standard streams and the count of connections. All else belongs to the loop's thread.
// Holds because of the lines above.
@safe final class LoopNetwork: LoopCompanion, LoopComponent, @unchecked Sendable {
  /// What one read takes at most.
  static let blockSize = 131_072

  // Holds because streams use it on the loop's thread only, for as long as there is a loop.
  private unowned(unsafe) let loop: LoopCore
  private let counters: LoopCounters
  /// Where all streams of the loop read to, one after the other.
  let block: UnsafeMutableRawPointer
  let streams: LoopMembers<StreamCore>
  let arrivals = StreamArrivals()
  let listeners: LoopMembers<ListenerCore>
  let sockets: LoopMembers<UDPCore>
  let standard = StandardStreams()
  /// By which a group chooses among its loops.
  let connections = ConnectionCount()

  // MARK: On any thread

  init(_ loop: LoopCore) {
    unsafe self.loop = loop
    counters = loop.counters
    streams = LoopMembers(loop.registryLock)
    listeners = LoopMembers(loop.registryLock)
    sockets = LoopMembers(loop.registryLock)
    unsafe block = .allocate(byteCount: LoopNetwork.blockSize, alignment: 4_096)
  }

  deinit { unsafe block.deallocate() }

  // MARK: On the loop

  /// Which round of the loop this is.
  var iteration: Int { counters.iterations.value }

  /// Those that a shutdown has stopped, and somebody may still wait at.
  private var quiesced: [ListenerCore] = []
  /// What was closed while tasks had it that did not end in time. No stream itself, which would keep the loop.
  private var leftOpen: [(kind: ShutdownReport.Unfinished.Kind, text: String, since: Int64)] = []
  /// Listeners that wait for a descriptor to become free.
  private var starved: [ListenerEngine] = []

  func waitForDescriptor(_ listener: ListenerEngine) {
    if !starved.contains(where: { $0 === listener }) { starved.append(listener) }
  }

  /// A stream or a listener has closed its descriptor.
  func descriptorIsFree() {
    if starved.isEmpty { return }
    let listeners = starved
    starved = []
    // Of a group's listener another loop may accept.
    for listener in listeners { listener.loop.onLoop { listener.descriptorCameFree() } }
  }

  func quiesce() {
    quiesced = listeners.all
    for listener in quiesced { listener.quiesce() }
  }

  func releaseWaits() {
    for listener in quiesced { listener.releaseWaits() }
    for stream in streams.all { stream.releaseWaits() }
    for socket in sockets.all { socket.releaseWaits() }
  }

  func close() {
    // Where the time of the shutdown was over before the tasks had ended, somebody still has these.
    if unsafe loop.tasks.awaitedCount > 0 {
      leftOpen = quiesced.filter { $0.service.isRunning }.map { (.listener, "\($0.address)", $0.since) }
      leftOpen += streams.all.map { (.stream, $0.text, $0.since) }
      leftOpen += sockets.all.map { (.socket, "UDPSocket \($0.addresses.text)", $0.since) }
    }
    quiesced = []
    for listener in listeners.all { listeners.remove(listener) }
    for stream in streams.all { stream.closeByLoop() }
    for socket in sockets.all { socket.closeByLoop() }
    arrivals.close()
    unsafe standard.end(loop)
  }

  override func loopHasEnded() { unsafe standard.end(loop) }

  func report(into report: inout ShutdownReport) {
    let now = MonotonicClock.now()
    for member in leftOpen {
      report.unfinished.append(
        .init(kind: member.kind, label: member.text, age: .nanoseconds(now - member.since)))
    }
  }
}

extension LoopCore {
  private static let networkKey = ComponentKey<LoopNetwork>()

  // MARK: On the loop

  /// What the loop's streams share, made for the first of them.
  var network: LoopNetwork { component(LoopCore.networkKey) { $0.networkAnywhere } }

  // MARK: On any thread

  /// The same. What belongs to the loop's thread is not touched before the loop has used it.
  var networkAnywhere: LoopNetwork {
    // Holds because nothing else is put there.
    unsafe unsafeDowncast(
      components.companion.load() ?? components.companion.storeIfNil(LoopNetwork(self)), to: LoopNetwork.self)
  }
}
