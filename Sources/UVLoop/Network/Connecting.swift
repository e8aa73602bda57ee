import CLibUV

extension RequestKind {
  fileprivate static let connect = RequestKind(rawValue: "connect")
}

/// One `connect` over the addresses of a host, until one of them answers. Belongs to the loop's thread.
@safe final class Connecting: WaitOwner, LoopDeadline, @unchecked Sendable {  // Holds because of the line above.
  private let loop: LoopCore
  private let addresses: [SocketAddress]
  private let options: ByteStream.Options
  private var race: HappyEyeballs<UVError>
  /// Those that are under way, by the number of their address.
  private var attempts: [Int: TCPEngine] = [:]
  private var wait: LoopWait?
  private var token: TimerToken?

  init(_ loop: LoopCore, to addresses: [SocketAddress], _ options: ByteStream.Options) {
    self.loop = loop
    self.addresses = Array(addresses.interleaved(by: \.family))
    self.options = options
    race = HappyEyeballs(count: addresses.count)
  }

  /// The stream over the first that answered.
  func stream() async throws -> ByteStream {
    let wait = LoopWait(.connect, on: loop, owner: self)
    try await wait.value("EventLoop.connect")
    guard let stream = wait.take(ByteStream.self) else { fatalError("UVLoop: a connect has led to nothing.") }
    return stream
  }

  func begin(_ wait: LoopWait) {
    self.wait = wait
    // A shutdown closes the attempts late, when the loop's tasks have ended, and one of them may wait for this.
    loop.waits.add(wait)
    perform(race.start())
  }

  private func perform(_ actions: [HappyEyeballs<UVError>.Action]) {
    for action in actions {
      switch action {
      case .start(let index): start(index)
      case .arm: arm()
      case .disarm: disarm()
      case .cancel(let index): attempts.removeValue(forKey: index)?.close(by: .owner)
      case .succeed(let index): succeed(index)
      case .fail(let errors, let last): fail(errors, last)
      }
    }
  }

  private func start(_ index: Int) {
    do throws(UVError) {
      // Not libuv's own socket: that it takes for granted that nothing watches its number.
      let descriptor = try check(Socket.make(addresses[index].rawFamily), "EventLoop.connect")
      let engine = try TCPEngine(descriptor, on: loop, isAdopted: false)
      attempts[index] = engine
      try engine.apply(options)
      try engine.connect(to: addresses[index], from: options.localAddress) { self.ended(index, $0) }
    } catch {
      attempts.removeValue(forKey: index)?.close(by: .owner)
      perform(race.failed(index, error))
    }
  }

  private func ended(_ index: Int, _ status: Int32) {
    // One that has been closed by then is nobody's.
    if attempts[index] == nil { return }
    if status >= 0 { return perform(race.succeeded(index)) }
    attempts.removeValue(forKey: index)?.close(by: .owner)
    perform(race.failed(index, UVError(status: status, call: "EventLoop.connect")))
  }

  private func arm() {
    disarm()
    token = loop.timers.insert(.limit(self), at: loop.time.now(plus: options.attemptDelay))
  }

  func expire() {
    token = nil
    perform(race.delayEnded())
  }

  private func disarm() {
    if let token { loop.timers.remove(token) }
    token = nil
  }

  func drop() { token = nil }

  private func succeed(_ index: Int) {
    guard let engine = attempts.removeValue(forKey: index) else { return }
    var addresses = StreamAddresses(peer: self.addresses[index])
    if let descriptor = engine.descriptor { addresses.local = ListeningSocket.localAddress(of: descriptor) }
    let stream = ByteStream.make(over: engine, options, addresses)
    wait.take()?.resumeNow(carrying: stream)
  }

  /// The last error, with the others in its words.
  private func fail(_ errors: [UVError], _ last: Int) {
    let words = zip(addresses, errors).map { "\($0): \($1.message)" }.joined(separator: "; ")
    wait.take()?.resume(throwing: UVError(errors[last].code, call: "EventLoop.connect", words))
  }

  func withdraw(_ wait: LoopWait) {
    self.wait = nil
    perform(race.cancel())
  }
}

extension TCPEngine {
  /// On the loop's thread. Connects; `done` is called once, with libuv's status, also when the handle is closed.
  func connect(to address: SocketAddress, from local: SocketAddress?, done: @escaping (Int32) -> Void) throws(UVError) {
    if let local {
      let status = unsafe local.withSockaddr { address, _ in unsafe uv_tcp_bind(uvTCP, address, 0) }
      try check(status, "EventLoop.connect", hint: "The local address is \(local).")
    }
    let request = ConnectRequest(on: loop, done)
    let status = unsafe request.submit { _, memory in
      unsafe address.withSockaddr { address, _ in
        unsafe uv_tcp_connect(memory.assumingMemoryBound(to: uv_connect_t.self), uvTCP, address) { request, status in
          unsafe PendingRequest.finish(request?.pointee.data, status)
        }
      }
    }
    try check(status, "EventLoop.connect")
  }
}

/// One attempt that libuv has, on the loop's thread. The callback always comes, at the latest when the handle closes.
private final class ConnectRequest: PendingRequest, @unchecked Sendable {  // Holds as for all requests.
  private var done: ((Int32) -> Void)?

  init(on loop: LoopCore, _ done: @escaping (Int32) -> Void) {
    self.done = done
    // A shutdown closes the handle, and with it this ends.
    super.init(.connect, UV_CONNECT, on: loop, isAwaited: false)
  }

  override func ended(_ status: Int32) {
    let done = done.take()
    done?(status)
  }
}
