"""Commands that work on a stack, as a person types them, and a stack on an emulator of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import pytest
from support import CREDENTIALS, REGION, ROOT

TIMEOUT = 1200  # seconds for one command; the longest takes about 90 on an idle machine
TAIL = 80  # lines of a command's output that are worth showing


@dataclass(frozen=True)
class Finished:
    """A command that has ended: its status, and what it said on both its outputs."""

    command: str
    status: int
    output: str

    def __str__(self) -> str:
        return "\n".join([f"`{self.command}` ended with {self.status}; the last it said:", *self.output.splitlines()[-TAIL:]])


def run(command: list[str], environment: dict[str, str]) -> Finished:
    """Run a command in the repository's root. Nothing of it survives when it takes too long or the test is interrupted."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            pytest.fail(str(Finished(" ".join(command), process.returncode, output)))
        raise
    return Finished(" ".join(command), process.returncode, output)


def environment_for(endpoint: str, directory: Path) -> dict[str, str]:
    """What the virtual environment's commands need to work on an emulator, and to leave files in one directory only."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_HOME": f"{directory}/ansible",
        "ANSIBLE_REMOTE_TMP": f"{directory}/ansible/tmp",
        "TMPDIR": str(directory),
        "NO_COLOR": "1",
    }


def playbook(name: str, *arguments: str, environment: dict[str, str]) -> Finished:
    """Run a playbook on the stacks of the local inventory."""
    return run(["ansible-playbook", f"playbooks/{name}", "--inventory", "inventories/local", *arguments], environment)


@dataclass(frozen=True)
class Stack:
    """The stack `demo` on an emulator of its own, which molecule starts and stops."""

    directory: Path
    port: int

    @property
    def endpoint(self) -> str:
        """URL of the emulator."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """For molecule as for ansible-playbook."""
        molecule = {"EMULATOR_PORT": str(self.port), "MOLECULE_EPHEMERAL_DIRECTORY": str(self.directory / "molecule")}
        return environment_for(self.endpoint, self.directory) | molecule

    def molecule(self, step: str) -> Finished:
        """Run a step of the scenario, which must succeed."""
        finished = run(["molecule", step, "--no-command-borders", "--no-report"], self.environment)
        assert finished.status == 0, str(finished)
        return finished

    def playbook(self, name: str, *arguments: str) -> Finished:
        """Run a playbook on the stack."""
        return playbook(name, *arguments, environment=self.environment)

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's account."""
        credentials = {name.lower(): value for name, value in CREDENTIALS.items()}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **credentials)

    def requests(self) -> list[dict[str, Any]]:
        """All requests that the emulator has answered so far."""
        return requests_in(self.directory / "molecule" / "requests.jsonl")

    def inventory(self) -> list[dict[str, Any]]:
        """Everything that exists in the stack's account."""
        with urlopen(f"{self.endpoint}/emulator/inventory", timeout=30) as answer:
            return json.load(answer)

    @property
    def emulator_pid(self) -> int:
        """Process of the emulator; those of the tasks are its children."""
        return int((self.directory / "molecule" / "emulator.pid").read_text())


def requests_in(log: Path) -> list[dict[str, Any]]:
    """The requests of a request log, which has a line for each slow step, too."""
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return [entry for entry in entries if "operation" in entry]


def writes(requests: list[dict[str, Any]]) -> list[str]:
    """Those of the requests that change something, as C(ecs CreateService)."""
    return [f"{request['service']} {request['operation']}" for request in requests if request["access"] == "write"]
