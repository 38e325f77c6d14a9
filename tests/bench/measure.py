"""What a command costs: wall and CPU time, memory and waiting of its whole process tree.

C(python -m tests.bench.measure --timeout 900 --output SAID --result COST -- COMMAND...) runs the command, writes one JSON document to COST
and ends with the command's status (124 where its time was up). It is a process of its own so that it can adopt what the command leaves
behind (PR_SET_CHILD_SUBREAPER): helpers whose parent has ended count too, and none survives. Linux only.

The memory of a tree is summed up in two ways: the resident sizes (RSS), in which pages that forks share count once for each of them, and
the proportional sizes (PSS), in which they count once. Both come from C(/proc/PID/smaps_rollup), every 0.2 s; shorter peaks are missed.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
SAMPLE_SECONDS = 0.2
TICK = os.sysconf("SC_CLK_TCK")
LEAVE_SECONDS = 5  # that helpers have after the command has ended
INTERRUPT_SECONDS = 30  # that an interrupted command has to end by itself
TIMED_OUT = 124  # as timeout(1)


@dataclass
class Cost:
    """What a command cost. Times are in seconds, sizes in bytes, C(start), C(end) and C(waits) are of the epoch."""

    start: float = 0.0
    end: float = 0.0
    status: int = 0
    cpu: float = 0.0
    peak_rss: int = 0
    peak_pss: int = 0
    processes: int = 0  # the most at one time
    killed: int = 0  # processes that had not ended by themselves
    load: float = 0.0  # of the machine, before
    waits: list[tuple[float, float]] = field(default_factory=list)  # samples in which the tree used no CPU to speak of

    @property
    def seconds(self) -> float:
        """Wall time of the command."""
        return self.end - self.start


def descendants(root: int) -> dict[int, int]:
    """CPU ticks used so far by each process below the root, the root itself left out."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            ticks[int(name)] = int(fields[11]) + int(fields[12])
            children[int(fields[1])].append(int(name))
    found, below = {}, list(children[root])
    while below:
        pid = below.pop()
        found[pid] = ticks[pid]
        below += children[pid]
    return found


def memory(pid: int) -> tuple[int, int]:
    """RSS and PSS of a process in bytes; nothing where it has ended."""
    sizes = {"Rss:": 0, "Pss:": 0}
    try:
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            name, *rest = line.split()
            if name in sizes:
                sizes[name] = int(rest[0]) * 1024
    except OSError:
        pass
    return sizes["Rss:"], sizes["Pss:"]


class Tree:
    """The processes of one command, seen from this process, which adopts them."""

    def __init__(self, command: list[str], output: Path) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.cost = Cost(load=os.getloadavg()[0])
        self._ticks: dict[int, int] = {}
        self._sampled = 0.0
        with output.open("wb") as said:
            self.cost.start = self._sampled = time.time()
            self.pid = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True).pid
        self.ended = False

    def watch(self, seconds: float) -> None:
        """Sample until the command has ended, or its time is up."""
        descriptor = os.pidfd_open(self.pid)
        try:
            while not self.ended and time.time() < self.cost.start + seconds:
                if select.select([descriptor], [], [], max(0.0, self._sampled + SAMPLE_SECONDS - time.time()))[0]:
                    self.cost.end = time.time()
                    self._reap()
                    self.ended = True
                else:
                    self._sample()
        finally:
            os.close(descriptor)

    def stop(self) -> None:
        """End the command and all that is left of it: first by asking, then by force."""
        if not self.ended:
            os.kill(self.pid, signal.SIGINT)
            self.watch(time.time() - self.cost.start + INTERRUPT_SECONDS)
        deadline = time.time() + LEAVE_SECONDS
        killed: set[int] = set()
        while left := self._living():
            if time.time() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)  # children of this process, so the numbers cannot have changed hands
                killed.update(left)
            time.sleep(0.02)
        self.cost.killed = len(killed)
        if not self.ended:
            self.cost.end, self.cost.status = time.time(), TIMED_OUT

    def _living(self) -> list[int]:
        self._reap()
        return list(descendants(os.getpid()))

    def _reap(self) -> None:
        """Take in the CPU time of what has ended: a child's includes that of the children it waited for."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.cost.cpu += usage.ru_utime + usage.ru_stime
            if pid == self.pid:
                self.cost.status = os.waitstatus_to_exitcode(status)

    def _sample(self) -> None:
        before, self._sampled = self._sampled, time.time()
        ticks = descendants(os.getpid())
        worked = sum(now - self._ticks.get(pid, 0) for pid, now in ticks.items())
        if worked <= 1:
            self.cost.waits.append((before, self._sampled))
        self._ticks = ticks
        sizes = [memory(pid) for pid in ticks]
        self.cost.peak_rss = max(self.cost.peak_rss, sum(rss for rss, _ in sizes))
        self.cost.peak_pss = max(self.cost.peak_pss, sum(pss for _, pss in sizes))
        self.cost.processes = max(self.cost.processes, len(ticks))
        self._reap()


def main() -> int:
    """Run, watch, write."""
    parser = argparse.ArgumentParser(prog="measure", description="What a command costs: time, CPU, memory of its whole process tree.")
    parser.add_argument("--timeout", type=float, default=900, help="seconds after which the command is stopped (default: %(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where the command's outputs go")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="where the cost goes, as JSON")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    tree = Tree(arguments.command, arguments.output)
    try:
        tree.watch(arguments.timeout)
    finally:
        tree.stop()
    arguments.result.write_text(json.dumps(asdict(tree.cost)))
    return tree.cost.status


if __name__ == "__main__":
    sys.exit(main())
