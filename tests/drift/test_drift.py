"""The playbook drift.yml: its status, its reports, and that it writes nothing. The tests go through the life of one stack, in their order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from runs import Account, account


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A stack that was just deployed."""
    with account(tmp_path_factory.mktemp("drift")) as stack:
        stack.deploy()
        yield stack


def test_a_stack_as_described_is_no_drift(stack: Account) -> None:
    run = stack.site(book="drift.yml")
    assert run.finished.status == 0, str(run.finished)
    assert (run.report["status"], run.report["changes"], run.writes) == ("as described", [], [])


def test_a_change_by_hand_ends_with_status_2_and_three_reports(stack: Account) -> None:
    stack.client("logs").put_retention_policy(logGroupName="/threetier/demo/web", retentionInDays=1)
    run = stack.site(book="drift.yml")
    assert run.finished.status == 2, str(run.finished)
    assert (run.report["status"], run.writes) == ("drift", [])
    [change] = run.report["changes"]
    assert (change["layer"], change["action"]) == ("service", "change")
    assert change["fields"] == [{"field": "retention_in_days", "before": 1, "after": 30}]
    for suffix in ("txt", "md"):
        assert "retention_in_days" in (stack.directory / "reports" / f"demo.{suffix}").read_text()


def test_what_cannot_be_compared_is_reported_as_failed(stack: Account) -> None:
    run = stack.site("-e", "network_cidr=10.9.0.0/16", book="drift.yml")
    assert run.finished.status == 2, str(run.finished)
    assert (run.report["status"], run.writes) == ("failed", [])
    assert "10.0.0.0/16, and AWS cannot change it to 10.9.0.0/16" in run.report["error"]


def test_the_next_run_repairs_what_the_report_said(stack: Account) -> None:
    reported = stack.preview().resources
    assert reported
    assert stack.deploy().resources == reported
    assert stack.site(book="drift.yml").finished.status == 0
