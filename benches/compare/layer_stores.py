"""The stores that state_layer.py compares: how each is made, and which whole process does one thing with it."""
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def run(command, cwd=None, expect=(0,), **more):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, **more)
    if done.returncode not in expect:
        raise SystemExit(f"{' '.join(command)[:300]}: exit {done.returncode}\n{done.stderr[-1000:]}")
    return done.stdout


class Store:
    """Whole processes over one place. A command is a list of words; `None` where the store has no such step."""

    cwd = None
    reads_by_query = True

    def __init__(self, name, program, filler, place):
        self.name, self.program, self.filler, self.place = name, program, filler, place

    def make(self, count):
        if not os.path.splitext(self.place)[1]:
            os.makedirs(self.base, exist_ok=True)
        run([*self.filler, self.place, "fill", str(count)])

    def put(self, key, value):
        return [*self.program, self.place, "put", key, value]

    def get(self, key):
        return [*self.program, self.place, "get", key]

    def listing(self):
        return [*self.program, self.place, "list", "open", "50"] if self.reads_by_query else None

    def swap(self, key, expected, value):
        return [*self.program, self.place, "swap", key, expected, value]

    def keys(self):
        return run([*self.filler, self.place, "keys"]).split("\n")[:-1]

    @property
    def base(self):
        return self.place.split(":", 1)[-1]

    def size(self):
        base = self.base
        files = [base, *glob.glob(base + "-*")] if os.path.isfile(base) else glob.glob(base + "/**", recursive=True)
        return sum(os.path.getsize(file) for file in files if os.path.isfile(file))

    def close(self):
        pass


class Oxi(Store):
    """oxi-state itself: small records are pointers or documents, queries are over issues."""

    def __init__(self, kind, program, place):
        super().__init__(f"oxi-state, {kind}", [program, "-q"], None, place)
        self.kind, self.cwd = kind, place
        self.reads_by_query = kind == "issues"
        self.file = os.path.join(place, "text.txt")

    def make(self, count):
        if os.path.isdir(os.path.join(self.place, ".oxi")):
            return
        issues = os.path.join(self.place, ".oxi", "issues")
        os.makedirs(issues)
        for number in range(1, count + 1):
            status = "closed" if number % 3 == 0 else "open"
            stamp = f"2025-01-01T00:00:00.{number * 7919 % 1000003:09}Z"
            closed = f"closed_at: {stamp}\n" if status == "closed" else ""
            with open(os.path.join(issues, f"{number:04d}-task-{number}.md"), "w") as file:
                file.write(
                    f"---\nid: {number}\ntitle: Task {number}\nstatus: {status}\npriority: medium\nlabels: []\n"
                    f"created_at: {stamp}\nupdated_at: {stamp}\n{closed}sessions: []\n---\ncargo test passed on main\n"
                )
        run([*self.program, "init"], self.place)

    def put(self, key, value):
        name = key.replace("/", "-")
        if self.kind == "documents":
            with open(self.file, "w") as file:
                file.write(f"cargo test passed on branch main, 412 tests, none skipped, in 38 s: {value}\n")
        return [*self.program, *{
            "pointers": ["pointer", "set", "note", value, "--name", name],
            "documents": ["doc", "put", f"notes/{name}", self.file],
            "issues": ["issue", "update", "7", "--title", f"{key} {value}"],
        }[self.kind], "--actor", "bench", "--lock-timeout", "600"]

    def get(self, key):
        name = key.replace("/", "-")
        return [*self.program, *{
            "pointers": ["pointer", "get", "note", name],
            "documents": ["doc", "get", f"notes/{name}"],
            "issues": ["issue", "show", "8", "--json"],
        }[self.kind]]

    def listing(self):
        return [*self.program, "issue", "list", "--limit", "50", "--json"] if self.kind == "issues" else None

    def keys(self):
        rows = json.loads(run([*self.program, "pointer", "list", "--json"], self.place))
        return [row["name"].replace("-", "/", 1) for row in rows]

    def size(self):
        return os.path.getsize(os.path.join(self.place, ".oxi", "state.redb"))


