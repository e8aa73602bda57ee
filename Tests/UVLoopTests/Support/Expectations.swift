import Testing

@testable import UVLoop

/// Fails the test where the condition does not come true under `eventually`'s deadline.
func expectEventually(
  _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async rethrows {
  let isTrue = try await eventually(condition)
  #expect(isTrue, comment, sourceLocation: sourceLocation)
}

/// Fails the test where `body` does not end with `CancellationError`; any other error goes on.
func expectCancelled(sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void) async throws {
  let isCancelled = try await endsCancelled(body)
  #expect(isCancelled, sourceLocation: sourceLocation)
}

/// Fails the test where `body` does not throw a `UVError` with this code; any other kind of error goes on.
func expectCode(
  _ code: UVError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async throws {
  let found = try await errorCode(body)
  #expect(found == code, sourceLocation: sourceLocation)
}

/// The same for a synchronous call.
func expectCode(
  _ code: UVError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) throws {
  let found = try errorCode(body)
  #expect(found == code, sourceLocation: sourceLocation)
}

/// The code of the `UVError` that `body` throws; nil if it throws none.
func errorCode(_ body: () throws -> Void) throws -> UVError.Code? {
  do {
    try body()
    return nil
  } catch let error as UVError {
    return error.code
  }
}

/// The same for an asynchronous call.
func errorCode(_ body: () async throws -> Void) async throws -> UVError.Code? {
  do {
    try await body()
    return nil
  } catch let error as UVError {
    return error.code
  }
}

/// Whether `body` throws `CancellationError`; any other error goes on.
func endsCancelled(_ body: () async throws -> Void) async throws -> Bool {
  do {
    try await body()
    return false
  } catch is CancellationError {
    return true
  }
}
