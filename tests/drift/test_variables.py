"""Each variable of the inventory does what it says, and a preview says what it will do.

A run of the tests takes a sample by the seed, VARIABLES=all takes all of them, batch by batch.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runs import SEED, Account, account
from variables import ALL, DECIDES, INITIAL, REFUSED, TRIES, Try, batches, change, options, prepare, refuse, sample, variables_of_the_roles

WANTED = os.environ.get("VARIABLES", "")
EVERYTHING = {f"batch {number}": batch for number, batch in enumerate(batches(TRIES), 1)}
CHOSEN = EVERYTHING if WANTED == "all" else {f"sample {SEED}": sample(SEED)}
REFUSALS = REFUSED if WANTED == "all" else REFUSED[:1]


@pytest.fixture(scope="module")
def settled() -> dict[str, Any]:
    """The values that the stack runs with, which each test moves on."""
    return dict(INITIAL)


@pytest.fixture(scope="module")
def stack(settled: dict[str, Any]) -> Iterator[Account]:
    with tempfile.TemporaryDirectory(prefix="threetier-") as directory, account(Path(directory)) as made:
        prepare(made)
        made.deploy(*options(made, settled))
        yield made


def test_each_variable_is_tried_or_it_is_said_why_not() -> None:
    assert {each.variable for each in ALL} == variables_of_the_roles()


def test_a_variable_that_changes_nothing_is_said_to() -> None:
    assert {each.variable for each in TRIES if not each.changes} == set(DECIDES)


@pytest.mark.parametrize("tried", REFUSALS, ids=lambda tried: tried.variable)
def test_what_aws_cannot_change_is_refused_before_anything_is_written(stack: Account, settled: dict[str, Any], tried: Try) -> None:
    assert refuse(stack, settled, tried) == []


@pytest.mark.parametrize("batch", CHOSEN.values(), ids=CHOSEN.keys())
def test_a_new_value_is_previewed_done_and_then_unchanged(stack: Account, settled: dict[str, Any], batch: list[Try]) -> None:
    assert str(change(stack, settled, batch)) == ""
