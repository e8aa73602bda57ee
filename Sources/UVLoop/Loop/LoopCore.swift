import Synchronization

// The file is long because all that others ask of a loop's core stands here.
//
// The parts of a loop. Each keeps its own state, and says to which thread that belongs:
//
//   thread       which thread it is                       any thread
//   inbox        what comes from other threads; the life  any thread
//   observation  counters, uptime, who watches            any thread
//   tasks        the tasks that shutdown waits for        any thread
//   shutdown     who waits for the end; its steps         any thread; its steps and hooks on the loop
//   executors    which job runs, and for which executor   the loop's thread
//   queue        what runs next                           the loop's thread; what comes, any thread
//   components   timers, handles, requests, network       the loop's thread; the list, any thread under the lock;
//                                                         the companion, any thread
//   waits        the waits that shutdown ends             the loop's thread; their number, any thread under the lock
//   driver       libuv's loop and its hooks               the loop's thread
//
// What belongs to the loop's thread belongs, once that has ended, to the fallback executor, which runs one job at a
// time.
//
// Who keeps the core alive: its thread, `EventLoop`, the task executor, and everything that can send to the loop. The
// core keeps none of them: it has only a weak reference to its `EventLoop`.

/// The loop behind ``EventLoop``: the owner of its parts, and the serial executor of every actor that lives on it.
@usableFromInline
// Holds because of the table above; `owner` is set before anybody has the loop.
@safe final class LoopCore: @unchecked Sendable {
  let name: String
  let thread = LoopThread()
  let inbox: LoopInbox
  let observation: LoopObservation
  let tasks: LoopTasks
  let executors: LoopExecutors
  let queue: LoopQueue
  let components = LoopComponents()
  let waits: LoopWaits
  let shutdown: LoopShutdown
  let driver: LoopDriver
  private(set) weak var owner: EventLoop?

  init(_ options: EventLoop.Options, _ observer: any LoopObserver) throws(UVError) {
    name = options.name
    StandardDescriptor.inspect()
    // A daemon may have closed its standard streams. libuv aborts when it closes a descriptor below 3, and whatever the
    // program prints would end up in one of ours.
    let taken = Posix.takeFreeStandardDescriptors()
    defer { for descriptor in taken { Posix.close(descriptor) } }
    let rawLoop = try RawLoop()
    do throws(UVError) {
      observation = LoopObservation(
        observer, unsafe try LoopUptime(rawLoop.loop, measuresIdle: options.metrics))
      inbox = LoopInbox(waker: try LoopWaker(), spin: options.spin > .zero ? LoopSpin(for: options.spin) : nil)
      tasks = LoopTasks(inbox)
      executors = LoopExecutors(thread)
      queue = LoopQueue(thread, inbox, executors, observation, tasks)
      waits = LoopWaits(components.registryLock, inbox)
      shutdown = LoopShutdown(thread, inbox, queue, rawLoop, components, tasks, waits, observation)
      driver = try LoopDriver(
        options.time.source, rawLoop, thread, inbox, queue, components, waits, shutdown, observation)
    } catch {
      rawLoop.close()
      throw error
    }
  }

  /// Starts the thread; returns once it runs.
  func start(_ executor: LoopTaskExecutor) throws(UVError) -> ThreadIdentity {
    executors.attach(self, executor)
    do throws(UVError) {
      return try thread.start(self, executor)
    } catch {
      rawLoop.close()
      throw error
    }
  }

  /// The loop that users have, from now on.
  func attach(to owner: EventLoop) { self.owner = owner }

  var rawLoop: RawLoop { driver.rawLoop }
  /// What deadlines on this loop are compared with. What protects a thread from waiting counts real time.
  var time: TimeSource { driver.time }
  var counters: LoopCounters { observation.counters }
  /// Guards the lists of handles, timers and waits, which the loop's thread owns and others may want to read.
  var registryLock: BiasedLock { components.registryLock }

  /// Where the loop is in its life.
  @inline(__always)
  var life: LoopLife { inbox.life }
}

