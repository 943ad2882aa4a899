#!/usr/bin/env python3
"""Measures leak against heaptrack and against the bars of the project.

Every work is run plain, under leak and under heaptrack, round after round in
turning order; figures are medians over the rounds of what each round says by
itself (added CPU, ratio), so that a slow minute of the machine spoils one round
and not the comparison.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

import sections  # noqa: E402  (after the line that keeps caches out of the tree)
import works  # noqa: E402
from machine import describe, idle_note  # noqa: E402
from measuring import Bench  # noqa: E402
from tables import table  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
OTHERS = ["true", "children", "threads", "scaling"]
ON_DEMAND = ["billion"]


def options():
    everything = list(works.COMPARED) + OTHERS
    parser = argparse.ArgumentParser(
        prog="scripts/bench/run", description=__doc__.split("\n\n")[0],
        epilog=f"works: {', '.join(everything)}; only when named: {', '.join(ON_DEMAND)}")
    parser.add_argument("--only", metavar="NAME,...", help="these works and no others")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds (default 5)")
    parser.add_argument("--lib", metavar="PATH", help="libleak.so (default: build it)")
    parser.add_argument("--bin", metavar="PATH", help="the leak command (default: build it)")
    parser.add_argument("--no-build", action="store_true", help="measure what target/ holds")
    parser.add_argument("--format", choices=["text", "markdown", "json"], default="text")
    parser.add_argument("--counts", action="store_true",
                        help="also count instructions per pair (perf, else callgrind): slow, steady")
    parser.add_argument("--facts", action="store_true",
                        help="also read pairs, depth and distinct frames from heaptrack's files")
    parser.add_argument("--true-runs", type=int, default=200, metavar="N",
                        help="runs of /bin/true (default 200)")
    parser.add_argument("--billion-events", type=int, default=1_000_000_000, metavar="N",
                        help="events of the work `billion` (default 1,000,000,000)")
    parser.add_argument("--without-heaptrack", action="store_true", help="leave the peer out")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else everything
    for name in names:
        if name not in everything + ON_DEMAND:
            parser.error(f"no work is called {name}: {', '.join(everything + ON_DEMAND)}")
    if chosen.repeats < 1 or chosen.true_runs < 1:
        parser.error("at least one round")
    chosen.names = names
    return chosen


def say(text):
    """Progress, where somebody watches."""
    print(text, file=sys.stderr, flush=True)


def built(chosen):
    """The library and the command, built where none was given; None where absent."""
    if not (chosen.lib and chosen.bin) and not chosen.no_build:
        say("building leak")
        if subprocess.run([os.path.join(ROOT, "scripts", "build")], cwd=ROOT).returncode:
            sys.exit("bench: the build failed; --no-build measures what is there")
    found = []
    for given, default in ((chosen.lib, "release/libleak.so"), (chosen.bin, "command/leak")):
        path = os.path.abspath(given or os.path.join(TARGET, default))
        if given and not os.path.exists(path):
            sys.exit(f"bench: {path}: no such file")
        found.append(path if os.path.exists(path) else None)
    return found


def main():
    chosen = options()
    lib, leak = built(chosen)
    peer = None if chosen.without_heaptrack else shutil.which("heaptrack")
    directory = os.path.join(TARGET, "bench")
    works.build(directory)
    bench = Bench(directory, lib, leak, peer)
    notes = []
    if not lib:
        notes.append("libleak.so is not there: plain and heaptrack only")
    if not peer and not chosen.without_heaptrack:
        notes.append("heaptrack is not installed (apt-get install heaptrack): no comparison")
    machine = describe(peer)
    notes += idle_note()

    done = sections.Sections(bench, chosen, notes, say)
    for name in chosen.names:
        say(f"{name} …")
        try:
            if name in works.COMPARED:
                done.compared(works.COMPARED[name](directory))
            else:
                getattr(done, name)()
        except works.Missing as missing:
            notes.append(f"{name}: left out: {missing}")
    # Runs leave logs of many MiB behind; what is wanted of them has been read.
    shutil.rmtree(os.path.join(directory, "runs"), ignore_errors=True)

    if chosen.format == "json":
        print(json.dumps({"machine": machine, "repeats": chosen.repeats, "notes": notes,
                          "works": done.raw, "checks": done.checks}, indent=1))
    else:
        markdown = chosen.format == "markdown"
        for line in machine.values():
            print(line + ("  " if markdown else ""))
        print(f"{chosen.repeats} rounds, medians; CPU is user + sys of all processes and threads")
        for head, rows in done.tables():
            print("\n" + table(head, rows, markdown))
        for note in notes:
            print(f"\nnote: {note}")
    missed = [c for c in done.checks if c["verdict"] != "pass"]
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
