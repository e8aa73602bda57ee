internal import CLibUV

#if os(Linux)
  /// The symbols of the files that make up this process, each read when somebody first asks for an address in it.
  ///
  /// An address is never kept: libraries come and go, and another one may be loaded at the same place. Nor is a path
  /// enough, since a file may be replaced. So the loader is asked for each address, and what was read of a file counts
  /// only for this very file in this state, and only for an image that is loaded as this file says.
  final class SymbolCache: @unchecked Sendable {  // Holds because `tables` is guarded by `lock`.
    static let process = SymbolCache()

    /// More files than a process has, but for one that loads new ones for ever.
    private static let most = 256

    private let lock = Lock()
    private var tables: [String: SymbolTable] = [:]

    /// The lock is taken around the fork, since otherwise the child may inherit it locked by a thread that it does not
    /// have.
    private init() {
      let status = pthread_atfork(
        { SymbolCache.process.lock.lock() }, { SymbolCache.process.lock.unlock() },
        { SymbolCache.process.lock.unlock() })
      if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
    }

    /// The function at an address, as the file counts. Nil where nobody knows.
    func function(at address: UInt, of image: LoadedImage) -> SymbolTable.Function? {
      lock.withLock {
        guard let file = ObjectFile(path: image.path.isEmpty ? "/proc/self/exe" : image.path) else { return nil }
        if tables[image.path]?.identity != file.identity {
          if tables.count >= SymbolCache.most { tables = [:] }
          tables[image.path] = SymbolTable(file)
        }
        if tables[image.path]?.headers != image.headers { return nil }
        return tables[image.path]?.function(at: address, in: file)
      }
    }
  }
#endif