extension LoopCore: SerialExecutor {
  @usableFromInline func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrent {
      queue.enqueueLocal(.job(job, executors.identity(ofEnqueued: job)))
    } else {
      requireOwnProcess()
      queue.enqueueRemote(.job(job, executors.identity(ofArriving: job)))
    }
  }

  @usableFromInline func isIsolatingCurrentContext() -> Bool? { isIsolating }

  @usableFromInline func checkIsolated() {
    if !isIsolating {
      fatalError(
        """
        UVLoop: this code must run on loop "\(name)", \(threadText), and runs on \(ThreadIdentity.current). Reach the \
        loop with `await loop.run { loop in … }` or `loop.post { … }`.
        """)
    }
  }
}

extension LoopCore {
  // MARK: On the loop: components

  /// The component with this key, made at its first use. On the loop's thread.
  @inline(__always)
  func component<Component: LoopComponent, Failure>(
    _ key: ComponentKey<Component>, _ make: (LoopCore) throws(Failure) -> Component
  ) throws(Failure) -> Component {
    if let found = components.find(key) { return found }
    return try add(key, make)
  }

  @inline(never)
  private func add<Component: LoopComponent, Failure>(
    _ key: ComponentKey<Component>, _ make: (LoopCore) throws(Failure) -> Component
  ) throws(Failure) -> Component {
    let component = try make(self)
    components.add(component, key)
    observation.observer.didAdd(component)
    return component
  }

  // MARK: On any thread: what comes

  /// A closure of a user: refused once shutdown has begun.
  @inline(__always)
  func post(_ work: consuming Work) throws(UVError) {
    if isCurrent {
      try requireRunning("post")
      queue.enqueueLocal(work)
    } else {
      requireOwnProcess()
      if !queue.post(work) { throw closedError("post") }
    }
  }

  /// A message of the library to the loop; see ``LoopQueue/enqueue(_:)``.
  @discardableResult
  func enqueue(_ body: @escaping () -> Void) -> Bool { queue.enqueue(body) }

  /// Runs `body` on the loop: now if this is its thread, else as a message. False if the loop has ended, and then
  /// `body` never runs: the caller resumes whoever waits for it.
  @discardableResult
  func onLoop(_ body: @escaping () -> Void) -> Bool {
    if isCurrent {
      body()
      return true
    }
    return queue.enqueue(body)
  }

  /// Jobs are never refused: somebody awaits them.
  @inline(__always)
  func enqueue(_ work: consuming Work) {
    if isCurrent {
      queue.enqueueLocal(work)
    } else {
      requireOwnProcess()
      queue.enqueueRemote(work)
    }
  }

  /// At the start of a task of the loop: from now on its jobs are known by its name.
  func noteStart(of id: LoopTasks.ID, _ name: String?) {
    guard isCurrent, observation.interest.contains(.calls), executors.runningJob != 0 else { return }
    tasks.note(executors.runningJob, of: id)
    observation.observer.identify(name)
  }

  // MARK: On any thread: where the caller is

  @inline(__always)
  var isCurrent: Bool { thread.isCurrent }

  @inline(__always)
  var isIsolating: Bool { thread.isIsolating }

  @inline(__always)
  var isOwnProcess: Bool { thread.isOfThisProcess }

  /// Where the state of what belongs to the loop may be read: in its isolation, and anywhere once the loop has ended.
  /// While its thread lingers some of it still changes there: what is read then elsewhere may be old.
  @inline(__always)
  var isReadable: Bool { isIsolating || life.state == .stopped }

  /// Whether the calling task runs as a job of the loop's, and so comes back to its thread from a wait. One that was
  /// started on the spot, inside another's job, may go on anywhere.
  @inline(__always)
  var isAtHome: Bool { isCurrent && executors.runningJob == WaitScope.currentTask }

