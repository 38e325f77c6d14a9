"""1,000 alarms: C(threetier.aws.cloudwatch_alarm_set) against a loop of C(amazon.aws.cloudwatch_metric_alarm).

Both as a user runs them, C(ansible-playbook) with one task, on an emulator of its own that has answered each service once. Compared is
the time of the whole command. The loop goes over a sample of the alarms; what its time has beyond that of a playbook without tasks is
scaled to all of them. The order of the two changes from round to round. Requests are counted in the emulator's log.

C(make bench-alarms), or C(python -m tests.bench.alarm_set) in the checkout, prints two tables in Markdown, says on stderr what it is
doing, and ends with status 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import boto3

from tests.bench.stack import environment_for
from tests.support import CREDENTIALS, REGION, ROOT

# How many times faster the set is than the loop, at least.
BARS = {"create": 30, "no change": 200, "one changed": 200}
# Of each of these the set makes a call for so many alarms, at most. Its writes are exactly the alarms that differ.
ALARMS_A_CALL = 100
READS = {"descriptions": ["DescribeAlarms"], "look-ups of tags": ["GetResources", "ListTagsForResource"]}

SECONDS_AN_ALARM = 5  # of patience with one alarm of the loop
PATIENCE_SECONDS = 120  # of patience with any command
PUTS_A_SECOND = 3  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html

SHARED = {
    "namespace": "AWS/ECS",
    "statistic": "Average",
    "period": 300,
    "evaluation_periods": 2,
    "treat_missing_data": "notBreaching",
    "alarm_actions": ["arn:aws:sns:eu-central-1:123456789012:bench"],
}
OURS = {
    "threetier.aws.cloudwatch_alarm_set": {
        "name": "bench",
        "defaults": {**SHARED, "comparison_operator": "GreaterThanThreshold"},
        "alarms": "{{ alarms }}",
    }
}
THEIRS = {
    "amazon.aws.cloudwatch_metric_alarm": {
        **SHARED,
        "state": "present",
        "comparison": "GreaterThanThreshold",
        "name": "{{ item.name }}",
        "description": "{{ item.description }}",
        "metric": "{{ item.metric_name }}",
        "dimensions": "{{ item.dimensions }}",
        "threshold": "{{ item.threshold }}",
    },
    "loop": "{{ alarms }}",
    "loop_control": {"label": "{{ item.name }}"},
}
CONTESTANTS: dict[str, dict[str, Any]] = {"set": OURS, "loop": THEIRS}


@dataclass(frozen=True)
class Run:
    """One run of C(ansible-playbook): how long the command took, and how often it called each operation."""

    seconds: float
    requests: Counter[str]


def alarms(count: int, *, changed: bool = False) -> list[dict[str, Any]]:
    """So many alarms, or the same with another threshold of the one in the middle."""
    made = [
        {
            "name": f"bench-{number:04}",
            "description": f"Requests of service {number} will soon wait. First response: see whether auto-scaling is at its maximum.",
            "metric_name": "CPUUtilization",
            "dimensions": {"ClusterName": "bench", "ServiceName": f"service-{number:04}"},
            "threshold": 80,
        }
        for number in range(count)
    ]
    if changed:
        made[count // 2]["threshold"] = 90
    return made


@contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, which leads a session of its own; what is left of it at the end is killed with its children."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def emulator(log: Path) -> Iterator[str]:
    """URL of a fresh emulator, which has loaded what it needs to answer."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--request-log", log]
    with stopped(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)) as process:
        with process.stdout:  # it says one line, and no more
            line = process.stdout.readline()
        if not line.startswith("ready: "):
            sys.exit(f"the emulator said {line!r}")
        url = line.removeprefix("ready: ").strip()
        credentials = {name.lower(): value for name, value in CREDENTIALS.items()}
        clients = [
            boto3.client(name, region_name=REGION, endpoint_url=url, **credentials) for name in ("cloudwatch", "resourcegroupstaggingapi")
        ]
        clients[0].describe_alarms()
        clients[1].get_resources()
        yield url
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)


def playbook_seconds(directory: Path, tasks: list[dict[str, Any]], listed: list[dict[str, Any]], url: str) -> float:
    """How long C(ansible-playbook) takes with the tasks."""
    playbook, variables, output = (directory / name for name in ("playbook.yml", "alarms.json", "output"))
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    variables.write_text(json.dumps({"alarms": listed, "ansible_python_interpreter": sys.executable}))
    command = [Path(sys.executable).with_name("ansible-playbook"), playbook, "-i", "localhost,", "-c", "local", "-e", f"@{variables}"]
    environment = environment_for(url, directory, {"AWS_REGION": REGION})
    patience = PATIENCE_SECONDS + SECONDS_AN_ALARM * len(listed)
    with output.open("w") as said:
        start = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True, start_new_session=True
        )
        with stopped(process):
            status = process.wait(timeout=patience)
        seconds = time.monotonic() - start
    if status:
        sys.exit(f"ansible-playbook ended with status {status}:\n{output.read_text()[-4000:]}")
    return seconds


