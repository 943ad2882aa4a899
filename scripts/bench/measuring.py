"""Runs one command plain, under leak or under heaptrack, and says what it cost.

CPU is user + sys of all processes and threads that the command led to, also
heaptrack's interpreter and compressor: `programs/measure.c` waits for every one.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import List, Optional

MIB = 1024 * 1024


@dataclass
class Cost:
    wall: float  # seconds
    cpu: float  # seconds, user + sys
    peak: int  # bytes, largest process's peak resident size
    status: int  # exit status, 128 + n for signal n
    output: str  # file with the command's stdout
    logs: List[str]  # the files the tool wrote; gone after the next run
    log_bytes: int  # their sizes together


class Bench:
    """Where things are, and the runs themselves."""

    def __init__(self, directory, lib: Optional[str], leak: Optional[str], peer: Optional[str]):
        self.directory, self.lib, self.leak, self.peer = directory, lib, leak, peer

    def tools(self):
        """The ways to run a work, of those that are installed."""
        return ["plain"] + (["leak"] if self.lib else []) + (["heaptrack"] if self.peer else [])

    def place(self, name):
        """An empty directory for one run's files."""
        path = os.path.join(self.directory, "runs", name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def run(self, tool, argv, name, env=None, stdin=None, beside=None) -> Cost:
        """One run; its files stay until the next run of the same tool and name."""
        place = self.place(f"{name}.{tool}")
        result, output = os.path.join(place, "cost"), os.path.join(place, "stdout")
        logs = os.path.join(place, "logs")
        os.mkdir(logs)
        full_env = {k: v for k, v in os.environ.items()
                    if k != "LD_PRELOAD" and not k.startswith("LEAK_")}
        full_env.update(env or {})
        if tool == "leak":
            full_env["BENCH_PRELOAD"] = self.lib
            full_env["LEAK_LOG"] = os.path.join(logs, "%e.%p.leak")
        elif tool == "heaptrack":
            argv = [self.peer, "-o", os.path.join(logs, "heaptrack"), *argv]
        client = beside and subprocess.Popen(beside, cwd=place)
        with open(stdin or os.devnull, "rb") as source, open(output, "wb") as sink, \
                open(os.path.join(place, "stderr"), "wb") as errors:
            subprocess.run([os.path.join(self.directory, "measure"), result, *argv], cwd=place,
                           env=full_env, stdin=source, stdout=sink, stderr=errors, check=True)
        if client:
            client.wait()
        with open(result) as file:
            wall, user, system, peak, status = file.read().split()
        found = sorted(os.path.join(logs, f) for f in os.listdir(logs))
        return Cost(float(wall), float(user) + float(system), int(peak) * 1024, int(status),
                    output, found,
                    sum(os.path.getsize(p) for p in found))

    def rounds(self, commands, repeats):
        """Runs every command once a round, in turning order: what disturbs the
        machine for a while disturbs all of them. `commands`: name -> function
        that runs it. Returns name -> list of results, one a round."""
        names = list(commands)
        results = {name: [] for name in names}
        for n in range(repeats):
            turn = n % len(names)
            for name in names[turn:] + names[:turn]:
                results[name].append(commands[name]())
        return results


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def same_file(a, b):
    with open(a, "rb") as one, open(b, "rb") as other:
        return one.read() == other.read()


def heaptrack_facts(path):
    """What heaptrack recorded: allocations, frees, distinct frames (return address
    and parent), mean depth of a capture. Reads its whole file, which takes seconds
    per million events."""
    unpack = ["zstd", "-dc"] if path.endswith(".zst") else ["gzip", "-dc"]
    depths, depth_of_info = [0], []
    allocations = frees = depth_sum = 0
    with subprocess.Popen([*unpack, path], stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            kind = line[:1]
            if kind == b"+":
                allocations += 1
                depth_sum += depth_of_info[int(line[2:], 16)]
            elif kind == b"-":
                frees += 1
            elif kind == b"t":
                depths.append(depths[int(line.split()[2], 16)] + 1)
            elif kind == b"a":
                depth_of_info.append(depths[int(line.split()[2], 16)])
    return {"allocations": allocations, "frees": frees, "distinct_frames": len(depths) - 1,
            "mean_depth": round(depth_sum / max(1, allocations), 1)}


def instruction_counter():
    """How instructions can be counted here: 'perf', 'callgrind' or None. Virtual
    machines often have no hardware counters."""
    if shutil.which("perf"):
        probe = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if probe.returncode == 0 and probe.stderr.strip().split(",")[0].isdigit():
            return "perf"
    return "callgrind" if shutil.which("valgrind") else None
