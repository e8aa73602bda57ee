/// Brings a value to the one who takes it, and keeps nothing of it.
///
/// A closure keeps what it captured until it goes away itself. What it captured in a parcel is gone when it wants.
final class Parcel<Value>: @unchecked Sendable {  // Holds because one takes it, once, after it was given.
  private var content: Transfer<Value>?

  init(_ content: Transfer<Value>) { self.content = content }

  func take() -> Transfer<Value> {
    guard let content = content.take() else { preconditionFailure("a parcel is taken once") }
    return content
  }
}
