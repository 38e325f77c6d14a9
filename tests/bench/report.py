"""The page of the measurements: tables, bars and a plot, made from what C(stack.py) found.

A page has places C(<!-- NAME -->...<!-- /NAME -->), one for each part; a part that was measured is written into its place, the others stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.critical_path import critical_path

LABELS = {
    "warm": "threetier.aws, `warm`",
    "local": "threetier.aws, `local`",
    "mitogen": "threetier.aws, Mitogen",
    "terraform": "Terraform",
}
# What each phase is, for the collection and for Terraform.
PHASES = {
    "create": ("site.yml", "apply"),
    "no change": ("site.yml again", "plan -detailed-exitcode"),
    "no change, not verified": ("site.yml --skip-tags verify", ""),
    "preview": ("site.yml --check --diff", ""),
    "apply again": ("", "apply again"),
    "removal": ("teardown.yml", "destroy"),
}
# Of our median to that of Terraform, at most.
TIME_BARS = {"create": 0.25, "no change": 0.5, "removal": 0.5}
WORK_BAR = 1.0
MEMORY_BAR = 0.5
REQUEST_BARS = {"create": 0.75, "no change": 0.6}
TASK_BARS = {"ping": 60, "describe": 130}  # milliseconds
PATH_BAR = 1.15
FLEET_TIME_BAR = 7
FLEET_MEMORY_BAR = 60  # MB a stack

COLORS = {"warm": "#2f6db5", "local": "#86b1de", "mitogen": "#b9a13a", "terraform": "#8456b8"}


@dataclass(frozen=True)
class Summary:
    """The least, the middle and the greatest of some numbers."""

    least: float
    middle: float
    greatest: float

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Summary:
        """Raises ValueError where there are none."""
        numbers = sorted(numbers)
        if not numbers:
            raise ValueError("no numbers")
        return cls(numbers[0], median(numbers), numbers[-1])

    def show(self, digits: int = 1, scale: float = 1) -> str:
        """As C(min / median / max); one number where all are the same."""
        shown = [f"{number * scale:,.{digits}f}" for number in (self.least, self.middle, self.greatest)]
        return shown[0] if len(set(shown)) == 1 else f"{shown[0]} / **{shown[1]}** / {shown[2]}"


@dataclass(frozen=True)
class Bar:
    """Something that must hold: what was measured is at most the limit."""

    what: str
    value: float
    limit: float
    unit: str = "×"

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{self.what}: {self.value:.2f} {self.unit}, at most {self.limit:g} {self.unit}: {'met' if self.met else 'not met'}"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A table in Markdown: the first column to the left, the others to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bars_table(bars: list[Bar]) -> str:
    """The bars as a table."""
    return table(
        ["aim", "measured", "at most", ""],
        [[bar.what, f"{bar.value:.2f} {bar.unit}", f"{bar.limit:g} {bar.unit}", "met" if bar.met else "**not met**"] for bar in bars],
    )


# What was found


def numbers(rounds: list[dict[str, Any]], who: str, phase: str, what: str) -> list[float]:
    """One number of a contestant's phase from every round that has it."""
    phases = [one[who]["phases"].get(phase, {}) for one in rounds if who in one]
    return [found[what] for found in phases if what in found]


def names(rounds: list[dict[str, Any]]) -> list[str]:
    """Contestants that have anything to show, in the order of the labels."""
    return [name for name in LABELS if any(name in one for one in rounds)]


def failures(results: dict[str, Any]) -> list[str]:
    """What did not work, or left something behind, in all parts."""
    found = []
    for part, result in results["parts"].items():
        for number, one in enumerate(result["rounds"], 1):
            for who, done in one.items():
                if "failed" in done:
                    found.append(f"{part}, round {number}, {who}: {done['failed'].splitlines()[0]}")
                if left := done.get("left"):
                    found.append(f"{part}, round {number}, {who}: left behind {left}")
    return found


