"""Kill the run after each of its writes, and write down what the next ones make of it: C(python tests/drift/kill_sweep.py [POINT ...]).

Two points at a time; an hour and a half for all of them on two cores. Writes docs/killed.md, unless points are named.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from kills import Undisturbed, Verdict, judged  # noqa: E402
from runs import account  # noqa: E402

PAGE = ROOT / "docs" / "killed.md"
HEAD = """\
# Killed at any moment

Written by `make kill-sweep`. For each write of a deployment of [inventories/local](../inventories/local/hosts.yml), on an empty account of
its own: the run is killed with SIGKILL, all its processes at once, when AWS has carried out that write and has not answered yet. Then the
next run and the one after that are held against what an undisturbed run makes. What the preview says of such an account is tested on a
sample of these points, in [test_killed.py](../tests/drift/test_killed.py).

- *converged*: the next run succeeds, and then all is there that an undisturbed run makes, with the same names and tags.
- *none doubled*: and nothing more, NAT gateways, elastic addresses, task definition revisions and launch template versions included.
- *unchanged after*: the run after that changes nothing, and the page answers.

"""
COLUMNS = ["converged", "none doubled", "unchanged after"]


def main() -> int:
    named = [int(argument) for argument in sys.argv[1:]]
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-") as directory, ThreadPoolExecutor(2) as threads:
        with account(Path(directory, "undisturbed")) as one:
            undisturbed = Undisturbed.of(one)
        points = named or range(1, len(undisturbed.writes) + 1)
        judgements = {threads.submit(judge, Path(directory), point, undisturbed): point for point in points}
        verdicts = []
        for done in as_completed(judgements):
            try:
                verdict = done.result()
            except Exception as error:  # one point must not take the others along
                verdict = Verdict(judgements[done], "?", converged=[repr(error)])
            verdicts.append(verdict)
            word = "; ".join(verdict.broken) or "as an undisturbed run"
            passed = f"{len(verdicts)}/{len(points)}, {time.monotonic() - start:.0f} s"
            print(f"{passed}: after {verdict.point} {verdict.operation}: {word}", flush=True)
            verdicts.sort(key=lambda verdict: verdict.point)
            if not named:  # each time, so that a sweep that is cut off leaves what it has seen
                PAGE.write_text(HEAD + "\n".join(table(verdicts, len(points))) + "\n", encoding="utf-8")
    return any(verdict.broken for verdict in verdicts)


def judge(directory: Path, point: int, undisturbed: Undisturbed) -> Verdict:
    with account(directory / str(point)) as one:
        return judged(one, point, undisturbed, previewed=False)


def table(verdicts: list[Verdict], points: int) -> Iterable[str]:
    kept = sum(not verdict.broken for verdict in verdicts)
    yield f"{kept} of {len(verdicts)} kill points end as an undisturbed run does; a deployment has {points}.\n"
    yield f"| | killed after | {' | '.join(COLUMNS)} |"
    yield "|--:|---|---|---|---|"
    for verdict in verdicts:
        cells = ["no" if broken else "yes" for broken in (verdict.converged, verdict.doubled, verdict.unchanged)]
        yield f"| {verdict.point} | {verdict.operation} | {' | '.join(cells)} |"
    for verdict in verdicts:
        if verdict.broken:
            yield f"\n**{verdict.point}, {verdict.operation}**\n"
            yield from (f"- {' '.join(sentence.split())[:300]}" for sentence in verdict.broken)


if __name__ == "__main__":
    sys.exit(main())