class Server:
    """A private Redis, on a port and in a folder of its own."""

    def __init__(self, folder, flush):
        self.folder, self.flush, self.process = folder, flush, None
        os.makedirs(folder, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self):
        """Seconds until it answers with all of its data."""
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
             "--appendonly", "yes", "--appendfsync", self.flush, "--daemonize", "no"],
            stdout=subprocess.DEVNULL,
        )
        while True:
            try:
                with self.connect() as client:
                    client.sendall(b"PING\r\n")
                    if client.recv(100).startswith(b"+PONG"):
                        return time.perf_counter() - begin
            except OSError:
                pass
            time.sleep(0.0005)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None


class Redis(Store):
    def __init__(self, name, program, filler, server, query=True, cli=False):
        super().__init__(name, program, filler, f"127.0.0.1:{server.port}")
        self.server, self.cli, self.reads_by_query = server, cli, query

    def make(self, count):
        if self.server.process is None:
            self.server.start()
            if count:
                run([*self.filler, self.place, "fill", str(count)])

    def put(self, key, value):
        if self.cli:
            record = json.dumps({"key": key, "status": "open", "updated": f"{time.time_ns():020}", "value": value})
            return ["redis-cli", "-p", str(self.server.port), "SET", f"record:{key}", record]
        return super().put(key, value)

    def get(self, key):
        if self.cli:
            return ["redis-cli", "-p", str(self.server.port), "GET", f"record:{key}"]
        return super().get(key)

    def size(self):
        files = glob.glob(self.server.folder + "/**", recursive=True)
        return sum(os.path.getsize(file) for file in files if os.path.isfile(file))

    def close(self):
        self.server.stop()


def all_stores(binaries, program, folder, better_sqlite3, say):
    """Every store that this machine can run, each in its own place below the folder."""
    def twin(name):
        return [os.path.join(binaries, f"layer_{name}")]

    def at(name):
        return os.path.join(folder, name)

    stores = [
        Oxi("pointers", program, at("project")),
        Oxi("documents", program, at("project")),
        Oxi("issues", program, at("project")),
        Store("redb alone, Rust", twin("redb"), twin("redb"), at("alone.redb")),
        Store("SQLite, Rust", twin("sqlite"), twin("sqlite"), at("rust.sqlite")),
        Store("JSONL alone, not synced, Rust", twin("jsonl"), twin("jsonl"), "unsynced:" + at("jsonl-unsynced")),
        Store("JSONL alone, Rust", twin("jsonl"), twin("jsonl"), "log:" + at("jsonl-log")),
        Store("JSONL + latest.json, Rust", twin("jsonl"), twin("jsonl"), at("jsonl")),
        Store("JSONL + latest.json, locked, Rust", twin("jsonl"), twin("jsonl"), "locked:" + at("jsonl-locked")),
    ]
    node = ["node", os.path.join(HERE, "state_layer.mjs")]
    if shutil.which("node"):
        stores.append(Store("JSONL alone, Node", [*node, "jsonl"], twin("jsonl"), "log:" + at("node-log")))
        stores.append(Store("JSONL + latest.json, Node", [*node, "jsonl"], twin("jsonl"), at("node")))
        if better_sqlite3:
            os.environ["BETTER_SQLITE3"] = better_sqlite3
            program = [*node, "sqlite"]
            stores.append(Store("SQLite, Node (better-sqlite3)", program, twin("sqlite"), at("node.sqlite")))
        else:
            say("skipped: SQLite in Node; --better-sqlite3 names a folder in which `npm install better-sqlite3` was run")
    else:
        say("skipped: everything in Node, which is not installed")
    if shutil.which("redis-server"):
        servers = {flush: Server(at(f"redis-{flush}"), flush) for flush in ("always", "everysec")}
        for flush, server in servers.items():
            stores.append(Redis(f"Redis, {flush}, Rust", twin("redis"), twin("redis"), server))
        if shutil.which("redis-cli"):
            stores.append(Redis("Redis, always, redis-cli", [], twin("redis"), servers["always"], False, True))
        if shutil.which("node"):
            stores.append(Redis("Redis, always, Node", [*node, "redis"], twin("redis"), servers["always"], False))
    else:
        say("skipped: Redis, which is not installed (redis-server)")
    return stores
