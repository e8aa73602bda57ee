/// Where a function's frame keeps what its caller had in the registers, at one of its instructions.
///
/// That is what `.eh_frame` says, in the language of DWARF 5, §6.4, and of the Linux Standard Base, chapter 10.6. What
/// a compiler does not write for a function, rules that are programs of their own for instance, is not read: such a
/// frame is unknown.
struct CallFrame {
  enum Caller {
    /// The caller's registers.
    case registers([UInt])
    /// The function has no caller: its thread began with it.
    case outermost
    case unknown
  }

  private enum Rule {
    case same, undefined, unknown
    /// In memory, so far from the frame's address.
    case saved(Int)
    /// The frame's address and so much.
    case value(Int)
    case register(Int)
  }

  /// The frame's address is this register and so much; nil if it is a program.
  private var base: (register: Int, offset: Int)?
  private var rules: [Int: Rule] = [:]
  private let returnRegister: Int
  /// Whether the kernel made the frame, to run a signal handler: its caller was interrupted.
  let isSignal: Bool

  /// Nil if the image has no rules for the instruction.
  init?(at instruction: UInt, in image: LoadedImage) {
    do throws(UVError) {
      guard let function = try FrameTable(image).function(around: instruction) else { return nil }
      returnRegister = function.returnRegister
      isSignal = function.isSignal
      var states: [CallFrame] = []
      var common = function.common.instructions
      try run(&common, function, until: 0, initial: [:], &states)
      let initial = rules
      var own = function.instructions
      try run(&own, function, until: instruction - function.start, initial: initial, &states)
    } catch {
      return nil
    }
  }

  /// What the caller's registers are, if these are the function's own.
  func caller(of frame: [UInt], in stack: StackSnapshot) -> Caller {
    guard let base, base.register < frame.count else { return .unknown }
    let address = CallStack.plain(frame[base.register]) &+ UInt(bitPattern: base.offset)
    var caller = frame
    for (register, rule) in rules where register < frame.count {
      switch rule {
      case .same, .undefined: break
      case .saved(let offset):
        guard let word = stack.word(at: address &+ UInt(bitPattern: offset)) else {
          // The walk can do without most of them.
          if register == returnRegister { return .unknown }
          continue
        }
        caller[register] = word
      case .value(let offset): caller[register] = address &+ UInt(bitPattern: offset)
      case .register(let other) where other < frame.count: caller[register] = frame[other]
      case .register, .unknown:
        if register == returnRegister { return .unknown }
      }
    }
    if case .undefined? = rules[returnRegister] { return .outermost }
    if returnRegister >= frame.count { return .unknown }
    caller[StackSnapshot.instruction] = CallStack.plain(caller[returnRegister])
    caller[StackSnapshot.stackPointer] = address
    return .registers(caller)
  }

  /// Runs the program of a table up to the instruction that is so far behind the function's start.
  private mutating func run(
    _ code: inout TableReader, _ function: FrameTable.Function, until limit: UInt, initial: [Int: Rule],
    _ states: inout [CallFrame]
  ) throws(UVError) {
    let common = function.common
    var location: UInt = 0
    func factored(_ offset: Int) -> Int { offset &* common.dataFactor }
    while !code.isAtEnd {
      let byte = try code.byte()
      let operand = Int(byte & 0x3f)
      switch byte >> 6 {
      case 1: location &+= UInt(operand) &* common.codeFactor
      case 2: rules[operand] = .saved(factored(try code.unsigned()))
      case 3: rules[operand] = initial[operand]
      default:
        switch operand {
        case 0x00: break
        case 0x02: location &+= UInt(try code.byte()) &* common.codeFactor
        case 0x03: location &+= UInt(try code.number(UInt16.self)) &* common.codeFactor
        case 0x04: location &+= UInt(try code.number(UInt32.self)) &* common.codeFactor
        case 0x05: rules[try code.unsigned()] = .saved(factored(try code.unsigned()))
        case 0x06:
          let register = try code.unsigned()
          rules[register] = initial[register]
        case 0x07: rules[try code.unsigned()] = .undefined
        case 0x08: rules[try code.unsigned()] = .same
        case 0x09: rules[try code.unsigned()] = .register(try code.unsigned())
        case 0x0a: states.append(self)
        case 0x0b:
          guard let state = states.popLast() else { throw FrameTable.unreadable }
          (base, rules) = (state.base, state.rules)
        case 0x0c: base = (try code.unsigned(), try code.unsigned())
        case 0x0d: base = (try code.unsigned(), base?.offset ?? 0)
        case 0x0e:
          let offset = try code.unsigned()
          base = base.map { ($0.register, offset) }
        case 0x0f:
          base = nil
          try code.skip(try code.unsigned())
        case 0x10, 0x16:
          rules[try code.unsigned()] = .unknown
          try code.skip(try code.unsigned())
        case 0x11: rules[try code.unsigned()] = .saved(factored(try code.signed()))
        case 0x12: base = (try code.unsigned(), factored(try code.signed()))
        case 0x13:
          let offset = factored(try code.signed())
          base = base.map { ($0.register, offset) }
        case 0x14: rules[try code.unsigned()] = .value(factored(try code.unsigned()))
        case 0x15: rules[try code.unsigned()] = .value(factored(try code.signed()))
        // Whether the return address is signed, which `CallStack.plain` takes off in any case.
        case 0x2d: break
        // How much of the arguments is on the stack.
        case 0x2e: _ = try code.unsigned()
        default: throw FrameTable.unreadable
        }
      }
      if location > limit { return }
    }
  }
}
