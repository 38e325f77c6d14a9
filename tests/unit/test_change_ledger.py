"""What a run did to each resource, as people and programs read it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.threetier.aws.plugins.plugin_utils.change_ledger import Ledger, as_markdown, as_text, field_changes, write_reports

NOTHING = {"created": [], "changed": [], "replaced": [], "deleted": [], "unchanged": []}


def result(before=None, after=None, **changes):
    """What a module of the collection returns."""
    return {"changes": NOTHING | changes, "diff": {"before": before or {}, "after": after or {}}}


@pytest.fixture
def ledger():
    """A preview that found one of each."""
    ledger = Ledger("demo", preview=True, seconds={"network": 1.0, "service": 0.5})
    ledger.add("network", "vpc_subnets", result(after={"demo-a": {"cidr": "10.0.0.0/24"}}, created=["demo-a"], unchanged=["demo-b", "demo-c"]))
    ledger.add("service", "ecs_service", result({"web": {"tag team": "x"}}, {"web": {"tag team": None}}, changed=["web"]))
    return ledger


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ({"size": 1, "same": 2}, {"size": 3, "same": 2}, {"size": (1, 3)}),
        ({"check": {"path": "/a", "port": 1}}, {"check": {"path": "/b", "port": 1}}, {"check.path": ("/a", "/b")}),
        ({"rules": {"tcp 22": {"open": True}}}, {"rules": {"tcp 22": None}}, {"rules.tcp 22.open": (True, None)}),
        ({"subnets": ["a", "b"]}, {"subnets": ["a"]}, {"subnets": (["a", "b"], ["a"])}),
        (None, {"tags": {"team": "x"}}, {"tags.team": (None, "x")}),
        ({"policy": {"a": 1}}, {"policy": "none"}, {"policy": ({"a": 1}, "none")}),
    ],
)
def test_a_field_is_told_by_its_path_with_both_values(before, after, fields):
    assert dict(field_changes(before, after)) == fields


def test_a_resource_of_two_tasks_is_one_resource(ledger):
    """A cluster is made by one task and given its capacity by another: it is created, whatever the second one says."""
    ledger.add("cluster", "ecs_cluster", result(after={"demo": {"tags": {}}}, created=["demo"]))
    ledger.add("cluster", "ecs_cluster", result({"demo": {"providers": []}}, {"demo": {"providers": ["FARGATE"]}}, changed=["demo"]))
    ledger.add("cluster", "ecs_cluster", result(unchanged=["demo"]))
    assert [ledger.count(action, "cluster") for action in ("created", "changed", "unchanged")] == [1, 0, 0]


def test_a_resource_that_leaves_in_two_steps_is_deleted(ledger):
    ledger.add("cluster", "ecs_cluster", result({"demo": {"providers": ["FARGATE"]}}, {"demo": {"providers": []}}, changed=["demo"]))
    ledger.add("cluster", "ecs_cluster", result({"demo": {"tags": {}}}, deleted=["demo"]))
    assert [ledger.count(action, "cluster") for action in ("changed", "deleted")] == [0, 1]


def test_a_preview_lists_each_resource_and_each_field(ledger):
    text = as_text(ledger)
    assert text.startswith("demo: 1 to create, 1 to change, 2 as described (1.5 s)\n")
    assert "  + network: vpc_subnets demo-a\n  ~ service: ecs_service web\n      tag team: x → null\n" in text


def test_a_run_counts_by_layer_and_an_unchanged_one_says_one_line(ledger):
    ledger.preview = False
    rows = [line.split() for line in as_text(ledger).splitlines()[2:]]
    assert rows == [["network", "1", "2", "1.0"], ["service", "1", "0.5"]]
    ledger.changes.clear()
    assert as_text(ledger) == "demo: all 2 resources are as described (1.5 s)"


def test_a_failure_is_no_match(ledger):
    ledger.changes.clear()
    assert ledger.status == "as described"
    ledger.error = "Table: no"
    assert (ledger.status, as_text(ledger)) == ("failed", "demo: failed after 1.5 s\n  Table: no")


def test_the_report_says_who_is_affected_and_how_to_repair(ledger, tmp_path):
    write_reports(ledger, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["demo.json", "demo.md", "demo.txt"]
    report = json.loads((tmp_path / "new/demo.json").read_text())
    assert report["status"] == "drift"
    service = report["changes"][1]
    assert service["fields"] == [{"field": "tag team", "before": "x", "after": None}]
    assert service["repair"] == "ansible-playbook playbooks/site.yml --limit demo --tags service"
    assert service["affects"] in as_markdown(ledger)
    assert "| ~ | ecs_service `web` | `tag team` | `x` |  |" in as_markdown(ledger)
