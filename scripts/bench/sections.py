"""Each kind of measurement: what is run, what it says, and against which bar."""

import json
import math
import os
import subprocess

import works
from measuring import MIB, heaptrack_facts, instruction_counter, median, same_file
from tables import count, number, size


class Sections:
    """Collects raw figures (`raw`, by work), rows of the tables, and `checks`:
    one per bar, {work, figure, value, low, high, bar, verdict}."""

    def __init__(self, bench, chosen, notes, say):
        self.bench, self.chosen, self.notes, self.say = bench, chosen, notes, say
        self.raw, self.checks = {}, []
        self.time_rows, self.report_rows, self.fact_rows, self.count_rows = [], [], [], []

    # -- bars ------------------------------------------------------------------

    def check(self, work, figure, values, at_most=None, at_least=None, show=number, single=False):
        """Adds a check of the median of `values`, one value a round."""
        if not values:
            return
        value = median(values)
        bar = at_most if at_most is not None else at_least
        passed = value <= bar if at_most is not None else value >= bar
        self.checks.append({
            "work": work, "figure": figure, "value": _finite(value),
            "low": _finite(min(values)), "high": _finite(max(values)),
            "bar": ("<= " if at_most is not None else ">= ") + show(bar),
            "verdict": "pass" if passed else "MISS",
            "shown": show(value),
            "range": "" if single or len(values) < 2 else f"{show(min(values))} … {show(max(values))}",
        })

    def all_well(self, name, results, same_output):
        """False, with a note, where a run failed; a note where output differs."""
        for tool, costs in results.items():
            bad = [c.status for c in costs if c.status != 0]
            if bad:
                self.notes.append(f"{name}: exit status {bad[0]} under {tool}")
                self.checks.append({"work": name, "figure": f"runs under {tool}", "value": None,
                                    "low": None, "high": None, "bar": "exit status 0",
                                    "verdict": "MISS", "shown": f"status {bad[0]}", "range": ""})
                return False
        if same_output and "leak" in results:
            if not same_file(results["plain"][-1].output, results["leak"][-1].output):
                self.notes.append(f"{name}: the output under leak differs from the plain output")
        return True

    # -- works compared with heaptrack ------------------------------------------

    def compared(self, work):
        bench = self.bench
        runs = {tool: (lambda tool=tool: bench.run(tool, work.argv, work.name, work.env, work.stdin,
                                                  work.beside))
                for tool in bench.tools()}
        runs["plain"]()  # warms the page cache
        results = bench.rounds(runs, self.chosen.repeats)
        plain, leak, peer = (results.get(t) for t in ("plain", "leak", "heaptrack"))
        raw = {tool: [{"wall": c.wall, "cpu": c.cpu, "peak": c.peak, "log": c.log_bytes}
                      for c in costs] for tool, costs in results.items()}
        self.raw[work.name] = {"pairs": work.pairs, "rounds": raw}
        if not self.all_well(work.name, results, work.same_output):
            return
        base = [c.cpu for c in plain]
        leak_added = [c.cpu - p for c, p in zip(leak, base)] if leak else []
        peer_added = [c.cpu - p for c, p in zip(peer, base)] if peer else []
        ratios = [h / a if a > 0 else math.inf for h, a in zip(peer_added, leak_added)]
        per_pair = [a / work.pairs * 1e9 for a in leak_added]
        times = [c.cpu / p for c, p in zip(leak, base)] if leak else []
        logs = median([r["log"] for r in raw["leak"]]) if leak else None
        files = median([r["log"] for r in raw["heaptrack"]]) if peer else None
        memory = [(c.peak - p.peak) / MIB for c, p in zip(leak, plain)] if leak else []
        self.time_rows.append([
            work.name, count(work.pairs), number(median(base), 3),
            *(number(median(v), 3) if v else "–" for v in (leak_added, peer_added)),
            *(number(median(v), d) if v else "–" for v, d in ((ratios, 1), (per_pair, 0), (times, 2))),
            size(_whole(logs)), size(_whole(files)),
            number(median(memory), 1) if memory else "–"])
        bars, name = work.bars, work.name
        if bars.ratio is not None:
            self.check(name, "added CPU, heaptrack ÷ leak", ratios, at_least=bars.ratio,
                       show=lambda v: number(v, 1))
        if bars.ns_per_pair is not None:
            self.check(name, "added ns per pair", per_pair, at_most=bars.ns_per_pair,
                       show=lambda v: number(v, 0))
        if bars.times_plain is not None:
            self.check(name, "CPU × plain", times, at_most=bars.times_plain)
        if bars.log is not None and logs is not None and files:
            self.check(name, "log ÷ heaptrack's file",
                       [a["log"] / b["log"] for a, b in zip(raw["leak"], raw["heaptrack"])],
                       at_most=bars.log)
        if bars.memory_mib is not None:
            self.check(name, "added memory, MiB", memory, at_most=bars.memory_mib,
                       show=lambda v: number(v, 1))
        self.report(name, leak[-1].logs if leak else [], peer[-1].logs if peer else [])
        if self.chosen.facts and peer:
            facts = heaptrack_facts(peer[-1].logs[0])
            self.raw[name]["facts"] = facts
            self.fact_rows.append([name, count(facts["allocations"]), count(facts["frees"]),
                                   count(facts["distinct_frames"]), number(facts["mean_depth"], 1)])
        if self.chosen.counts and name in ("churn", "tree"):
            self.count_instructions(work)

    def report(self, name, logs, files):
        """`leak report` against heaptrack_print, each on its own tool's file."""
        bench, runs = self.bench, {}
        if logs and bench.leak:
            runs["leak report"] = lambda: bench.run("plain", [bench.leak, "report", *logs],
                                                    f"{name}.report")
        if files:
            runs["heaptrack_print"] = lambda: bench.run("plain", ["heaptrack_print", *files],
                                                        f"{name}.print")
        if not runs:
            return
        results = bench.rounds(runs, min(3, self.chosen.repeats))
        ours, theirs = results.get("leak report"), results.get("heaptrack_print")
        self.raw[name]["report"] = {tool: [{"wall": c.wall, "cpu": c.cpu, "peak": c.peak}
                                           for c in costs] for tool, costs in results.items()}
        cells = [name]
        for costs in (ours, theirs):
            cells += [number(median([c.wall for c in costs]), 3) if costs else "–",
                      size(_whole(median([c.peak for c in costs]))) if costs else "–"]
        self.report_rows.append(cells)
        if not ours:
            return
        if not self.all_well(f"{name} report", {"leak report": ours}, False):
            return
        if theirs:
            limit = max(0.15, median([c.wall for c in theirs]) / 4)
            self.check(name, "report, s (heaptrack_print ÷ 4, or 0.15)", [c.wall for c in ours],
                       at_most=limit, show=lambda v: number(v, 3))
        live = self.live_blocks(logs)
        if live is not None:
            # Symbol tables may come on top; the bar does without them.
            self.check(name, "report memory, MiB (64 + 100 B per live block)",
                       [c.peak / MIB for c in ours], at_most=64 + live * 100 / MIB,
                       show=lambda v: number(v, 1))

    def live_blocks(self, logs):
        answer = subprocess.run([self.bench.leak, "report", "--format", "json", "--top", "1", *logs],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            return json.loads(answer.stdout)["totals"]["live_blocks"]
        except (ValueError, KeyError, TypeError):
            self.notes.append("leak report --format json has no totals.live_blocks: "
                              "no bar for the report's memory")
            return None

    def count_instructions(self, work):
        """Instructions per pair: the difference of a long and a short run, so
        that start and end of the program do not count."""
        counter = instruction_counter()
        if counter is None:
            self.notes.append("neither perf counters nor valgrind: no instruction counts")
            return
        short, long = (100_000, 300_000) if work.name == "churn" else (300_000, 600_000)
        cells = [work.name, counter]
        # callgrind sees one process, so the peer's interpreter would be left out.
        tools = [t for t in self.bench.tools() if counter == "perf" or t != "heaptrack"]
        per_pair = {}
        for tool in tools:
            totals = [self.instructions(counter, tool, [work.argv[0], str(n)]) for n in (short, long)]
            per_pair[tool] = (totals[1] - totals[0]) / (long - short)
        self.raw[work.name]["instructions_per_pair"] = per_pair
        plain = per_pair["plain"]
        for tool in ("plain", "leak", "heaptrack"):
            value = per_pair.get(tool)
            cells.append("–" if value is None else number(value - (plain if tool != "plain" else 0), 0))
        self.count_rows.append(cells)

    def instructions(self, counter, tool, argv):
        bench, name = self.bench, f"counts-{counter}"
        if counter == "perf":
            # Around the tool, so that all of its processes count.
            counts = os.path.join(bench.directory, "perf.txt")
            prefix = ["perf", "stat", "-x,", "-e", "instructions:u", "-o", counts]
            if tool == "leak":
                argv = ["env", f"LD_PRELOAD={bench.lib}", *argv]
            elif tool == "heaptrack":
                argv = [bench.peer, "-o", "heaptrack", *argv]
            # What the tools write lands in the run's own directory.
            bench.run("plain", prefix + argv, name)
            with open(counts) as file:
                lines = [line for line in file if "instructions" in line]
            return int(lines[0].split(",")[0])
        counts = os.path.join(bench.directory, "callgrind.out")
        bench.run(tool, ["valgrind", "--quiet", "--tool=callgrind",
                         f"--callgrind-out-file={counts}", *argv], name)
        with open(counts) as file:
            lines = [line for line in file if line.startswith(("totals:", "summary:"))]
        return int(lines[-1].split()[1])

    # -- the rest -----------------------------------------------------------------

    def true(self):
        """Start and exit: wall time of /bin/true."""
        bench, runs = self.bench, self.chosen.true_runs
        argv = [works.tool("/bin/true", "true")]
        single = {tool: (lambda tool=tool: bench.run(tool, argv, "true"))
                  for tool in bench.tools() if tool != "heaptrack"}
        results, biggest = {tool: [] for tool in single}, 0
        results["heaptrack"] = []
        for n in range(runs):
            for tool, costs in bench.rounds(single, 1).items():
                results[tool].append(costs[0].wall * 1000)
                if tool == "leak":
                    biggest = max(biggest, costs[0].log_bytes)
            # A third of a second each: every tenth run is enough.
            if bench.peer and n % 10 == 0:
                results["heaptrack"].append(bench.run("heaptrack", argv, "true").wall * 1000)
        self.raw["true"] = {"wall_ms": results, "log": biggest}
        plain = median(results["plain"])
        shown = [f"plain {plain:.2f} ms"]
        for tool in ("leak", "heaptrack"):
            if results.get(tool):
                shown.append(f"{tool} +{median(results[tool]) - plain:.2f} ms")
        self.notes.append(f"start and exit of /bin/true, wall: {', '.join(shown)}")
        if "leak" in single:
            self.check("true", "added wall, ms",
                       [a - b for a, b in zip(results["leak"], results["plain"])], at_most=5)
            self.check("true", "log, KiB", [biggest / 1024], at_most=64, single=True)

    def children(self):
        """A shell script of 200 short children, followed by leak one and all.
        heaptrack does not follow children."""
        bench = self.bench
        script = os.path.join(works.PROGRAMS, "children.sh")
        for kind in ("mixed", "true"):
            runs = {tool: (lambda tool=tool: bench.run(tool, ["/bin/sh", script, kind, "200"],
                                                       f"children-{kind}"))
                    for tool in bench.tools() if tool != "heaptrack"}
            runs["plain"]()
            results = bench.rounds(runs, self.chosen.repeats)
            name = f"children ({kind})"
            self.raw[name] = {tool: [{"wall": c.wall, "cpu": c.cpu} for c in costs]
                              for tool, costs in results.items()}
            plain, leak = results["plain"], results.get("leak")
            line = f"plain {median([c.wall for c in plain]):.3f} s"
            if leak:
                line += f", leak {median([c.wall for c in leak]):.3f} s, {len(leak[-1].logs)} logs"
            self.notes.append(f"{name}, 200 of them, wall: {line}")
            if leak and self.all_well(name, results, False):
                self.check(name, "wall × plain", [c.wall / p.wall for c, p in zip(leak, plain)],
                           at_most=1.5)

    def threads(self):
        """Memory that each further thread adds."""
        bench, few, many = self.bench, 2, 18
        tree = os.path.join(bench.directory, "tree")
        runs = {(tool, n): (lambda tool=tool, n=n: bench.run(tool, [tree, "100000", str(n), "512"],
                                                             f"threads-{n}"))
                for tool in bench.tools() if tool != "heaptrack" for n in (few, many)}
        results = bench.rounds(runs, self.chosen.repeats)
        peaks = {key: [c.peak for c in costs] for key, costs in results.items()}
        self.raw["threads"] = {f"{tool} {n}": values for (tool, n), values in peaks.items()}
        plain = [(b - a) / (many - few) for a, b in zip(peaks["plain", few], peaks["plain", many])]
        line = f"plain {median(plain) / MIB:.2f} MiB"
        if bench.lib:
            leak = [(b - a) / (many - few) for a, b in zip(peaks["leak", few], peaks["leak", many])]
            line += f", leak {median(leak) / MIB:.2f} MiB"
            self.check("threads", "added memory per further thread, MiB",
                       [(a - b) / MIB for a, b in zip(leak, plain)], at_most=1.2)
        self.notes.append(f"memory of a further thread: {line}")

    def scaling(self):
        """Throughput of two threads that exchange blocks ÷ of one that does not."""
        bench = self.bench
        program = os.path.join(bench.directory, "exchange")

        def rate(tool, threads):
            cost = bench.run(tool, [program, str(threads), "4000000"], f"scaling-{threads}")
            with open(cost.output) as file:
                words = dict(w.split("=") for w in file.read().split() if "=" in w)
            return float(words["pairs_per_second"])

        runs = {(tool, n): (lambda tool=tool, n=n: rate(tool, n))
                for tool in bench.tools() for n in (1, 2)}
        results = bench.rounds(runs, self.chosen.repeats)
        self.raw["scaling"] = {f"{tool} {n}": values for (tool, n), values in results.items()}
        line, factors = [], {}
        for tool in bench.tools():
            factors[tool] = [b / a for a, b in zip(results[tool, 1], results[tool, 2])]
            line.append(f"{tool} {median(results[tool, 1]) / 1e6:.2f} → "
                        f"{median(results[tool, 2]) / 1e6:.2f} M pairs/s "
                        f"(× {median(factors[tool]):.2f})")
        self.notes.append(f"1 thread → 2 threads: {'; '.join(line)}")
        if "leak" in factors:
            self.check("scaling", "2 threads ÷ 1 thread", factors["leak"], at_least=1.7)
        if median(factors["plain"]) < 1.8:
            self.notes.append("scaling: the plain program did not scale either: no second core was "
                              "free, so the figure says nothing about leak")

    def billion(self):
        """A log of a billion events that no window could cancel."""
        bench, events, blocks = self.bench, self.chosen.billion_events, 200_000
        if not (bench.lib and bench.leak):
            raise works.Missing("leak")
        program = os.path.join(bench.directory, "live")
        cost = bench.run("leak", [program, str(blocks), str(events)], "billion")
        if not self.all_well("billion", {"leak": [cost]}, False):
            return
        report = bench.run("plain", [bench.leak, "report", *cost.logs], "billion.report")
        self.raw["billion"] = {"events": events, "cpu": cost.cpu, "log": cost.log_bytes,
                               "report_wall": report.wall, "report_peak": report.peak}
        self.notes.append(f"{events:,} events: log {size(cost.log_bytes)}, "
                          f"recorded in {cost.cpu:.1f} s CPU, reported in {report.wall:.1f} s")
        if self.all_well("billion report", {"leak report": [report]}, False):
            self.check("billion", "report memory, MiB (64 + 100 B per live block)",
                       [report.peak / MIB], at_most=64 + blocks * 100 / MIB,
                       show=lambda v: number(v, 1), single=True)

    # -- output -------------------------------------------------------------------

    def tables(self):
        """(head, rows) of each table that has rows."""
        every = [
            (["work", "pairs", "plain s", "leak +s", "heaptrack +s", "heaptrack ÷ leak",
              "leak +ns/pair", "leak × plain", "leak log", "heaptrack file", "leak +MiB"],
             self.time_rows),
            (["report on", "leak s", "leak peak", "heaptrack_print s", "heaptrack_print peak"],
             self.report_rows),
            (["as heaptrack saw it", "allocations", "frees", "distinct frames", "mean depth"],
             self.fact_rows),
            (["instructions per pair", "counted by", "plain", "leak +", "heaptrack +"],
             self.count_rows),
            (["work", "figure", "measured", "over the rounds", "bar", "verdict"],
             [[c["work"], c["figure"], c["shown"], c["range"], c["bar"], c["verdict"]]
              for c in self.checks]),
        ]
        return [(head, rows) for head, rows in every if rows]


def _finite(value):
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def _whole(value):
    return None if value is None else int(value)
