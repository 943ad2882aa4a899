"""Names the machine, and says when it was not quiet."""

import os
import platform
import subprocess
import time


def _first(path, key, otherwise):
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(key):
                    return line.split("=" if "=" in line else ":", 1)[1].strip().strip('"')
    except OSError:
        pass
    return otherwise


def describe(peer):
    """Lines to print above the figures, by name."""
    cores = len(os.sched_getaffinity(0))
    lines = {
        "machine": f"{_first('/proc/cpuinfo', 'model name', platform.machine())}, {cores} cores",
        "system": f"{_first('/etc/os-release', 'PRETTY_NAME', 'Linux')}, kernel "
                  f"{platform.release()}, {' '.join(platform.libc_ver())}",
    }
    if peer:
        answer = subprocess.run([peer, "--version"], stdout=subprocess.PIPE, text=True)
        lines["peer"] = answer.stdout.strip()
    return lines


def _busy():
    """CPU seconds used by all processes since the machine started."""
    with open("/proc/stat") as file:
        fields = [int(f) for f in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def idle_note(seconds=1.0):
    """A note where other programs use the machine while we do nothing."""
    before = _busy()
    time.sleep(seconds)
    used = (_busy() - before) / seconds
    if used > 0.1:
        return [f"the machine was not quiet: other programs used {used:.1f} cores at the start"]
    return []
