"""What tests of modules share: which requests a module sends, and answers in AWS's place."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.client import BaseClient


@pytest.fixture
def answers() -> dict[str, list[Any]]:
    """By operation, one for each request: exceptions to raise and answers to give in AWS's place, and functions of AWS's answer."""
    return {}


@pytest.fixture
def sent() -> list[tuple[str, dict[str, Any]]]:
    """With C(requests): the same, each with its request."""
    return []


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[Any]], sent: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """The operations that are asked for, in their order. Nobody waits between two of them."""
    made, make = [], BaseClient._make_api_call

    def call(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
        made.append(operation)
        sent.append((operation, request))
        answer = answers[operation].pop(0) if answers.get(operation) else lambda given: given
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, dict) else answer(make(client, operation, request))

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return made