  /// Whether this loop runs the actor. There are actors that name a loop and run elsewhere: one of another module,
  /// which keeps the executor with which it was compiled when it is made a `LoopActor` later, and one that has an
  /// executor of its own. The compiler accepts both.
  ///
  /// Generic over `Actor`, so that the actor's own answer is asked for. In code about a `LoopActor` the name means what
  /// this library would say.
  @inline(__always)
  func isExecutor(of actor: some Actor) -> Bool {
    // Holds because an executor is two words, and the first one is the object's address.
    unsafe unsafeBitCast(actor.unownedExecutor, to: (UInt, UInt).self).0
      == UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque())
  }

  /// For a call that was made for an actor, or in the isolation of one, that names this loop and does not run there.
  @inline(never)
  func strangerError(_ actor: any Actor, _ call: String) -> UVError {
    UVError(
      .notOnLoop, call: call,
      """
      \(type(of: actor)) names loop "\(name)", and does not run there. Declare the conformance with the actor, leave \
      `unownedExecutor` to LoopActor, and let `loop` always be the same.
      """)
  }

  var threadText: String { thread.identity.map(String.init(describing:)) ?? "a thread that has not started" }

  // MARK: On any thread: what is refused

  /// For a wait that was accepted, and that shutdown has ended.
  func closedWhileWaiting(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Loop \"\(name)\" was shut down while \(call) waited.")
  }

  /// For a call that came too late.
  @inline(never)
  func closedError(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Loop \"\(name)\" has been shut down, or is about to be, and refused \(call).")
  }

  /// Refuses a call once shutdown has begun.
  @inline(__always)
  func requireRunning(_ call: @autoclosure () -> String) throws(UVError) {
    if !life.acceptsPosts { throw closedError(call()) }
  }

  /// Guards calls that need no `await` on the loop: throws where the loop has ended, and where an actor of another loop
  /// calls.
  func requireOnLoop(_ call: @autoclosure () -> String) throws(UVError) {
    try requireRunning(call())
    if !isCurrent { throw offLoopError(call(), "Use `await loop.run { loop in … }` or `loop.post { … }`.") }
  }

  /// For a call that was made off the loop's thread, with what to do instead.
  func offLoopError(_ call: String, _ instead: String) -> UVError {
    requireOwnProcess()
    return UVError(
      .notOnLoop, call: call,
      """
      \(call) must be called on the thread of loop "\(name)", \(threadText), and was called on \
      \(ThreadIdentity.current). \(instead)
      """)
  }

  /// For calls that only unsafe code can make in the wrong place.
  @inline(__always)
  func requireCurrent(_ what: @autoclosure () -> String, instead: @autoclosure () -> String) {
    if !isCurrent { trapOffLoop(what(), instead()) }
  }

  /// For what only looks; see ``isReadable``.
  @inline(__always)
  func requireReadable(_ what: @autoclosure () -> String) {
    if !isReadable { trapOffLoop(what(), LoopCore.wayOntoLoop) }
  }

  /// What to do instead of a call off the loop.
  static var wayOntoLoop: String { "Use `loop.post { … }` or `await loop.run { loop in … }` there." }

  /// In place of a state that may not be read here.
  static var unreadState: String { "asked off its loop" }

  func trapOffLoop(_ what: String, _ instead: String) -> Never {
    fatalError(
      """
      UVLoop: \(what) was called off its loop. It belongs to loop "\(name)" on \(threadText); the call came from \
      \(ThreadIdentity.current). \(instead)
      """)
  }

  /// Traps in the child of a fork, where the loop's thread does not exist and its epoll set is the parent's.
  @inline(__always)
  func requireOwnProcess() {
    if !isOwnProcess {
      fatalError(
        """
        UVLoop: loop "\(name)" belongs to the parent of this process. After a fork its thread does not exist here, and \
        touching it would disturb the parent. Make a new EventLoop in the child, or exec.
        """)
    }
  }

  /// A loop's thread must not wait for a loop: its own could never answer, and another's may be waiting for it.
  func refuseToBlock(_ call: String, instead: String) throws(UVError) {
    guard let other = LoopThread.current ?? LoopThread.isolating else { return }
    let reason =
      other === self
      ? "it would wait for loop \"\(name)\", which runs on this very thread"
      : "it would wait for loop \"\(name)\" on \(threadText) and stop loop \"\(other.name)\", which runs here"
    throw UVError(
      .wouldDeadlock, call: call,
      "\(call) was called on \(ThreadIdentity.current): \(reason). Use \(instead) instead.")
  }
}
