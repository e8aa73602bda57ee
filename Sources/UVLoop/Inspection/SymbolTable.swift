internal import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

#if os(Linux)
  /// The functions in an ELF file: its `.symtab`, or `.dynsym` where that was stripped.
  ///
  /// From the file, since the loader brings only `.dynsym` into memory, and a program's own functions are not in that.
  /// The places of the functions are kept, sorted; their names stay in the file, where most of the bytes are.
  struct SymbolTable {
    struct Function {
      /// Demangled where it is one of Swift's.
      let name: String
      /// Its first address, as the file counts.
      let start: UInt
    }

    private struct Entry {
      let start: UInt
      let size: UInt32
      let name: UInt32
    }

    let identity: ObjectFile.Identity
    /// The bytes that say how the file is loaded.
    let headers: [UInt8]
    /// By their start.
    private let entries: [Entry]
    /// The end of what each entry and those before it cover: functions may lie in others.
    private let reach: [UInt]
    /// Where the names are in the file.
    private let text: Range<UInt64>
    private var names: [UInt32: String] = [:]

    /// Nil if the file cannot be read, or has no symbols.
    init?(_ file: borrowing ObjectFile) {
      // A 64-bit file with its numbers in this machine's order.
      guard let header = file.values(Elf64_Ehdr.self, at: 0, count: 1)?.first,
        let magic = file.values(UInt8.self, at: 0, count: 6),
        magic == [0x7f, 0x45, 0x4c, 0x46, 2, UInt8(truncatingIfNeeded: 1.littleEndian)],
        let headers = file.values(
          UInt8.self, at: header.e_phoff, count: UInt64(header.e_phnum) * UInt64(MemoryLayout<Elf64_Phdr>.size)),
        let sections = file.values(Elf64_Shdr.self, at: header.e_shoff, count: UInt64(header.e_shnum)),
        let found = sections.first(where: { $0.sh_type == UInt32(SHT_SYMTAB) })
          ?? sections.first(where: { $0.sh_type == UInt32(SHT_DYNSYM) }),
        Int(found.sh_link) < sections.count, case let text = sections[Int(found.sh_link)],
        text.sh_size <= UInt64.max - text.sh_offset,
        let symbols = file.values(
          Elf64_Sym.self, at: found.sh_offset, count: found.sh_size / UInt64(MemoryLayout<Elf64_Sym>.size))
      else { return nil }
      identity = file.identity
      self.headers = headers
      self.text = text.sh_offset..<text.sh_offset + text.sh_size
      entries = SymbolTable.functions(among: symbols)
      var end: UInt = 0
      reach = entries.map { entry in
        end = max(end, entry.start &+ UInt(entry.size))
        return end
      }
    }

    private static func functions(among symbols: [Elf64_Sym]) -> [Entry] {
      var entries: [Entry] = []
      for symbol in symbols {
        // Those of this file: functions, and those that are chosen when the program is loaded.
        let kind = symbol.st_info & 0xf
        if symbol.st_shndx == 0 || (kind != 2 && kind != 10) { continue }
        entries.append(
          Entry(start: UInt(symbol.st_value), size: UInt32(clamping: max(1, symbol.st_size)), name: symbol.st_name))
      }
      entries.sort { $0.start < $1.start }
      return entries
    }

    /// The function that an address is in; the innermost where several are.
    ///
    /// - Parameter file: The one that the table was made of.
    mutating func function(at address: UInt, in file: borrowing ObjectFile) -> Function? {
      var (low, high) = (0, entries.count)
      while low < high {
        let middle = (low + high) / 2
        if entries[middle].start <= address { low = middle + 1 } else { high = middle }
      }
      // Back over those that end earlier, for as long as one before them may reach so far.
      while low > 0, reach[low - 1] > address {
        low -= 1
        let entry = entries[low]
        if address - entry.start < UInt(entry.size) {
          return name(entry.name, in: file).map { Function(name: $0, start: entry.start) }
        }
      }
      return nil
    }

    private mutating func name(_ offset: UInt32, in file: borrowing ObjectFile) -> String? {
      if let known = names[offset] { return known }
      let name = file.text(at: text.lowerBound + UInt64(offset), before: text.upperBound)
      names[offset] = name.map(Symbolicator.demangled)
      return names[offset]
    }
  }
#endif
