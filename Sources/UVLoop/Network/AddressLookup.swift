// A look-up of names is a request of libuv's pool. Its answer lies in memory of libuv's, or in the request's own, and
// both end with the callback: there it is copied out, whether anybody still waits or not.

import CLibUV

extension RequestKind {
  fileprivate static let resolve = RequestKind(rawValue: "resolve")
  fileprivate static let reverseResolve = RequestKind(rawValue: "reverseResolve")
}

/// What a look-up brings. libuv's request points here while it is in flight, so that its callback finds the place for
/// the answer, and this keeps what the request pointed to before. Tests derive from it, to see when it is let go.
// Holds because libuv's callback has it first, on the loop's thread, and then the task that waited for it.
@safe class LookupAnswer<Value>: @unchecked Sendable {
  private var request: UnsafeMutableRawPointer?
  private(set) var value: Value?

  init() {}

  /// Before libuv gets the request, which keeps this until its callback.
  final func attach(to memory: UnsafeMutableRawPointer) {
    let base = unsafe memory.assumingMemoryBound(to: uv_req_t.self)
    unsafe request = base.pointee.data
    unsafe base.pointee.data = Unmanaged.passUnretained(self).toOpaque()
  }

  /// In libuv's callback, with what `attach` made of the request's `data`.
  static func finish(_ data: UnsafeMutableRawPointer?, _ status: Int32, _ value: Value?) {
    guard let data = unsafe data else { return }
    let answer = unsafe Unmanaged<LookupAnswer>.fromOpaque(data).takeUnretainedValue()
    answer.value = value
    unsafe PendingRequest.finish(answer.request, status)
  }
}

/// Asks the C library for addresses and names.
enum AddressLookup {
  /// The addresses of a host, from the C library, in a thread of the pool.
  static func addresses(
    _ query: AddressQuery, on loop: LoopCore, _ call: StaticString, in answer: LookupAnswer<[SocketAddress]> = .init(),
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> [SocketAddress] {
    unsafe try await lookUp(.resolve, UV_GETADDRINFO, on: loop, call, query.subject, in: answer) {
      uvLoop, memory in
      unsafe query.submit(uvLoop, memory.assumingMemoryBound(to: uv_getaddrinfo_t.self))
    }
    return query.result(of: answer.value ?? [])
  }

  /// The names of an address and of its port, from the C library, in a thread of the pool.
  ///
  /// - Parameter address: Of IPv4 or IPv6.
  static func names(
    _ address: SocketAddress, _ flags: Int32, on loop: LoopCore, _ call: StaticString,
    in answer: LookupAnswer<(host: String, service: String)> = .init(), isolation: isolated (any Actor)? = #isolation
  ) async throws -> (host: String, service: String) {
    unsafe try await lookUp(.reverseResolve, UV_GETNAMEINFO, on: loop, call, "the address \(address)", in: answer) {
      uvLoop, memory in
      unsafe address.withSockaddr { bytes, _ in
        unsafe uv_getnameinfo(
          uvLoop, memory.assumingMemoryBound(to: uv_getnameinfo_t.self),
          { request, status, host, service in
            var names: (host: String, service: String)?
            if let host = unsafe host, let service = unsafe service {
              names = unsafe (String(cString: host), String(cString: service))
            }
            unsafe LookupAnswer.finish(request?.pointee.data, status, names)
          }, bytes, flags)
      }
    }
    guard let names = answer.value else { throw UVError(.unknown, call: "\(call)", "\(address) has no names.") }
    return names
  }

  /// May be called anywhere, as any request.
  private static func lookUp<Value>(
    _ kind: RequestKind, _ type: uv_req_type, on loop: LoopCore, _ call: StaticString, _ subject: String,
    in answer: LookupAnswer<Value>,
    isolation: isolated (any Actor)? = #isolation, _ start: @escaping AwaitedRequest.Start
  ) async throws {
    do {
      _ = unsafe try await AwaitedRequest.status(
        of: kind, type, on: loop, call, keeping: answer, isAbandonable: true
      ) { uvLoop, memory in
        unsafe answer.attach(to: memory)
        return unsafe start(uvLoop, memory)
      }
    } catch let error as UVError where error.code != .loopClosed {
      let advice = error.code == .addressInfoTemporaryFailure ? " A later attempt may succeed." : ""
      throw UVError(status: error.code.rawValue, call: error.call, hint: "Looked up: \(subject).\(advice)")
    }
  }
}
