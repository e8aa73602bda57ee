// The runtime moves a task on without enqueuing it where what it wants is what the thread is: a serial executor, that of an
// actor or none, and a task executor, the one that the task prefers or none. A thread is what the one who runs a job says
// it is, and a loop's can be three things:
//
//                     of an actor on the loop    of no actor
//   without preference       .actor              (Swift's pool)
//   preferring the loop      .both               .task
//
// As the wrong one a job is enqueued anew for each call that it makes. An actor's job does not say whether its task prefers
// the loop: it is taken for one without. If the job that runs is then enqueued on the very actor's executor that it runs
// on, that was wrong, and it goes on as the other. So a task settles after one extra job, also when it comes to prefer the
// loop, or ceases to. For an actor's code in a task that prefers another loop nothing is right, and each call is a job.
//
// All of them name the same thread, and the runtime compares before it leaves out a hop: a wrong one costs time, and
// nothing else.

/// What the loop's thread is to a job that runs there.
enum JobIdentity {
  /// The serial executor: isolated code of a task without a preference.
  case actor
  /// The task executor: code of no actor, in a task that prefers the loop.
  case task
  /// Both: isolated code of a task that prefers the loop.
  case both
}
