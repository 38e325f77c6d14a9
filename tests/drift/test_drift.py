"""The playbook drift.yml: its status, its reports, and that it writes nothing. The tests go through the life of one stack, in their order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from runs import Account, account
from support import ROOT


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


def test_a_job_of_awx_says_the_same(stack: Account) -> None:
    # AWX runs its jobs with ansible-runner: on a terminal of its own, and with a callback that makes an event of each result.
    job = stack.directory / "job"
    command = ["ansible-runner", "run", str(job), "--playbook", "playbooks/drift.yml", "--project-dir", str(ROOT), "--ident", "1", "-vvv"]
    finished = run([*command, "--inventory", str(ROOT / "inventories" / "local")], stack.environment)
    assert finished.status == 0, str(finished)
    assert "demo: all" in finished.output and " resources are as described" in finished.output
    assert "> WARM " in finished.output
    events = [json.loads(file.read_text())["event"] for file in (job / "artifacts" / "1" / "job_events").glob("*.json")]
    assert events.count("runner_on_ok") > 40 and "runner_on_failed" not in events
    end = time.monotonic() + 10  # it notices that its controller is gone, and ends by itself
    while (left := warm_processes(stack)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def warm_processes(stack: Account) -> list[str]:
    """Those that serve the runs of this account, by their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = str(stack.directory).encode() in (process / "environ").read_bytes()
            if ours and b"warm_server" in (process / "cmdline").read_bytes():
                found.append(process.name)
        except OSError:
            continue  # it has just ended
    return found


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
