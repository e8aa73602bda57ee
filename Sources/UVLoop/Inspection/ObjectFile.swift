internal import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

#if os(Linux)
  /// An open file.
  ///
  /// It is read and not mapped: where somebody cuts a mapped file short, the next look at it ends the process.
  struct ObjectFile: ~Copyable {
    /// Which file it is, and in which state.
    struct Identity: Equatable {
      let device: UInt
      let number: UInt
      let size: UInt64
      let written: Int64
      let changed: Int64
    }

    let identity: Identity
    private let descriptor: Int32

    /// Nil if it cannot be opened.
    init?(path: String) {
      descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
      if descriptor < 0 { return nil }
      var status = stat()
      unsafe fstat(descriptor, &status)
      identity = Identity(
        device: UInt(status.st_dev), number: UInt(status.st_ino), size: UInt64(clamping: status.st_size),
        written: clibuv_nanoseconds(status.st_mtim), changed: clibuv_nanoseconds(status.st_ctim))
    }

    deinit { Posix.close(descriptor) }

    /// Nil where the file ends earlier, or there are none.
    func values<Value: BitwiseCopyable>(_: Value.Type, at offset: UInt64, count: UInt64) -> [Value]? {
      let length = count.multipliedReportingOverflow(by: UInt64(MemoryLayout<Value>.size))
      if count == 0 || length.overflow || offset > identity.size || length.partialValue > identity.size - offset {
        return nil
      }
      let size = Int(length.partialValue)
      let values = unsafe [Value](unsafeUninitializedCapacity: Int(count)) { buffer, made in
        let read = unsafe pread(descriptor, buffer.baseAddress, size, off_t(offset))
        made = read == size ? Int(count) : 0
      }
      return values.isEmpty ? nil : values
    }

    /// The bytes up to the next zero, as UTF-8; nil where there are none.
    func text(at offset: UInt64, before end: UInt64) -> String? {
      var bytes: [UInt8] = []
      while true {
        let place = offset + UInt64(bytes.count)
        guard place < end, let more = values(UInt8.self, at: place, count: min(512, end - place)) else { break }
        let part = more.prefix { $0 != 0 }
        bytes += part
        if part.count < more.count { break }
      }
      return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }
  }
#endif
