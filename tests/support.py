"""What tests of all kinds share by name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import ClientError

ROOT = Path(__file__).parent.parent
REGION = "eu-central-1"
# Long on purpose: Ansible masks the values of secrets in all output, and a short one would mask ordinary words.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "emulator-access-key", "AWS_SECRET_ACCESS_KEY": "emulator-secret-key"}


class ModuleFailed(Exception):
    """A module ended with fail_json; the message is the module's own."""


def refusal(code: str, message: str = "not now") -> ClientError:
    """AWS's error of this code, for a test to raise in its place."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "Any")


@contextmanager
def emulator(log: Path, *options: str) -> Iterator[str]:
    """URL of an emulator with its own request log and options; it is gone afterwards, and had nothing of this shell's account."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "--port", "0", "--request-log", log, *options],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout:  # it says one line, and no more
        line = process.stdout.readline()
    try:
        assert line.startswith("ready: "), f"the emulator said {line!r}"
        yield line.removeprefix("ready: ").strip()
    finally:
        process.terminate()
        status = process.wait(timeout=20)
    assert status == 0
