"""The pure parts of the benchmark: what it computes from numbers, and what it writes. Nothing is measured."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.bench import report
from tests.bench.critical_path import STAGES, Stage, critical_path
from tests.bench.stack import idle_seconds, shares

SECONDS = {"short": 1, "middle": 5, "long": 20}


def phase(seconds: float, requests: int, memory: float = 100, **more: Any) -> dict[str, Any]:
    """What was measured of one phase."""
    sizes = {"pss": memory, "rss": memory, "idle": 0, "cpu": 1, "load": 0.1, "clean": True, "services": {"ec2": requests}}
    return {"seconds": seconds, "requests": requests, **sizes, **more}


def results(ours: list[float]) -> dict[str, Any]:
    """A run of the stack with so many rounds, in which creation took the collection so long, and Terraform 80 seconds."""
    rounds = [
        {
            "warm": {
                "phases": {"create": phase(seconds, 200), "no change": phase(2, 60), "removal": phase(5, 90)},
                "resources": {"ec2": 50},
            },
            "terraform": {
                "phases": {"create": phase(80, 400, 700, idle=66), "no change": phase(8, 160), "removal": phase(20, 300)},
                "resources": {"ec2": 48},
            },
        }
        for seconds in ours
    ]
    machine = {"processor": "some", "cores": 2, "memory_gib": 8, "system": "Linux", "versions": {"Python": "3.11"}}
    return {"date": "2030-01-01", "time_scale": 0, "machine": machine, "parts": {"stack": {"rounds": rounds}}}


def test_the_critical_path_is_the_longest_chain_and_not_the_longest_step() -> None:
    stages = {
        "long": Stage(("long",)),
        "chain": Stage(("middle", "middle"), ("long", "first")),
        "first": Stage(("short",)),
        "alone": Stage(("long", "middle")),
        "end": Stage((), ("chain", "alone")),
    }
    path = critical_path(stages, "end", seconds=SECONDS)
    assert (path.seconds, path.stages) == (30, ("long", "chain", "end"))


def test_what_only_aws_asks_for_lengthens_only_the_path_on_aws() -> None:
    stages = {"gateway": Stage(("long",)), "end": Stage(("short",), (), ("gateway",))}
    assert critical_path(stages, "end", seconds=SECONDS).seconds == 1
    assert critical_path(stages, "end", seconds=SECONDS, on_aws=True).seconds == 21


def test_the_stack_s_own_path_uses_steps_that_the_emulator_knows_and_leaves_no_stage_out() -> None:
    assert 0 < critical_path().seconds <= critical_path(on_aws=True).seconds
    reached, todo = set(), ["page"]
    while todo:
        reached.add(name := todo.pop())
        todo += STAGES[name].after + STAGES[name].only_on_aws
    assert reached == set(STAGES)


def test_a_summary_is_of_the_median_and_shows_one_number_where_all_agree() -> None:
    assert report.Summary.of([9, 1, 2, 4]) == report.Summary(1, 3, 9)
    assert report.Summary.of([9, 1, 2]).show() == "1.0 / **2.0** / 9.0"
    assert report.Summary.of([5, 5]).show(0) == "5"


def test_bars_are_ratios_of_medians_and_say_whether_they_are_met() -> None:
    bars = {bar.what: bar for bar in report.against_terraform(results([10, 16, 99])["parts"]["stack"]["rounds"])}
    assert bars["create: time"].value == 16 / 80 and bars["create: time"].met
    work = bars["create: time, to Terraform's without its sleeps"]
    assert work.value == 16 / (80 - 66) and not work.met
    assert bars["no change: requests"].value == 60 / 160
    assert bars["peak memory (PSS) of all phases"].value == 100 / 700


def test_a_contestant_that_failed_leaves_its_bars_out_and_is_named() -> None:
    found = results([10])
    found["parts"]["stack"]["rounds"][0]["terraform"] = {"phases": {}, "failed": "create: status 1, Error: no\nmuch more"}
    assert report.against_terraform(found["parts"]["stack"]["rounds"]) == []
    assert report.failures(found) == ["stack, round 1, terraform: create: status 1, Error: no"]
    found["parts"]["stack"]["rounds"][0]["warm"]["left"] = {"ec2": 1}
    assert len(report.failures(found)) == 2


def test_only_what_was_measured_is_written_into_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- stack -->\nold\n<!-- /stack -->\n<!-- waits 0.05 -->\nkept\n<!-- /waits 0.05 -->\n")
    report.write(results([10]), page)
    text = page.read_text()
    assert "old" not in text and "kept" in text and text.startswith("before\n<!-- stack -->\n")
    assert "| create: time | 0.12 × | 0.25 × | met |" in text
    assert page.with_suffix(".svg").read_text().count("<rect") == 1 + 2 + 3 * 6  # paper, legend, three panels of six bars
    again = copy.deepcopy(text)
    report.write(results([10]), page)
    assert page.read_text() == again


def test_a_page_without_a_place_for_what_was_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="needs one place <!-- fleet -->"):
        report.fill("nothing", "fleet", "text")


def test_a_contestant_sleeps_only_while_it_waits_for_no_request() -> None:
    assert idle_seconds([(0, 1), (1, 2), (2, 3)], [(0.8, 1.4)]) == 1


def test_cpu_time_is_told_apart_by_whose_child_a_process_was() -> None:
    account = """
    21 10 ansible 0.5
    90 21 ansible 3
    22 10 ansible 0.25
    10 1 ansible 2
    31 30 warm 0.125
    32 30 warm 0.25
    32 30 warm 0.5
    30 29 warm 1.5
    """
    found = shares(account.strip())
    assert found == {"controller": (1, 2), "packing": (1, 3), "workers": (2, 0.75), "warm": (1, 1.5), "modules": (2, 0.625)}
