"""The workloads on asyncio, and on uvloop where that is installed.

    python3 peers.py asyncio|uvloop WORKLOAD SIZE    prints figures, a line each: part<TAB>value<TAB>unit
    python3 peers.py asyncio|uvloop interpreter      prints the interpreter's own path
    python3 peers.py asyncio|uvloop startup-once     makes a loop, runs one callback, ends

Exits with 3 where the loop is not installed or the workload is none of these, and with 70 where a callback did not run
exactly once.
"""

import asyncio
import sys

DECLINED = 3
WRONG = 70


def new_loop(name):
    if name == "asyncio":
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        sys.exit(DECLINED)
    return uvloop.new_event_loop()


def startup_once(name):
    loop = new_loop(name)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()


if sys.argv[2:] == ["startup-once"]:
    # Ends here: what is imported below is no part of a loop's start.
    startup_once(sys.argv[1])
    sys.exit()

import threading
import time
from array import array
from concurrent.futures import ThreadPoolExecutor

now = time.monotonic_ns


def require_once(counts):
    wrong = len(counts) - counts.count(1)
    if wrong:
        print(f"{wrong} of {len(counts)} callbacks did not run exactly once", file=sys.stderr)
        sys.exit(WRONG)


class Seen:
    """Counts for each callback how often it ran."""

    def __init__(self, count):
        self.counts = bytearray(count)
        self.left = count
        self.end = asyncio.get_running_loop().create_future()

    def mark(self, id):
        self.counts[id] += 1
        self.left -= 1
        if self.left == 0:
            self.end.set_result(None)

    def check(self):
        require_once(self.counts)


class Random:
    """xorshift64*, the same numbers for every peer."""

    MASK = (1 << 64) - 1

    def __init__(self):
        self.state = 42

    def below(self, limit):
        x = self.state
        x ^= x >> 12
        x ^= (x << 25) & self.MASK
        x ^= x >> 27
        self.state = x
        return ((x * 2685821657736338717) & self.MASK) % limit


class Stopwatch:
    def __init__(self):
        self.wall = now()
        self.cpu = time.process_time_ns()

    def cpu_ns(self):
        return time.process_time_ns() - self.cpu

    def throughput(self, count):
        wall, cpu = now() - self.wall, self.cpu_ns()
        return [("", count * 1e9 / wall, "ops/s"), (".cpu", cpu / count, "ns")]


