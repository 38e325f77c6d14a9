"""Makes every mutation, batch by batch, and writes docs/drift-mutations.md: what was found, repaired, and unchanged after.

The stack is that of the local inventory, on an emulator of its own. It takes about a minute a batch on an idle machine, and ends with status 1
where one of the three is missing, or something happens that nobody caused.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "drift")]

from mutations import GROUPS, MUTATIONS, REFUSALS, UNSEEN, Hand, Mutation, Refusal, judge, named, unkept  # noqa: E402
from runs import Account, account  # noqa: E402

PAGE = ROOT / "docs" / "drift-mutations.md"
VERBS = {"change": "changed", "replace": "changed", "create": "deleted", "delete": "made"}
HEAD = """# Changes by hand, found and repaired

Written by `.venv/bin/python tests/drift/mutation_table.py`; `tests/drift/test_mutations.py` checks a sample of it at each test run.

Each line is something that a person can do to the stack `demo` behind Ansible's back, on the emulator. *Found*: a preview (`--check`) names
the resource and the field, and nothing that nobody touched. *Repaired*: the run does what the preview said. *Unchanged after*: one more
run finds nothing to do.

"""


@dataclass(frozen=True)
class Line:
    mutation: Mutation
    found: bool
    repaired: bool
    unchanged: bool

    @property
    def cells(self) -> list[str]:
        change = self.mutation.found
        what = f"`{change.field}`" if change.verb in ("change", "replace") else f"the whole, {VERBS[change.verb]}"
        return [change.layer, f"{change.kind} `{change.name}`", what, *("yes" if each else "**no**" for each in self.columns)]

    @property
    def columns(self) -> tuple[bool, bool, bool]:
        return self.found, self.repaired, self.unchanged


def made(stack: Account, batch: list[Mutation]) -> tuple[list[Line], list[str]]:
    """One batch, from the hand to the third run; and what is wrong with it beyond its lines."""
    hand = Hand(stack.client)
    for mutation in batch:
        mutation.by_hand(hand)
    preview, run, after = stack.preview(), stack.deploy(), stack.deploy()
    verdict = judge(batch, preview.report)
    lines = [Line(each, each in verdict.found, named(each.found, run.report), not named(each.found, after.report)) for each in batch]
    left = [f"left: {change['kind']} {change['name']}" for change in after.report["changes"]]
    return lines, [*(f"nobody caused: {each}" for each in verdict.uncaused), *unkept(preview.report, run.report), *left]


def refused(stack: Account, refusal: Refusal) -> bool:
    hand = Hand(stack.client)
    refusal.by_hand(hand)
    run = stack.site("--tags", refusal.layer)
    refusal.undo(hand)
    return run.finished.status != 0 and refusal.says in run.report["error"] and run.writes == []


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]]


def page(lines: list[Line], refusals: dict[Refusal, bool]) -> str:
    ordered = sorted(lines, key=lambda line: MUTATIONS.index(line.mutation))
    totals = [sum(column) for column in zip(*(line.columns for line in lines), strict=True)]
    text = [f"Of {len(lines)} changes, {totals[0]} were found, {totals[1]} repaired, and of {totals[2]} nothing was left.", ""]
    text += table(["layer", "resource", "attribute", "found", "repaired", "unchanged after"], [line.cells for line in ordered])
    text += ["", "## Not found", "", "What nobody looks at, and why.", ""]
    text += table(
        ["layer", "resource", "attribute", "why"],
        [[each.layer, f"{each.kind} `{each.name}`", each.field, why] for each, why in UNSEEN.items()],
    )
    text += ["", "## Refused", "", "What only a person can decide about, a run refuses in words, and writes nothing.", ""]
    rows = [[each.layer, each.what, f"{each.says} …", "yes" if is_refused else "**no**"] for each, is_refused in refusals.items()]
    return HEAD + "\n".join([*text, *table(["layer", "what happened", "the run says", "refused"], rows)]) + "\n"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="mutations-") as directory, account(Path(directory)) as stack:
        print("deploying the stack", flush=True)
        stack.deploy()
        lines: list[Line] = []
        wrong: list[str] = []
        for group in GROUPS:
            batch = [mutation for mutation in MUTATIONS if mutation.group == group]
            print(f"{group}: {len(batch)} mutations", flush=True)
            of_batch, beyond = made(stack, batch)
            lines, wrong = lines + of_batch, wrong + beyond
        refusals = {}
        for refusal in REFUSALS:
            print(refusal, flush=True)
            refusals[refusal] = refused(stack, refusal)
    PAGE.write_text(page(lines, refusals))
    print(f"wrote {PAGE.relative_to(ROOT)}", *wrong, sep="\n")
    return 0 if all(all(line.columns) for line in lines) and all(refusals.values()) and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
