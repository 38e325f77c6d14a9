"""A run that is killed after any of its writes, and run again, ends as an undisturbed one: a sample here, all of them in kill_sweep.py."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from kills import Undisturbed, judged
from runs import SEED, account

SAMPLE = 1
# "3 57" or "1,2,3": the writes to kill after, instead of a sample.
NAMED = [int(point) for point in os.environ.get("KILL_POINTS", "").replace(",", " ").split()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    with account(tmp_path_factory.mktemp("undisturbed")) as one:
        return Undisturbed.of(one)


def chosen(part: int, writes: int) -> int:
    """A write of this part of the run."""
    return random.Random(f"{SEED} {part}").randint(part * writes // SAMPLE + 1, (part + 1) * writes // SAMPLE)


@pytest.mark.parametrize("place", NAMED or [f"seed {SEED}, part {part}" for part in range(SAMPLE)])
def test_a_killed_run_is_made_good_by_the_next(place: int | str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    point = place if isinstance(place, int) else chosen(int(place.rpartition(" ")[2]), len(undisturbed.writes))
    with account(tmp_path) as one:
        verdict = judged(one, point, undisturbed)
    again = f"KILL_POINTS={point} pytest {Path(__file__).name}"
    assert not verdict.broken, f"killed after write {point}, {verdict.operation} (again: {again}):\n" + "\n".join(verdict.broken)