def latencies(times):
    times = sorted(times)
    return [("", times[len(times) // 2] / 1e3, "us"), (".p99", times[len(times) * 99 // 100] / 1e3, "us")]


def bytes_of(file, field):
    with open(file) as lines:
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0


def memory():
    return bytes_of("/proc/self/status", "VmRSS:")


def peak_memory():
    return bytes_of("/proc/self/status", "VmHWM:")


# Posting.


async def post(count):
    loop = asyncio.get_running_loop()
    seen = Seen(count)
    gate = threading.Semaphore(0)

    def produce():
        gate.acquire()
        for id in range(count):
            loop.call_soon_threadsafe(seen.mark, id)

    thread = threading.Thread(target=produce)
    thread.start()
    watch = Stopwatch()
    gate.release()
    await seen.end
    figures = watch.throughput(count)
    thread.join()
    seen.check()
    return figures


async def self_post(count):
    loop = asyncio.get_running_loop()
    seen = Seen(count)

    def link(id):
        seen.mark(id)
        if id + 1 < count:
            loop.call_soon(link, id + 1)

    watch = Stopwatch()
    loop.call_soon(link, 0)
    await seen.end
    figures = watch.throughput(count)
    seen.check()
    return figures


async def round_trip(count):
    loop = asyncio.get_running_loop()
    seen = Seen(count)
    # Not a `threading.Semaphore`, which is a condition and a lock in Python; this is the system's.
    answered = threading.Lock()
    answered.acquire()
    times = array("q", bytes(8 * count))

    def answer(id):
        seen.mark(id)
        answered.release()

    def ask():
        for id in range(count):
            began = now()
            loop.call_soon_threadsafe(answer, id)
            answered.acquire()
            times[id] = now() - began

    await loop.run_in_executor(None, ask)
    seen.check()
    return latencies(times)


# Timers.

PENDING = 10_000
WITHIN_MS = 200


async def churn(count):
    """A timer counts as seen when it has been cancelled."""
    loop = asyncio.get_running_loop()
    seen = Seen(count + PENDING)
    random = Random()

    def far_away():
        return 3_600 + random.below(60_000) / 1e3

    timers = [(id, loop.call_later(far_away(), int)) for id in range(PENDING)]
    # Drawn before, since that takes as long here as the timers do.
    draws = [(random.below(PENDING), far_away()) for _ in range(count)]
    watch = Stopwatch()
    for id, (victim, delay) in enumerate(draws, PENDING):
        old, timer = timers[victim]
        seen.mark(old)
        timer.cancel()
        timers[victim] = (id, loop.call_later(delay, int))
        # Cancelled timers go away when the loop turns.
        if id % 1_000 == 999:
            await asyncio.sleep(0)
    figures = watch.throughput(count)
    for id, timer in timers:
        seen.mark(id)
        timer.cancel()
    seen.check()
    return figures


class Shots:
    """When each of many timers was due, and how late it came."""

    def __init__(self, count):
        self.seen = Seen(count)
        random = Random()
        # In milliseconds; drawn before, since that takes as long here as the timers do.
        self.delays = array("q", (random.below(WITHIN_MS) for _ in range(count)))
        self.due = array("q", bytes(8 * count))
        self.lateness = array("q", bytes(8 * count))
        self.memory = memory()
        self.watch = Stopwatch()

    def delay(self, id):
        """In seconds. The deadline counts from now."""
        delay = self.delays[id]
        self.due[id] = now() + delay * 1_000_000
        return delay / 1e3

    def fired(self, id):
        self.lateness[id] = now() - self.due[id]
        self.seen.mark(id)

    async def figures(self):
        await self.seen.end
        cpu, peak = self.watch.cpu_ns(), peak_memory()
        self.seen.check()
        late = sorted(self.lateness)
        return [
            ("", cpu / 1e6, "ms"),
            (".early", max(0, -late[0]) / 1e6, "ms"),
            (".late-p99", late[len(late) * 99 // 100] / 1e6, "ms"),
            (".late-max", late[-1] / 1e6, "ms"),
            (".memory", (peak - self.memory) / len(late), "B"),
        ]


async def one_shots(count):
    loop = asyncio.get_running_loop()
    shots = Shots(count)
    for id in range(count):
        loop.call_later(shots.delay(id), shots.fired, id)
    return await shots.figures()


async def sleepers(count):
    shots = Shots(count)

    async def sleeper(id, delay):
        await asyncio.sleep(delay)
        shots.fired(id)

    # A loop holds its tasks weakly.
    tasks = [asyncio.create_task(sleeper(id, shots.delay(id))) for id in range(count)]
    figures = await shots.figures()
    del tasks
    return figures


# Work on other threads.


async def offload(count, in_flight):
    loop = asyncio.get_running_loop()
    ran = bytearray(count)
    seen = Seen(count)
    times = array("q", bytes(8 * count))
    ids = iter(range(count))

    def job(id):
        ran[id] += 1

    async def work():
        for id in ids:
            began = now()
            await loop.run_in_executor(pool, job, id)
            times[id] = now() - began
            seen.mark(id)

    with ThreadPoolExecutor(4) as pool:
        watch = Stopwatch()
        await asyncio.gather(*(work() for _ in range(in_flight)))
        figures = watch.throughput(count)
    seen.check()
    require_once(ran)
    return figures, latencies(times)


async def offload_throughput(count):
    return (await offload(count, 64))[0]


async def offload_latency(count):
    return (await offload(count, 1))[1]


# Each with whether a shorter run goes before it.
WORKLOADS = {
    "W1.post.1p": (post, True),
    "W1c.selfpost": (self_post, True),
    "W2.roundtrip": (round_trip, True),
    "W3a.timer.churn": (churn, True),
    "W3b.timers": (one_shots, False),
    "W3c.sleepers": (sleepers, False),
    "W4.offload.64": (offload_throughput, True),
    "W4.offload.lat": (offload_latency, True),
    "W4.pool.64": (offload_throughput, True),
    "W4.pool.lat": (offload_latency, True),
}


def main():
    loop = new_loop(sys.argv[1])
    if sys.argv[2] == "interpreter":
        print(sys.executable)
        return
    if sys.argv[2] not in WORKLOADS:
        sys.exit(DECLINED)
    workload, warms_up = WORKLOADS[sys.argv[2]]
    size = int(sys.argv[3])
    if warms_up:
        loop.run_until_complete(workload(max(1, size // 10)))
    for part, value, unit in loop.run_until_complete(workload(size)):
        print(part, value, unit, sep="\t")
    loop.close()


main()