def against_terraform(rounds: list[dict[str, Any]]) -> list[Bar]:
    """The bars of the stack; those that were not measured are left out."""
    bars: list[Bar] = []

    def middle(who: str, phase: str, what: str) -> float | None:
        found = numbers(rounds, who, phase, what)
        return median(found) if found else None

    def ratio(title: str, phase: str, what: str, limit: float) -> None:
        ours, theirs = middle("warm", phase, what), middle("terraform", phase, what)
        if ours is not None and theirs:
            bars.append(Bar(title, ours / theirs, limit))

    for phase, limit in TIME_BARS.items():
        ratio(f"{phase}: time", phase, "seconds", limit)
        ours = middle("warm", phase, "seconds")
        if phase == "create" and ours is not None:
            work = [
                seconds - idle
                for seconds, idle in zip(*(numbers(rounds, "terraform", phase, what) for what in ("seconds", "idle")), strict=True)
            ]
            if work:
                bars.append(Bar("create: time, to Terraform's without its sleeps", ours / median(work), WORK_BAR))
    for phase, limit in REQUEST_BARS.items():
        ratio(f"{phase}: requests", phase, "requests", limit)
    for what in ("pss", "rss"):
        peaks = {}
        for who in ("warm", "terraform"):
            found = [
                max(done["phases"][phase][what] for phase in TIME_BARS if phase in done["phases"])
                for one in rounds
                if (done := one.get(who)) and done["phases"]
            ]
            if found:
                peaks[who] = median(found)
        if len(peaks) == 2:
            bars.append(Bar(f"peak memory ({what.upper()}) of all phases", peaks["warm"] / peaks["terraform"], MEMORY_BAR))
    return bars


# Blocks of the page


def conditions(results: dict[str, Any], part: str) -> str:
    """What was measured on, with what, how often and beside what load."""
    machine, rounds = results["machine"], results["parts"][part]["rounds"]
    loads = [found["load"] for one in rounds for done in one.values() for found in done.get("phases", {}).values()]
    text = (
        f"{results['date']}, {len(rounds)} round{'s' * (len(rounds) > 1)}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB, {machine['system']}; "
        + ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        + "."
    )
    if loads:
        text += f" Load of the machine before a phase: {Summary.of(loads).show()}."
    return text


def not_measured(result: dict[str, Any]) -> list[str]:
    """Who was not measured, and why."""
    return [f"{LABELS[name]}: {why}" for name, why in result.get("unable", {}).items()]


def stack_block(results: dict[str, Any], plot: str) -> tuple[str, list[Bar]]:
    """Phases of the stack, each a table; requests by service; size of the stacks; bars."""
    result = results["parts"]["stack"]
    rounds, bars = result["rounds"], against_terraform(result["rounds"])
    parts = [conditions(results, "stack"), f"![Time, requests and memory of each phase]({plot})", bars_table(bars) if bars else ""]
    for phase, (ours, theirs) in PHASES.items():
        rows = []
        for who in names(rounds):
            if numbers(rounds, who, phase, "seconds"):
                command = theirs if who == "terraform" else ours
                rows.append([f"{LABELS[who]}: `{command}`"] + [
                    Summary.of(numbers(rounds, who, phase, what)).show(digits)
                    for what, digits in (("seconds", 1), ("idle", 1), ("requests", 0), ("cpu", 1), ("pss", 0), ("rss", 0), ("load", 1))
                ])  # fmt: skip
        if rows:
            parts += [
                f"### {phase.capitalize()}",
                table(["", "seconds", "of them asleep", "requests", "CPU s", "PSS MB", "RSS MB", "load before"], rows),
            ]
    parts += ["### Requests by service", services_table(rounds), "### Size of the stacks", sizes_text(rounds)]
    parts += [" ".join(f"{text}." for text in [*not_measured(result), *unclean(rounds)])]
    parts += ["Failed: " + "; ".join(failed) + "." if (failed := failures({"parts": {"stack": result}})) else ""]
    return "\n\n".join(filter(None, parts)), bars


