// The workloads on Node.
//
//   node peers.mjs WORKLOAD SIZE    prints figures, a line each: part<TAB>value<TAB>unit
//   node peers.mjs interpreter      prints the interpreter's own path
//   node peers.mjs startup-once     runs one callback, ends
//
// Exits with 3 for a workload that is none of these, and with 70 where a callback did not run exactly once.
//
// Nothing of Node posts a closure to another thread, so a worker's message stands for a post, and `Atomics.wait` for the
// semaphore. Its thread pool runs no JavaScript, so four workers stand for that.
const [, , workloadName, sizeArgument] = process.argv;

const DECLINED = 3;
const WRONG = 70;

if (workloadName === 'startup-once') {
  // Ends here: what is imported below is no part of a loop's start.
  setImmediate(() => process.exit());
  await new Promise(() => {});
}

const { isMainThread, parentPort, Worker, workerData } = await import('node:worker_threads');
const { readFileSync } = await import('node:fs');
const { setTimeout: sleep } = await import('node:timers/promises');

/// In milliseconds, to the nanosecond.
const now = () => performance.now();

const sharedBytes = (count) => new Uint8Array(new SharedArrayBuffer(count));

/// Counts for each callback how often it ran.
class Seen {
  constructor(count) {
    this.counts = sharedBytes(count);
    this.left = count;
    this.end = new Promise((resolve) => (this.resolve = resolve));
  }

  mark(id) {
    this.counts[id] += 1;
    if (--this.left === 0) this.resolve();
  }

  check() {
    let wrong = 0;
    for (const count of this.counts) if (count !== 1) wrong++;
    if (wrong === 0) return;
    console.error(`${wrong} of ${this.counts.length} callbacks did not run exactly once`);
    process.exit(WRONG);
  }
}

/// xorshift64*, the same numbers for every peer.
class Random {
  state = 42n;

  below(limit) {
    let x = this.state;
    x ^= x >> 12n;
    x ^= BigInt.asUintN(64, x << 25n);
    x ^= x >> 27n;
    this.state = x;
    return Number(BigInt.asUintN(64, x * 2685821657736338717n) % BigInt(limit));
  }
}

class Stopwatch {
  constructor() {
    this.wall = now();
    this.cpu = process.cpuUsage();
  }

  /// In milliseconds.
  get cpuTime() {
    const { user, system } = process.cpuUsage(this.cpu);
    return (user + system) / 1e3;
  }

  throughput(count) {
    const wall = now() - this.wall;
    return [['', (count * 1e3) / wall, 'ops/s'], ['.cpu', (this.cpuTime * 1e6) / count, 'ns']];
  }
}

function latencies(times) {
  const sorted = times.slice().sort();
  const us = (part) => sorted[Math.floor(sorted.length * part)] * 1e3;
  return [['', us(0.5), 'us'], ['.p99', us(0.99), 'us']];
}

function bytesOf(field) {
  const match = readFileSync('/proc/self/status', 'utf8').match(new RegExp(`^${field}:\\s+(\\d+)`, 'm'));
  return Number(match[1]) * 1024;
}

// Workers. A worker runs this file too, finds its role here, and says that it is ready.

const roles = {
  /// Posts all ids.
  produce({ count }) {
    parentPort.once('message', () => {
      for (let id = 0; id < count; id++) parentPort.postMessage(id);
    });
  },

  /// Posts an id, and blocks until the loop has answered.
  ask({ count, times, answered }) {
    parentPort.once('message', () => {
      for (let id = 0; id < count; id++) {
        const began = now();
        parentPort.postMessage(id);
        Atomics.wait(answered, 0, id);
        times[id] = now() - began;
      }
      parentPort.postMessage(-1);
    });
  },

  /// Does jobs until it is told that there are no more.
  work({ ran }) {
    parentPort.on('message', (id) => {
      ran[id] += 1;
      parentPort.postMessage(id);
    });
  },
};

async function startWorker(role, data) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role, ...data } });
  worker.on('error', (error) => {
    console.error(error);
    process.exit(WRONG);
  });
  await new Promise((resolve) => worker.once('message', resolve));
  return worker;
}

// Posting.

async function post(count) {
  const seen = new Seen(count);
  const worker = await startWorker('produce', { count });
  worker.on('message', (id) => seen.mark(id));
  const watch = new Stopwatch();
  worker.postMessage('go');
  await seen.end;
  const figures = watch.throughput(count);
  await worker.terminate();
  seen.check();
  return figures;
}

async function selfPost(count) {
  const seen = new Seen(count);
  const link = (id) => {
    seen.mark(id);
    if (id + 1 < count) setImmediate(link, id + 1);
  };
  const watch = new Stopwatch();
  setImmediate(link, 0);
  await seen.end;
  const figures = watch.throughput(count);
  seen.check();
  return figures;
}

async function roundTrip(count) {
  const seen = new Seen(count);
  const times = new Float64Array(new SharedArrayBuffer(8 * count));
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const worker = await startWorker('ask', { count, times, answered });
  const end = new Promise((resolve) => {
    worker.on('message', (id) => {
      if (id < 0) return resolve();
      seen.mark(id);
      Atomics.store(answered, 0, id + 1);
      Atomics.notify(answered, 0);
    });
  });
  worker.postMessage('go');
  await end;
  await worker.terminate();
  seen.check();
  return latencies(times);
}

