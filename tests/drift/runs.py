"""A stack on an emulator of its own, with what each run of a playbook said about each resource."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
from commands import Finished, environment_for, playbook, requests_in, writes
from support import CREDENTIALS, REGION, emulator

# What a test run takes of the sweeps; another seed takes others. The same every time, so that a failure is the change's and not the day's.
SEED = int(os.environ.get("DRIFT_SEED", "16"))
# The role verify adds an item through the page and deletes it again: the api tier's task does that, not the deployment.
WRITES_OF_THE_PAGE = {"dynamodb PutItem", "dynamodb DeleteItem"}


@dataclass(frozen=True)
class Run:
    """A run that has ended: what it said, its report (see the callback change_summary), and the writes that it sent."""

    finished: Finished
    report: dict[str, Any]
    writes: list[str]

    @property
    def resources(self) -> dict[tuple[str, str, str], str]:
        """What happened to each resource: create, change, replace or delete, by layer, kind and name."""
        return {(change["layer"], change["kind"], change["name"]): change["action"] for change in self.report["changes"]}

    @property
    def fields(self) -> set[tuple[str, str, str]]:
        """What changed, as (kind, name, path of the field)."""
        return {(change["kind"], change["name"], each["field"]) for change in self.report["changes"] for each in change["fields"]}

    def ok(self) -> Run:
        """This run, which must not have failed."""
        assert self.finished.status == 0, str(self.finished)
        return self


@dataclass(frozen=True)
class Account:
    """An emulated account, and the stack `demo` of the local inventory in it."""

    endpoint: str
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """For ansible-playbook. Nothing else on the machine has the same one."""
        return environment_for(self.endpoint, self.directory) | {"THREETIER_REPORT_DIRECTORY": f"{self.directory}/reports"}

    def site(self, *arguments: str, book: str = "site.yml") -> Run:
        """Run a playbook to its end, as a person does."""
        reports, before = self.directory / "reports", len(self.requests())
        (reports / "demo.json").unlink(missing_ok=True)
        finished = playbook(book, *arguments, environment=self.environment)
        assert (reports / "demo.json").exists(), str(finished)
        return Run(finished, json.loads((reports / "demo.json").read_text()), writes(self.requests()[before:]))

    def preview(self, *arguments: str) -> Run:
        """Preview the stack, which must write nothing, whatever there is."""
        run = self.site("--check", "--diff", *arguments)
        assert run.writes == [], f"a preview wrote {run.writes}"
        return run.ok()

    def deploy(self, *arguments: str) -> Run:
        return self.site(*arguments).ok()

    @cache  # noqa: B019 an account lives as long as its test
    def client(self, service: str) -> Any:
        credentials = {name.lower(): value for name, value in CREDENTIALS.items()}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **credentials)

    def requests(self) -> list[dict[str, Any]]:
        return requests_in(self.directory / "requests.jsonl")

    def inventory(self) -> list[dict[str, Any]]:
        """Everything that exists in the account."""
        return self.own("inventory")

    def own(self, path: str) -> Any:
        """What one of the emulator's own paths answers."""
        with urlopen(f"{self.endpoint}/emulator/{path}", timeout=30) as answer:
            return json.load(answer)

    def tell(self, path: str, value: Any) -> Any:
        """Send a value to one of the emulator's own paths."""
        with urlopen(Request(f"{self.endpoint}/emulator/{path}", data=json.dumps(value).encode(), method="POST"), timeout=30) as answer:
            return json.load(answer)


@contextmanager
def account(directory: Path, time_scale: float = 0) -> Iterator[Account]:
    """An account with nothing in it. Nothing of it is left at the end, whatever happened."""
    directory.mkdir(parents=True, exist_ok=True)
    with emulator(directory / "requests.jsonl", "--time-scale", str(time_scale)) as url:
        yield Account(url, directory)
