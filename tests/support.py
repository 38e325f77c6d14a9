"""What tests of all kinds share by name."""

from __future__ import annotations

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