def measure(who: str, count: int, title: str) -> dict[tuple[str, str], Run]:
    """One contestant on a fresh emulator: an empty run, create, no change, one changed. Says on stderr what it does."""
    task = CONTESTANTS[who]
    plays = [
        ("empty", [], alarms(count), 0),
        ("create", [task], alarms(count), count),
        ("no change", [task], alarms(count), 0),
        ("one changed", [task], alarms(count, changed=True), 1),
    ]
    runs: dict[tuple[str, str], Run] = {}
    with TemporaryDirectory() as name:
        directory = Path(name)
        log = directory / "requests.jsonl"
        with emulator(log) as url:
            for what, tasks, listed, writes in plays:
                print(f"{title}: {who} of {count} alarms, {what} ...", end=" ", file=sys.stderr, flush=True)
                seen = len(log.read_text().splitlines())
                seconds = playbook_seconds(directory, tasks, listed, url)
                requests = [json.loads(line) for line in log.read_text().splitlines()[seen:]]
                runs[who, what] = Run(seconds, Counter(entry["operation"] for entry in requests))
                written = sum(entry["access"] == "write" for entry in requests)
                print(f"{seconds:.1f} s, {len(requests)} requests", file=sys.stderr, flush=True)
                if written != writes or runs[who, what].requests["PutMetricAlarm"] != writes:
                    sys.exit(f"{who}, {what}: {dict(runs[who, what].requests)}; due are {writes} PutMetricAlarm and no other write")
    return runs


def report(found: Mapping[tuple[str, str], list[Run]], count: int, sample: int) -> list[str]:
    """Prints the tables; returns the bars that are missed."""
    missed: list[str] = []
    empty = median(run.seconds for who in CONTESTANTS for run in found[who, "empty"])
    print(
        f"\nansible-core {version('ansible-core')}, Python {platform.python_version()}, {os.cpu_count()} CPUs; rounds: "
        f"{len(found['set', 'empty'])}, medians.\n\n"
        f"| whole command | set of {count:,} | loop of {sample} | loop scaled to {count:,} | faster | bar |\n|---|--:|--:|--:|--:|--:|\n"
        f"| no task at all | {empty:.1f} s | {empty:.1f} s | | | |"
    )
    for what, bar in BARS.items():
        ours, loop = (median(run.seconds for run in found[who, what]) for who in CONTESTANTS)
        scaled = empty + (loop - empty) * count / sample
        print(f"| {what} | {ours:.1f} s | {loop:.1f} s | {scaled:,.0f} s | {scaled / ours:.0f}x | {bar}x |")
        if scaled / ours < bar:
            missed.append(f"{what}: {scaled / ours:.0f} times faster than the loop; the bar is {bar}")
    print(f"\n| requests | set of {count:,} | loop of {sample} |\n|---|---|---|")
    for what in BARS:
        columns = [", ".join(f"{number:,} {name}" for name, number in sorted(found[who, what][-1].requests.items())) for who in CONTESTANTS]
        print(f"| {what} | {' | '.join(columns)} |")
        most = math.ceil(count / ALARMS_A_CALL)
        for bar_name, operations in READS.items():
            number = max(sum(run.requests[operation] for operation in operations) for run in found["set", what])
            if number > most:
                missed.append(f"{what}: {number} {bar_name}; the bar is {most}")
    print(
        f"\nThe times are the emulator's. AWS takes {PUTS_A_SECOND} PutMetricAlarm a second from an account and region: there, to create "
        f"{count:,} alarms takes {count / PUTS_A_SECOND:.0f} s or more, whoever does it.\n"
    )
    return missed


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="alarm_set", description="An alarm set against a loop of amazon.aws.cloudwatch_metric_alarm.")
    parser.add_argument("--alarms", type=int, default=1000, help="alarms of the set (default: %(default)s)")
    parser.add_argument("--sample", type=int, default=50, help="alarms of the loop, scaled to --alarms (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the medians count (default: %(default)s)")
    arguments = parser.parse_args()
    if min(arguments.alarms, arguments.sample, arguments.rounds) < 1:
        parser.error("--alarms, --sample and --rounds must be 1 or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that what runs is stopped
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    counts = {"set": arguments.alarms, "loop": arguments.sample}
    for number in range(1, arguments.rounds + 1):
        for who in CONTESTANTS if number % 2 else reversed(CONTESTANTS):
            for key, run in measure(who, counts[who], f"round {number} of {arguments.rounds}").items():
                found[key].append(run)
    missed = report(found, arguments.alarms, arguments.sample)
    print("\n".join(["Bars that are missed:", *missed]) if missed else "All bars are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
