import CLibUV
import Synchronization

/// Which thread: as libuv, the kernel and a person name it.
///
/// ```swift
/// let loop = try EventLoop()
/// print(loop.thread)
/// // uv-loop (thread 139872…, kernel id 4711)
/// print(ThreadIdentity.current == loop.thread)
/// // false
/// ```
///
/// Two identities are equal when they are of the same thread. They are compared by a serial number that no two threads
/// of a process ever share: the system hands the ids of ended threads to later ones, so ids would call a dead loop's
/// thread and a new thread the same.
///
/// > libuv: `uv_thread_self`, recorded by the thread itself.
public struct ThreadIdentity: Hashable, Sendable, CustomStringConvertible {
  /// The `uv_thread_t` of the thread (on Unix its `pthread_t`) as a number. Reused by later threads.
  public let id: UInt
  /// The kernel's id, as `ps -L`, `top -H`, gdb and perf show it. Reused by later threads.
  public let kernelID: UInt64
  /// The kernel's name of the thread when this value was made; at most 15 bytes on Linux.
  public let name: String

  private let serial: UInt
  private static let lastSerial = Atomic<UInt>(0)

  /// The calling thread.
  ///
  /// In asynchronous code that is the thread which runs the line at this moment; after the next `await` it may be
  /// another one, unless the code belongs to a loop.
  public static var current: ThreadIdentity { ThreadIdentity() }

  private init() {
    id = UInt(bitPattern: Int(uv_thread_self()))
    kernelID = clibuv_kernel_thread_id()
    name = DetachedThread.currentName
    if ThreadSlot.serial.word == 0 {
      ThreadSlot.serial.word = ThreadIdentity.lastSerial.add(1, ordering: .relaxed).newValue
    }
    serial = ThreadSlot.serial.word
  }

  /// Whether both are of the same thread, whatever its id or name.
  public static func == (left: ThreadIdentity, right: ThreadIdentity) -> Bool { left.serial == right.serial }

  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) { hasher.combine(serial) }

  /// Name, id and kernel id in one line.
  public var description: String {
    "\(name.isEmpty ? "unnamed" : name) (thread \(id), kernel id \(kernelID))"
  }
}
