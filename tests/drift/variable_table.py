"""Change each variable of the inventory and write docs/drift-variables.md: `python tests/drift/variable_table.py`, some ten minutes.

Ends with status 1 where a preview misses something, a run does other than it said, or the run after has something left to do.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from runs import Account, account  # noqa: E402
from variables import ALL, DECIDES, INITIAL, REFUSED, TRIES, VERBS, Fixed, Outcome, Try, Verdict  # noqa: E402
from variables import batches, change, options, prepare, refuse  # noqa: E402

PAGE = ROOT / "docs" / "drift-variables.md"
HEAD = """# Each variable, changed

What happens when a variable of the inventory gets another value. Written by `python tests/drift/variable_table.py`, which deploys
[inventories/local](../inventories/local/hosts.yml) on the [emulator](../emulator/README.md) and changes one variable after the other, those
that do not touch each other together.

- **found**: the preview (`--check --diff`) names each of the resources and fields, nothing that nobody asked for, and writes nothing.
- **done**: the run does exactly that.
- **unchanged**: the run after finds all as it is described, and writes nothing.

"""


def main() -> int:
    found: dict[Try, Outcome] = {}
    refusals: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="threetier-") as directory, account(Path(directory)) as stack:
        settled = dict(INITIAL)
        prepare(stack)
        stack.deploy(*options(stack, settled))
        for tried in REFUSED:
            refusals[tried.variable] = refuse(stack, settled, tried)
            say(f"{tried.variable} = {tried.written}: refused", refusals[tried.variable])
        groups = batches(TRIES)
        for number, batch in enumerate(groups, 1):
            since = time.monotonic()
            outcome = attempt(stack, settled, batch)
            say(f"batch {number} of {len(groups)}, {len(batch)} variables, {time.monotonic() - since:.0f} s", str(outcome).splitlines())
            found |= dict.fromkeys(batch, outcome)
    PAGE.write_text(page(found, refusals))
    print(f"{PAGE.relative_to(ROOT)} written")
    return 1 if any(map(str, found.values())) or any(refusals.values()) else 0


def attempt(stack: Account, settled: dict[str, Any], batch: list[Try]) -> Outcome:
    """A batch's outcome; where a run failed, that none of its values is as it should be."""
    try:
        return change(stack, settled, batch)
    except AssertionError as error:
        return Outcome([Verdict(each, list(each.changes), list(each.changes), []) for each in batch], [str(error)])


def say(what: str, problems: list[str]) -> None:
    print(f"{what}: {'ok' if not problems else ''}", *problems, sep="\n  " if problems else "", flush=True)


def page(found: dict[Try, Outcome], refusals: dict[str, list[str]]) -> str:
    verdicts = {verdict.tried: verdict for outcome in found.values() for verdict in outcome.verdicts}
    counts = [sum(not getattr(verdict, wrong) for verdict in verdicts.values()) for wrong in ("missing", "undone", "again")]
    refused = sum(not problems for problems in refusals.values())
    lines = [
        f"{len({each.variable for each in ALL})} variables, {len(verdicts)} changes of them in {len(set(found.values()))} batches: "
        f"{counts[0]} found, {counts[1]} done, {counts[2]} unchanged after. "
        f"{refused} of {len(refusals)} that AWS cannot change are refused before anything is written.\n",
        "| variable | new value | decides | found | done | unchanged |",
        "|---|---|---|---|---|---|",
    ]
    for each in TRIES:
        marks = " | ".join("no" if getattr(verdicts[each], wrong) else "yes" for wrong in ("missing", "undone", "again"))
        lines.append(f"| `{each.variable}` | `{cell(each.written)}` | {decided(each)} | {marks} |")
    lines += ["\n## Refused\n", "| variable | new value | says | refused |", "|---|---|---|---|"]
    for each in REFUSED:
        verdict = "no" if refusals[each.variable] else "yes"
        lines.append(f"| `{each.variable}` | `{cell(each.written)}` | … {each.refused} … | {verdict} |")
    lines += ["\n## Not tried\n", "| variable | why |", "|---|---|"]
    lines += [f"| `{each.variable}` | {each.why} |" for each in ALL if isinstance(each, Fixed)]
    problems = [problem for outcome in dict.fromkeys(found.values()) for problem in outcome.problems]
    problems += [f"{variable}: {problem}" for variable, those in refusals.items() for problem in those]
    if problems:
        lines += ["\n## What is wrong\n", *(f"- {problem.splitlines()[0]}" for problem in problems)]
    return HEAD + "\n".join(lines) + "\n"


def decided(each: Try) -> str:
    """The resources, each with its fields or what happens to it."""
    if not each.changes:
        return DECIDES[each.variable]
    by_resource: dict[tuple[str, str], list[str]] = {}
    for line in each.changes:
        by_resource.setdefault((line.kind, line.what), []).append(line.name)
    return "; ".join(
        f"{kind} {', '.join(map(quoted, names))}: {what if what in VERBS else quoted(what)}" for (kind, what), names in by_resource.items()
    )


def quoted(text: str) -> str:
    return f"`{text}`"


def cell(text: str) -> str:
    return text.replace("|", "\\|") or '""'


if __name__ == "__main__":
    sys.exit(main())
