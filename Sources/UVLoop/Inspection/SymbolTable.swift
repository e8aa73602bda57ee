internal import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

#if os(Linux)
  /// The names of the functions in an ELF file: its `.symtab`, or `.dynsym` where that was stripped.
  ///
  /// From the file, since the loader brings only `.dynsym` into memory, and a program's own functions are not in that.
  /// The file is read and not mapped: where somebody cuts a mapped file short, the next look at it ends the process.
  struct SymbolTable {
    struct Function {
      let name: String
      /// Its first address, as the file counts.
      let start: UInt
    }

    private let symbols: [UInt8]
    private let names: [UInt8]

    /// Nil if the file cannot be read, or has no symbols.
    init?(path: String) {
      let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
      if descriptor < 0 { return nil }
      defer { Posix.close(descriptor) }
      let file = File(descriptor: descriptor)
      // A 64-bit file with its numbers in this machine's order.
      guard let header = file.values(Elf64_Ehdr.self, at: 0, count: 1)?.first,
        let magic = file.values(UInt8.self, at: 0, count: 6),
        magic == [0x7f, 0x45, 0x4c, 0x46, 2, UInt8(truncatingIfNeeded: 1.littleEndian)],
        let sections = file.values(Elf64_Shdr.self, at: header.e_shoff, count: UInt64(header.e_shnum)),
        let found = sections.first(where: { $0.sh_type == UInt32(SHT_SYMTAB) })
          ?? sections.first(where: { $0.sh_type == UInt32(SHT_DYNSYM) }),
        Int(found.sh_link) < sections.count, case let text = sections[Int(found.sh_link)],
        let symbols = file.values(UInt8.self, at: found.sh_offset, count: found.sh_size),
        let names = file.values(UInt8.self, at: text.sh_offset, count: text.sh_size)
      else { return nil }
      self.symbols = symbols
      self.names = names
    }

    /// The function that each address is in. One pass over all symbols: a report has few addresses, and nothing is kept.
    func functions(at addresses: [UInt]) -> [UInt: Function] {
      let sorted = addresses.sorted()
      guard let least = sorted.first, let greatest = sorted.last else { return [:] }
      var best: [UInt: (name: Int, start: UInt)] = [:]
      unsafe symbols.withUnsafeBytes { bytes in
        let size = MemoryLayout<Elf64_Sym>.size
        for offset in stride(from: 0, through: bytes.count - size, by: size) {
          let symbol = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Elf64_Sym.self)
          let start = UInt(symbol.st_value)
          let end = start &+ max(1, UInt(symbol.st_size))
          if start > greatest || end <= least || symbol.st_shndx == 0 { continue }
          // Functions, and those that are chosen when the program is loaded.
          if ![2, 10].contains(symbol.st_info & 0xf) { continue }
          for address in sorted where address >= start && address < end && start >= best[address]?.start ?? 0 {
            best[address] = (Int(symbol.st_name), start)
          }
        }
      }
      return best.compactMapValues { found in
        let name = names.dropFirst(found.name).prefix { $0 != 0 }
        return name.isEmpty ? nil : Function(name: String(decoding: name, as: UTF8.self), start: found.start)
      }
    }

    private struct File {
      let descriptor: Int32

      /// Nil where the file ends earlier, or there are none.
      func values<Value: BitwiseCopyable>(_: Value.Type, at offset: UInt64, count: UInt64) -> [Value]? {
        var status = stat()
        let length = count.multipliedReportingOverflow(by: UInt64(MemoryLayout<Value>.size))
        guard unsafe fstat(descriptor, &status) == 0, count > 0, !length.overflow,
          offset <= UInt64(clamping: status.st_size), length.partialValue <= UInt64(clamping: status.st_size) - offset
        else { return nil }
        let size = Int(length.partialValue)
        return unsafe [Value](unsafeUninitializedCapacity: Int(count)) { buffer, made in
          let read = unsafe pread(descriptor, buffer.baseAddress, size, off_t(offset))
          made = read == size ? Int(count) : 0
        }.nilIfEmpty
      }
    }
  }

  extension Array {
    fileprivate var nilIfEmpty: [Element]? { isEmpty ? nil : self }
  }
#endif