def services_table(rounds: list[dict[str, Any]]) -> str:
    """Requests of the last round, by service: creation and no change, the collection and Terraform."""
    columns = [
        (who, phase)
        for phase in ("create", "no change", "removal")
        for who in ("warm", "terraform")
        if numbers(rounds, who, phase, "seconds")
    ]
    counts = {
        (who, phase): next(one[who]["phases"][phase]["services"] for one in reversed(rounds) if phase in one.get(who, {}).get("phases", {}))
        for who, phase in columns
    }
    services = sorted({service for found in counts.values() for service in found})
    rows = [[f"`{service}`", *[str(counts[column].get(service, "")) for column in columns]] for service in services]
    return table(["service", *[f"{phase}, {LABELS[who].partition(',')[0]}" for who, phase in columns]], rows)


def sizes_text(rounds: list[dict[str, Any]]) -> str:
    """How many things each stack has, as the emulator lists them."""
    found = {}
    for who in ("warm", "terraform"):
        for one in reversed(rounds):
            if resources := one.get(who, {}).get("resources"):
                found[who] = resources
                break
    services = sorted({service for resources in found.values() for service in resources})
    rows = [[f"`{service}`", *[str(resources.get(service, "")) for resources in found.values()]] for service in services]
    rows.append(["all", *[f"**{sum(resources.values())}**" for resources in found.values()]])
    return table(["things after the creation", *[LABELS[who].partition(",")[0] for who in found]], rows)


def unclean(rounds: list[dict[str, Any]]) -> list[str]:
    """Runs that should have found nothing to change, and did."""
    return [
        f"{LABELS[who]} found something to change in {phase!r}"
        for who in names(rounds)
        for phase in PHASES
        if phase not in ("create", "removal") and not all(numbers(rounds, who, phase, "clean"))
    ]


def waits_block(results: dict[str, Any]) -> tuple[str, list[Bar]]:
    """Creation where AWS's waits take their share, against the critical path; removal beside it."""
    result, scale = results["parts"]["stack"], results["time_scale"]
    rounds, path, on_aws = result["rounds"], critical_path(), critical_path(on_aws=True)
    least = path.seconds * scale
    rows, bars = [], []
    for who in names(rounds):
        found = numbers(rounds, who, "create", "seconds")
        if not found:
            continue
        share = [
            Summary.of(numbers(rounds, who, "create", what)).show() if numbers(rounds, who, "create", what) else ""
            for what in ("before_steps", "after_steps")
        ]
        rows.append(
            [
                LABELS[who],
                Summary.of(found).show(),
                *share,
                f"{median(found) / least:.2f} ×",
                Summary.of(numbers(rounds, who, "create", "requests")).show(0),
                Summary.of(removal).show() if (removal := numbers(rounds, who, "removal", "seconds")) else "",
            ]
        )
        if who == "warm":
            bars.append(Bar(f"create at {scale:g} of AWS's times, to the critical path", median(found) / least, PATH_BAR))
    parts = [
        conditions(results, "stack"),
        f"Time scale {scale:g}. Critical path: {path}, {path.seconds:g} s on AWS's table, **{least:.1f} s** at this scale. "
        f"On AWS itself it is longer ({on_aws}, {on_aws.seconds:g} s): instances and tasks reach ECS and ECR through the NAT gateways, "
        "which the emulator does not ask of them.",
        table(
            ["create", "seconds", "before the first slow step", "after the last one", "to the critical path", "requests", "removal: seconds"],
            rows,
        ),
        bars_table(bars) if bars else "",
        " ".join(f"{text}." for text in not_measured(result)),
        "Failed: " + "; ".join(failed) + "." if (failed := failures({"parts": {"stack": result}})) else "",
    ]
    return "\n\n".join(filter(None, parts)), bars