// Timers.

const PENDING = 10_000;
const WITHIN_MS = 200;

/// A timer counts as seen when it has been cancelled.
async function churn(count) {
  const seen = new Seen(count + PENDING);
  const random = new Random();
  const farAway = () => 3_600_000 + random.below(60_000);
  const nothing = () => {};
  const ids = Array.from({ length: PENDING }, (_, id) => id);
  const timers = ids.map(() => setTimeout(nothing, farAway()));
  // Drawn before, since that takes as long here as the timers do.
  const victims = new Uint32Array(count);
  const delays = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    victims[i] = random.below(PENDING);
    delays[i] = farAway();
  }
  const watch = new Stopwatch();
  for (let i = 0; i < count; i++) {
    const victim = victims[i];
    seen.mark(ids[victim]);
    clearTimeout(timers[victim]);
    ids[victim] = PENDING + i;
    timers[victim] = setTimeout(nothing, delays[i]);
  }
  const figures = watch.throughput(count);
  timers.forEach((timer, i) => {
    seen.mark(ids[i]);
    clearTimeout(timer);
  });
  seen.check();
  return figures;
}

/// When each of many timers was due, and how late it came.
class Shots {
  constructor(count) {
    this.seen = new Seen(count);
    const random = new Random();
    // Drawn before, since that takes as long here as the timers do.
    this.delays = Uint8Array.from({ length: count }, () => random.below(WITHIN_MS));
    // Touched here, so that its memory is not counted as the timers'.
    this.due = new Float64Array(count).fill(-1);
    this.lateness = new Float64Array(count).fill(-1);
    this.memory = bytesOf('VmRSS');
    this.watch = new Stopwatch();
  }

  /// The deadline counts from now.
  delay(id) {
    this.due[id] = now() + this.delays[id];
    return this.delays[id];
  }

  fired(id) {
    this.lateness[id] = now() - this.due[id];
    this.seen.mark(id);
  }

  async figures() {
    await this.seen.end;
    const cpu = this.watch.cpuTime;
    const peak = bytesOf('VmHWM');
    this.seen.check();
    const late = this.lateness.sort();
    return [
      ['', cpu, 'ms'],
      ['.early', Math.max(0, -late[0]), 'ms'],
      ['.late-p99', late[Math.floor(late.length * 0.99)], 'ms'],
      ['.late-max', late[late.length - 1], 'ms'],
      ['.memory', (peak - this.memory) / late.length, 'B'],
    ];
  }
}

function oneShots(count) {
  const shots = new Shots(count);
  const fired = (id) => shots.fired(id);
  for (let id = 0; id < count; id++) setTimeout(fired, shots.delay(id), id);
  return shots.figures();
}

function sleepers(count) {
  const shots = new Shots(count);
  const sleeper = async (id, delay) => {
    await sleep(delay);
    shots.fired(id);
  };
  for (let id = 0; id < count; id++) sleeper(id, shots.delay(id));
  return shots.figures();
}

// Work on other threads.

async function offload(count, inFlight) {
  const ran = sharedBytes(count);
  const seen = new Seen(count);
  const times = new Float64Array(count);
  const workers = await Promise.all(Array.from({ length: 4 }, () => startWorker('work', { ran })));
  let next = 0;
  const submit = (worker) => {
    if (next === count) return;
    times[next] = now();
    worker.postMessage(next++);
  };
  for (const worker of workers) {
    worker.on('message', (id) => {
      times[id] = now() - times[id];
      seen.mark(id);
      // Each job counted itself, on the other side.
      if (ran[id] !== 1) seen.counts[id] = 255;
      submit(worker);
    });
  }
  const watch = new Stopwatch();
  for (let i = 0; i < inFlight; i++) submit(workers[i % workers.length]);
  await seen.end;
  const throughput = watch.throughput(count);
  await Promise.all(workers.map((worker) => worker.terminate()));
  seen.check();
  return { throughput, latencies: latencies(times) };
}

// Each with whether a shorter run goes before it.
const workloads = {
  'W1.post.1p': [post, true],
  'W1c.selfpost': [selfPost, true],
  'W2.roundtrip': [roundTrip, true],
  'W3a.timer.churn': [churn, true],
  'W3b.timers': [oneShots, false],
  'W3c.sleepers': [sleepers, false],
  'W4.offload.64': [async (count) => (await offload(count, 64)).throughput, true],
  'W4.offload.lat': [async (count) => (await offload(count, 1)).latencies, true],
  'W4.pool.64': [async (count) => (await offload(count, 64)).throughput, true],
  'W4.pool.lat': [async (count) => (await offload(count, 1)).latencies, true],
};

async function main() {
  if (workloadName === 'interpreter') return console.log(process.execPath);
  if (!(workloadName in workloads)) process.exit(DECLINED);
  const [workload, warmsUp] = workloads[workloadName];
  const size = Number(sizeArgument);
  if (warmsUp) await workload(Math.max(1, Math.floor(size / 10)));
  for (const figure of await workload(size)) console.log(figure.join('\t'));
}

if (isMainThread) {
  await main();
} else {
  const { role, ...data } = workerData;
  roles[role](data);
  parentPort.postMessage('ready');
}
