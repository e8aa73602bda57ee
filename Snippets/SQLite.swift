// A database on a thread of its own. Built where CSQLite is; see Scripts/clients.

#if canImport(CSQLite)
  import CSQLite
  import UVLoop

  // snippet.database
  actor Database: ThreadActor {
    struct Failure: Error { let message: String }

    nonisolated let thread: OffloadThread
    private var connection: OpaquePointer?

    // On the caller's thread: SQLite's connection is made by the first method.
    init() throws { thread = try OffloadThread(name: "sqlite") }

    func open(_ path: String) throws {
      if sqlite3_open(path, &connection) != SQLITE_OK { throw failure }
    }

    func rows(_ query: String) throws -> [[String]] {
      var statement: OpaquePointer?
      if sqlite3_prepare_v2(connection, query, -1, &statement, nil) != SQLITE_OK { throw failure }
      defer { sqlite3_finalize(statement) }
      var rows: [[String]] = []
      while true {
        // It may wait for the disk, or for the lock of another process. Nobody else waits here.
        switch sqlite3_step(statement) {
        case SQLITE_ROW:
          rows.append(
            (0..<sqlite3_column_count(statement)).map { column in
              sqlite3_column_text(statement, column).map { String(cString: $0) } ?? ""
            })
        case SQLITE_DONE: return rows
        default: throw failure
        }
      }
    }

    private var failure: Failure { Failure(message: String(cString: sqlite3_errmsg(connection))) }

    // On the thread, wherever the last reference goes.
    isolated deinit { sqlite3_close(connection) }
  }
  // snippet.end

  try await withEventLoop { loop in
    let database = try Database()
    try await database.open(":memory:")
    _ = try await database.rows("create table users (name text, age integer)")
    _ = try await database.rows("insert into users values ('ada', 36), ('grace', 85)")
    print(try await database.rows("select name, age from users order by age"), loop.isCurrent)
    do { _ = try await database.rows("select nonsense") } catch let error as Database.Failure { print(error.message) }
  }
#endif