def tasks_block(results: dict[str, Any]) -> tuple[str, list[Bar]]:
    """Time of one task."""
    result = results["parts"]["tasks"]
    titles = {"ping": "`ansible.builtin.ping`", "describe": "`amazon.aws.ec2_vpc_net_info`"}
    rows, bars = [], []
    for who in names(result["rounds"]):
        summaries = {name: Summary.of(one[who][name] for one in result["rounds"]) for name in titles}
        rows.append([LABELS[who], *[f"{summary.show(0, 1000)} ms" for summary in summaries.values()]])
        if who == "warm":
            bars = [Bar(titles[name], summaries[name].middle * 1000, limit, "ms") for name, limit in TASK_BARS.items()]
    text = f"A play with {result['tasks'] + 1} tasks less one with a single task, divided by {result['tasks']}."
    return (
        "\n\n".join(
            [
                conditions(results, "tasks"),
                text,
                table(["a task", *titles.values()], rows),
                bars_table(bars) if bars else "",
                " ".join(f"{text}." for text in not_measured(result)),
            ]
        ).strip(),
        bars,
    )


def profile_block(results: dict[str, Any]) -> tuple[str, list[Bar]]:
    """What an unchanged run is made of: CPU time by process, and plays that do nothing. There is nothing to hold."""
    rounds = [one["warm"] for one in results["parts"]["profile"]["rounds"]]
    kinds = {
        "controller": "`ansible-playbook` itself: variables, conditions, what to do next, what it prints",
        "packing": "packing the modules ahead, in the background",
        "workers": "workers, a fork a task: its arguments, its module's start, its result",
        "warm": "the warm process: imports, a fork a module",
        "modules": "modules: clients, requests, comparing",
    }
    rows = [
        [title, str(rounds[-1]["shares"][kind][0]), Summary.of(one["shares"][kind][1] for one in rounds).show()]
        for kind, title in kinds.items()
    ]
    rows.append(["all, with what is not Python's", "", Summary.of(one["cpu"] for one in rounds).show()])
    count = rounds[-1]["tasks"]
    plays = {
        "nothing": "no task",
        "set_fact": f"{count} × `ansible.builtin.set_fact`, no module",
        "ping": f"{count} × `ansible.builtin.ping`, warm",
        "site.yml": f"`site.yml` again, {count} tasks",
    }
    return "\n\n".join(
        [
            conditions(results, "profile"),
            table(["an unchanged run", "processes", "CPU s"], rows),
            table(["a play of", "seconds"], [[title, Summary.of(one["seconds"][name] for one in rounds).show()] for name, title in plays.items()]),
        ]
    ), []


def fleet_block(results: dict[str, Any]) -> tuple[str, list[Bar]]:
    """Many stacks in one run, against one."""
    result = results["parts"]["fleet"]
    rounds, size = result["rounds"], str(result["size"])
    rows, bars = [], []
    for phase in ("create", "no change", "removal"):
        found = {(who, what): numbers(rounds, who, phase, what) for who in ("1", size) for what in ("seconds", "pss", "rss", "requests")}
        if not all(found.values()):
            continue
        times = median(found[size, "seconds"]) / median(found["1", "seconds"])
        added = {what: (median(found[size, what]) - median(found["1", what])) / (result["size"] - 1) for what in ("pss", "rss")}
        rows.append([
            phase, Summary.of(found["1", "seconds"]).show(), Summary.of(found[size, "seconds"]).show(), f"{times:.1f} ×",
            *[f"{median(found['1', what]):.0f} + {added[what]:.0f} a stack" for what in ("pss", "rss")],
            f"{median(found['1', 'requests']):.0f}, {median(found[size, 'requests']):.0f}",
        ])  # fmt: skip
        bars.append(Bar(f"{phase}: {size} stacks to one, time", times, FLEET_TIME_BAR))
        bars.append(Bar(f"{phase}: memory (PSS) a stack more", added["pss"], FLEET_MEMORY_BAR, "MB"))
    head = ["", "seconds, 1 stack", f"seconds, {size} stacks", "ratio", "PSS MB", "RSS MB", "requests"]
    failed = failures({"parts": {"fleet": result}})
    parts = [
        conditions(results, "fleet"),
        f"{size} stacks in {result['regions']} regions, `--forks {size}`, connection `warm`.",
        table(head, rows),
        bars_table(bars) if bars else "",
        "Failed: " + "; ".join(failed) + "." if failed else "",
    ]
    return "\n\n".join(filter(None, parts)), bars


