"""The works that are measured: how each is built, called, and what it must reach.

A bar is a limit of the project's table of figures. It stands here, beside its
work, and nowhere else.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Dict, List, Optional

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")

# As a distribution builds its packages: optimized and without frame pointers.
# Tail calls stay calls, so that a program has the depth that it says.
C_FLAGS = ["-O2", "-g", "-fomit-frame-pointer", "-fno-optimize-sibling-calls", "-pthread"]

C_PROGRAMS = ["measure", "churn", "tree", "exchange", "live", "http_load"]


@dataclass
class Bars:
    """Limits of one work; what is None has no limit."""

    ratio: Optional[float] = None  # added CPU, heaptrack ÷ leak, at least
    ns_per_pair: Optional[float] = None  # added CPU per pair, at most
    times_plain: Optional[float] = None  # CPU with leak ÷ without, at most
    log: Optional[float] = None  # leak's log ÷ heaptrack's file, at most
    memory_mib: Optional[float] = None  # added peak resident MiB, at most


@dataclass
class Work:
    """One command line. `pairs`: its malloc/free pairs, to divide by."""

    name: str
    title: str
    argv: List[str]
    pairs: int
    bars: Bars = field(default_factory=Bars)
    env: Dict[str, str] = field(default_factory=dict)
    stdin: Optional[str] = None
    # Runs at the same time in the same directory, without the tool, and is not measured.
    beside: Optional[List[str]] = None
    # Its stdout is the same on every run, so it can be compared.
    same_output: bool = True


class Missing(Exception):
    """A work's program is not installed; says which."""


def build(directory):
    """Compiles the C programs that are older than their sources."""
    os.makedirs(directory, exist_ok=True)
    header = os.path.join(PROGRAMS, "bench.h")
    for name in C_PROGRAMS:
        source, program = os.path.join(PROGRAMS, name + ".c"), os.path.join(directory, name)
        newest = max(os.path.getmtime(p) for p in (source, header, __file__))
        if os.path.exists(program) and os.path.getmtime(program) > newest:
            continue
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *C_FLAGS, "-o", program, source], check=True)


def tool(*names):
    for name in names:
        path = name if os.path.isabs(name) else shutil.which(name)
        if path and os.access(path, os.X_OK):
            return os.path.realpath(path)
    raise Missing(f"{names[-1]} is not installed")


def churn(directory):
    return Work("churn", "malloc/free churn, one thread, depth 5",
                [os.path.join(directory, "churn"), "5000000"], 5_000_000,
                Bars(ratio=10, ns_per_pair=60, log=0.1))


def tree(directory):
    return Work("tree", "random call tree, mean depth 37",
                [os.path.join(directory, "tree"), "3000000"], 3_000_000,
                Bars(ratio=10, ns_per_pair=180, log=6, memory_mib=24))


def exchange(directory):
    return Work("exchange", "two threads that free each other's blocks",
                [os.path.join(directory, "exchange"), "2", "4000000"], 4_000_000,
                Bars(ratio=10, log=1), same_output=False)


def sqlite(directory):
    program = tool("sqlite3")
    script = os.path.join(directory, "sqlite.sql")
    with open(script, "w") as out:
        subprocess.run([sys.executable, os.path.join(PROGRAMS, "sqlite_script.py")],
                       stdout=out, check=True)
    return Work("sqlite", "sqlite3 :memory: script", [program, ":memory:"], 1_280_000,
                Bars(ratio=6, times_plain=1.5, log=1), stdin=script)


def cc1plus(directory):
    driver = tool("g++")
    program = subprocess.run([driver, "-print-prog-name=cc1plus"], stdout=subprocess.PIPE,
                             check=True, text=True).stdout.strip()
    if not os.path.isabs(program):
        raise Missing("cc1plus is not installed")
    source = os.path.join(directory, "compile.ii")
    subprocess.run([driver, "-E", "-o", source, os.path.join(PROGRAMS, "compile.cc")], check=True)
    return Work("cc1plus", "cc1plus -O2 on a preprocessed C++ file",
                [program, "-quiet", "-O2", source, "-o", os.path.join(directory, "compile.s")],
                314_000, Bars(ratio=6, times_plain=1.5, log=1))


def python(_directory):
    # The system's interpreter where there is one: a version manager puts a shell
    # script in its place on PATH.
    return Work("python", "python3, PYTHONMALLOC=malloc, json round trips",
                [tool("/usr/bin/python3", sys.executable),
                 os.path.join(PROGRAMS, "json_round_trips.py")],
                7_000_000, Bars(ratio=6, times_plain=1.6, log=2.5),
                # A fixed hash seed: the same allocations on every run.
                env={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})


def node(_directory):
    return Work("node", "node, JSON and Buffers",
                [tool("node"), os.path.join(PROGRAMS, "json_and_buffers.js")], 788_000)


def node_http(directory):
    return Work("node-http", "node, HTTP server, 60,000 requests, its client apart",
                [tool("node"), os.path.join(PROGRAMS, "http_server.js")], 60_000 * 8,
                Bars(times_plain=1.10), beside=[os.path.join(directory, "http_load")])


def node_json(_directory):
    return Work("node-json", "node, JSON churn",
                [tool("node"), os.path.join(PROGRAMS, "json_churn.js")], 100_000, Bars(times_plain=1.10))


def node_computing(_directory):
    return Work("node-computing", "node, computing",
                [tool("node"), os.path.join(PROGRAMS, "computing.js")], 100_000, Bars(times_plain=1.10))


def live(directory):
    return Work("live", "one million blocks never freed",
                [os.path.join(directory, "live"), "1000000"], 1_000_000)


# Compared with heaptrack, in the order of the table.
COMPARED = {"churn": churn, "tree": tree, "exchange": exchange, "sqlite": sqlite,
            "cc1plus": cc1plus, "python": python, "node": node,
            "node-http": node_http, "node-json": node_json, "node-computing": node_computing, "live": live}
