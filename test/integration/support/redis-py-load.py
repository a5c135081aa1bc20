"""A steady load by redis-py, one command at a time and in pipelines. A target comes as one line of JSON on standard input; lines
with the number of commands answered so far go to standard output. At the end of standard input the load ends, what the database
holds is held against every acknowledged write, and a report goes to standard output as a last line."""

import json
import random
import sys
import threading
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

target = json.loads(sys.stdin.readline())
OWN_KEYS = 16
LISTS = 4
PIPELINED_AT_MOST = 12
PAUSE_S = 0.02
PROGRESS_S = 0.1
QUOTED = 20
# A command that is never answered is an error then.
LONGEST_WAIT_S = 60

# As it comes, the library sends a command again whose connection was lost; otherwise it never does, and every loss is an error.
as_it_comes = {}
sends_once = {"retry": Retry(NoBackoff(), 0), "socket_timeout": LONGEST_WAIT_S}
client = redis.Redis(
    host=target["host"],
    port=target["port"],
    username=target["user"],
    password=target["password"],
    ssl=True,
    ssl_ca_certs=target["ca"],
    ssl_certfile=target["cert"],
    ssl_keyfile=target["key"],
    protocol=2,
    decode_responses=True,
    **(as_it_comes if target["resends"] else sends_once),
)
stopped = threading.Event()


class Worker(threading.Thread):
    """Reads and writes keys that are its own, and knows what must be there."""

    def __init__(self, name, depth):
        super().__init__(daemon=True)
        self.prefix = f"{target['prefix']}:{name}"
        self.depth = depth
        self.random = random.Random(name)
        self.sequence = 0
        self.answered = 0
        self.latencies = []
        self.errors = []
        self.faults = []
        # Keys with a write whose fate is unknown are in none of these any more.
        self.values = {f"{self.prefix}:own:{i}": None for i in range(OWN_KEYS)}
        self.lists = {f"{self.prefix}:log:{i}": [] for i in range(LISTS)}
        self.counts = {f"{self.prefix}:count:{i}": 0 for i in range(LISTS)}

    def run(self):
        try:
            while not stopped.is_set():
                self.burst([self.command() for _ in range(self.random.randint(1, self.depth))])
                time.sleep(PAUSE_S)
        except Exception as error:
            self.errors.append(f"the load itself has failed: {error!r}")

    def command(self):
        self.sequence += 1
        name, known = self.random.choices([("SET", self.values), ("GET", self.values), ("RPUSH", self.lists), ("INCR", self.counts)], [4, 4, 1, 1])[0]
        key = self.random.choice(list(known) or ["unknown"])
        return (name, key, str(self.sequence)) if name in ("SET", "RPUSH") else (name, key)

    def burst(self, commands):
        started = time.monotonic()
        try:
            if self.depth == 1:
                replies = [client.execute_command(*commands[0])]
            else:
                pipeline = client.pipeline(transaction=False)
                for command in commands:
                    pipeline.execute_command(*command)
                replies = pipeline.execute(raise_on_error=False)
        except redis.RedisError as error:
            replies = [error] * len(commands)
        self.latencies.append(1000 * (time.monotonic() - started))
        for command, reply in zip(commands, replies):
            if isinstance(reply, Exception):
                self.failed(command, reply)
            else:
                self.answered += 1
                self.check(command, reply)

    def failed(self, command, error):
        self.errors.append(f"{' '.join(command)}: {type(error).__name__}: {error}")
        if command[0] != "GET":
            for known in (self.values, self.lists, self.counts):
                known.pop(command[1], None)

    def check(self, command, reply):
        name, key, *arguments = command
        if name == "SET" and key in self.values:
            self.expect(command, reply, True)
            self.values[key] = arguments[0]
        elif name == "GET" and key in self.values:
            self.expect(command, reply, self.values[key])
        elif name == "RPUSH" and key in self.lists:
            self.lists[key].append(arguments[0])
            self.expect(command, reply, len(self.lists[key]))
        elif name == "INCR" and key in self.counts:
            self.counts[key] += 1
            self.expect(command, reply, self.counts[key])

    def expect(self, command, found, wanted):
        if found != wanted:
            self.faults.append(f"{' '.join(command)} was answered {found!r}, not {wanted!r}")

    def check_all(self):
        for key, value in self.values.items():
            self.expect(("in the end GET", key), client.get(key), value)
        for key, elements in self.lists.items():
            self.expect(("in the end LRANGE", key), client.lrange(key, 0, -1), elements)
        for key, count in self.counts.items():
            self.expect(("in the end GET", key), int(client.get(key) or 0), count)


workers = [Worker("single", 1), Worker("pipelined", PIPELINED_AT_MOST)]


def tell_progress():
    while not stopped.wait(PROGRESS_S):
        print(sum(worker.answered for worker in workers), flush=True)


def report():
    every = sorted(latency for worker in workers for latency in worker.latencies)

    def at(part):
        return every[int(len(every) * part)] if every else 0

    errors = [error for worker in workers for error in worker.errors]
    faults = [fault for worker in workers for fault in worker.faults]
    return {
        "commands": sum(worker.answered for worker in workers),
        "errorCount": len(errors),
        "errors": errors[:QUOTED],
        "faults": faults[:QUOTED],
        "p50Ms": at(0.5),
        "p99Ms": at(0.99),
        "longestPauseMs": every[-1] if every else 0,
    }


threads = [*workers, threading.Thread(target=tell_progress, daemon=True)]
for thread in threads:
    thread.start()
sys.stdin.read()
stopped.set()
for thread in threads:
    thread.join()
for worker in workers:
    worker.check_all()
print(json.dumps(report()), flush=True)
