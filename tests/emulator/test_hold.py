"""The answer of a write can be held back: what is sent meanwhile is never carried out."""

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from service_stack import Emulator, wait_for


def hold(emulator: Emulator, writes: int | None) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{emulator.url}/emulator/hold", data=json.dumps(writes).encode(), method="POST")).close()


def held(emulator: Emulator) -> bool:
    with urllib.request.urlopen(f"{emulator.url}/emulator/hold") as answer:
        return json.load(answer)["held"]


def client(emulator: Emulator, service: str) -> Any:
    """One that gives up at once, and tells AWS where it runs."""
    config = Config(retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    return boto3.Session(region_name="eu-central-1", **keys).client(service, endpoint_url=emulator.url, config=config)


def test_the_write_of_that_number_is_carried_out_and_what_waits_behind_it_is_not(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sns = client(emulator, "sns")
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")
    of_a_task = client(emulator, "sns")
    sns.list_topics()
    before = len(emulator.requests())
    hold(emulator, 2)
    with ThreadPoolExecutor() as threads:
        try:
            sns.create_topic(Name="first")
            sns.list_topics()
            of_a_task.create_topic(Name="own")
            assert not held(emulator)
            second = threads.submit(sns.create_topic, Name="second")
            wait_for(lambda: held(emulator))
            waiting = [threads.submit(sns.create_topic, Name="third"), threads.submit(sns.list_topics)]
            time.sleep(0.5)  # until they have arrived; nothing tells
            assert len(of_a_task.list_topics()["Topics"]) == 3
            assert not second.done()
        finally:
            hold(emulator, None)
        assert second.result()["TopicArn"].endswith(":second")
        for each in waiting:
            with pytest.raises(ConnectionClosedError):
                each.result()
    assert not held(emulator)
    sns.create_topic(Name="fourth")
    logged = [entry["operation"] for entry in emulator.requests()[before:] if entry["service"] == "sns"]
    assert logged == ["CreateTopic", "ListTopics", "CreateTopic", "CreateTopic", "ListTopics", "CreateTopic"]
    assert [topic["TopicArn"].rpartition(":")[2] for topic in sns.list_topics()["Topics"]] == ["first", "own", "second", "fourth"]