# The plot

ROW, GAP, PANEL, LEFT, TOP = 14, 10, 250, 150, 46


def svg(rounds: list[dict[str, Any]]) -> str:
    """Bars of the medians with lines from the least to the greatest: a panel each for seconds, requests and memory."""
    panels = [("seconds", "seconds"), ("requests", "requests"), ("pss", "peak memory, MB (PSS)")]
    phases = [phase for phase in PHASES if any(numbers(rounds, who, phase, "seconds") for who in names(rounds))]
    y, lines, places = TOP, [], []
    for phase in phases:
        contestants = [who for who in names(rounds) if numbers(rounds, who, phase, "seconds")]
        lines.append(f'<text x="{LEFT - 8}" y="{y + ROW * len(contestants) / 2 + 4}" text-anchor="end">{escape(phase)}</text>')
        for who in contestants:
            places.append((phase, who, y))
            y += ROW
        y += GAP
    for number, (what, title) in enumerate(panels):
        x = LEFT + number * (PANEL + 40)
        found = {(phase, who): Summary.of(numbers(rounds, who, phase, what)) for phase, who, _ in places}
        most = max((summary.greatest for summary in found.values()), default=1) or 1
        lines.append(f'<text x="{x}" y="{TOP - 10}" font-weight="bold">{escape(title)}</text>')
        for phase, who, at in places:
            summary, scale = found[phase, who], (PANEL - 40) / most
            lines.append(f'<rect x="{x}" y="{at}" width="{summary.middle * scale:.1f}" height="{ROW - 3}" fill="{COLORS[who]}"/>')
            lines.append(
                f'<path d="M{x + summary.least * scale:.1f} {at + ROW / 2 - 1.5}H{x + summary.greatest * scale:.1f}" stroke="#777"/>'
            )
            shown, end = f"{summary.middle:,.{int(what == 'seconds')}f}", x + summary.greatest * scale + 4
            lines.append(f'<text x="{end:.1f}" y="{at + ROW - 5}" font-size="10">{shown}</text>')
    for number, who in enumerate(names(rounds)):
        x = LEFT + number * 190
        lines.append(f'<rect x="{x}" y="8" width="10" height="10" fill="{COLORS[who]}"/>')
        lines.append(f'<text x="{x + 14}" y="17">{escape(LABELS[who].replace("`", ""))}</text>')
    width, height = LEFT + len(panels) * (PANEL + 40), y
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12" fill="#222">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(lines)
        + "\n</svg>\n"
    )


def fill(page: str, name: str, text: str) -> str:
    """The page with a text in the place of that name. Raises ValueError where the page has no such place."""
    filled, places = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page, flags=re.DOTALL
    )
    if places != 1:
        raise ValueError(f"the page needs one place <!-- {name} --> ... <!-- /{name} -->, and has {places}")
    return filled


def write(results: dict[str, Any], page: Path) -> list[Bar]:
    """Write all that was measured into the page, and the plot beside it; return the bars."""
    text, judged = page.read_text(), []
    for part in results["parts"]:
        if part == "stack" and not results["time_scale"]:
            plot = page.with_suffix(".svg")
            plot.write_text(svg(results["parts"]["stack"]["rounds"]))
            block, bars = stack_block(results, plot.name)
        elif part == "stack":
            part, (block, bars) = f"waits {results['time_scale']:g}", waits_block(results)
        else:
            block, bars = {"tasks": tasks_block, "fleet": fleet_block, "profile": profile_block}[part](results)
        text = fill(text, part, block)
        judged += bars
    page.write_text(text)
    return judged
