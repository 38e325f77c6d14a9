"""Whatever somebody changes behind Ansible's back is found, named, repaired, and stays repaired."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml
from mutations import EXCEPTIONS, GROUPS, MUTATIONS, REFUSALS, SHOWN_AS, Hand, Mutation, Refusal, is_field, judge, unkept
from runs import SEED, Account, account

from support import ROOT

SAMPLE = 13  # of each of two groups


def batches() -> dict[str, list[Mutation]]:
    """Two samples by the seed; with MUTATIONS=all every group."""
    groups = {group: [mutation for mutation in MUTATIONS if mutation.group == group] for group in GROUPS}
    if os.environ.get("MUTATIONS") == "all":
        return groups
    chance = random.Random(SEED)
    chosen = chance.sample(GROUPS, 2)
    samples = {group: chance.sample(groups[group], min(SAMPLE, len(groups[group]))) for group in chosen}
    # in the table's order: what is deleted may be needed before
    return {f"{group}, seed {SEED}": sorted(sample, key=MUTATIONS.index) for group, sample in samples.items()}


def refusals() -> list[Refusal]:
    """Two of them by the seed; with MUTATIONS=all each."""
    return REFUSALS if os.environ.get("MUTATIONS") == "all" else random.Random(SEED).sample(REFUSALS, 2)


BATCHES = batches()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("mutations")) as made:
        made.deploy()
        yield made


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES.keys())
def test_what_is_changed_by_hand_is_named_repaired_and_stays_repaired(stack, batch):
    hand = Hand(stack.client)
    for mutation in batch:
        mutation.by_hand(hand)
    preview = stack.preview()
    verdict = judge(batch, preview.report)
    assert verdict, f"{verdict}\nThe batch:\n" + "\n".join(map(str, batch))
    run = stack.deploy()
    assert not unkept(preview.report, run.report)
    assert stack.deploy().report["changes"] == []


@pytest.mark.parametrize("refusal", refusals(), ids=str)
def test_what_a_person_must_decide_is_refused_and_nothing_is_written(stack, refusal):
    hand = Hand(stack.client)
    refusal.by_hand(hand)
    run = stack.site("--tags", refusal.layer)
    refusal.undo(hand)
    assert run.finished.status != 0
    assert refusal.says in run.report["error"]
    assert run.writes == []


@pytest.mark.parametrize("group", GROUPS)
def test_mutations_of_a_group_do_not_touch_each_other(group):
    found = [mutation.found for mutation in MUTATIONS if mutation.group == group]
    of_each = Counter((change.kind, change.name) for change in found)
    assert all(of_each[change.kind, change.name] == 1 for change in found if change.verb != "change")
    assert len({(change.kind, change.name, change.field) for change in found}) == len(found)


def tasks(listed: list[dict[str, Any]] | None) -> Iterator[dict[str, Any]]:
    for task in listed or []:
        yield task
        yield from tasks(task.get("block"))


def options(documented: dict[str, Any], given: dict[str, Any] | None, text: str, before: str) -> Iterator[str]:
    """The options that a role gives to a module, those in lists too: of these, C(text), all that the role says, tells which."""
    for name, option in documented.items():
        names = {name, *option.get("aliases", [])}
        if names & given.keys() if given is not None else any(re.search(rf"\b{each}['\"]?:", text) for each in names):
            yield f"{before}.{name}"
            yield from options(option.get("suboptions", {}), None, text, f"{before}.{name}")


def given_options() -> set[str]:
    found = set()
    for role in (ROOT / "roles").iterdir():
        text = "\n".join(path.read_text() for part in ("tasks", "vars") for path in (role / part).glob("*.yml"))
        for path in (role / "tasks").glob("*.yml"):
            for task in tasks(yaml.safe_load(path.read_text())) if not path.name.startswith("absent") else []:
                for module, given in task.items():
                    if module.startswith("threetier.aws."):
                        module = module.removeprefix("threetier.aws.")
                        source = (ROOT / "plugins" / "modules" / f"{module}.py").read_text()
                        documented = yaml.safe_load(re.search(r'DOCUMENTATION = r"""(.*?)"""', source, re.DOTALL)[1]).get("options", {})
                        found |= {*options({**documented, "tags": {}}, given or {}, text, module)}
    return found


def words(path: str) -> list[str]:
    """The words of a path, each in small letters alone: C(MinSize) and C(min_size) are the same."""
    return [re.sub(r"\W|_", "", word).lower() for word in re.split(r"[. ]", path)]


def is_mutated(option: str, given: set[str]) -> bool:
    module, _, name = option.partition(".")
    fields = {mutation.found.field for mutation in MUTATIONS if mutation.found.kind == module}
    # an option with options in it counts by these, one in a field as a whole by that
    shown_as = SHOWN_AS.get(option) or SHOWN_AS.get(option.rpartition(".")[0])
    return (
        any(other.startswith(f"{option}.") for other in given)
        or any(words(name)[-1] in words(field) for field in fields)
        or (shown_as is not None and any(is_field(shown_as, field) for field in fields))
        or (words(name)[-1] == "tags" and any("tag " in field for field in fields))
    )


def test_each_option_that_a_role_gives_is_mutated_or_excused():
    given = given_options()
    left = [option for option in sorted(given) if not is_mutated(option, given)]
    assert not [option for option in left if not any(fnmatchcase(option, each) for each in EXCEPTIONS)]
