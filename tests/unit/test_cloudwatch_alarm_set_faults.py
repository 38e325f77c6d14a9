"""The module cloudwatch_alarm_set where AWS throttles, errs and loses answers: a proxy of faults stands before the emulator."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest

from support import REGION

SET = "faulty"
START_SECONDS = 20

# Two calls of a hundred are throttled, one is answered with 500, and of two hundred one is carried out and its answer lost. They are
# counted off and not drawn by lot, so that no run of the tests goes without. The codes are those of the services; the names of the
# services must be botocore's.
FAULTS: list[dict[str, Any]] = [
    {"service": "cloudwatch", "sequence": [1, 49], "error": {"code": "Throttling", "status": 400, "message": "Rate exceeded"}},
    {"service": "cloudwatch", "sequence": [1, 99], "error": {"code": "InternalServiceError", "status": 500}},
    {"service": "cloudwatch", "sequence": [1, 199], "response": {"abort_bytes": 0}},
    {"service": "resourcegroupstaggingapi", "sequence": [1, 49], "error": {"code": "ThrottledException", "status": 429}},
]


def metric_alarm(number: int) -> dict[str, Any]:
    return {
        "name": f"faulty-metric-{number:03}",
        "namespace": "AWS/ECS",
        "metric_name": "CPUUtilization",
        "dimensions": {"ClusterName": "faulty", "ServiceName": f"service-{number}"},
        "statistic": "Average",
        "period": 300,
    }


def math_alarm(number: int) -> dict[str, Any]:
    metrics = {
        which: {"namespace": "AWS/ApplicationELB", "metric_name": which, "dimensions": {"LoadBalancer": f"app/faulty/{number}"}}
        for which in ("HTTPCode_Target_5XX_Count", "RequestCount")
    }
    return {
        "name": f"faulty-math-{number:03}",
        "metrics": [
            {"id": "rate", "expression": "100 * m0 / m1"},
            *(
                {"id": f"m{place}", "return_data": False, "metric_stat": {"metric": metric, "period": 60, "stat": "Sum"}}
                for place, metric in enumerate(metrics.values())
            ),
        ],
    }


def composite_alarm(number: int) -> dict[str, Any]:
    """Looks at an alarm of each kind, and but for the first at the composite alarm before it."""
    names = [f"faulty-metric-{number:03}", f"faulty-math-{number:03}"] + ([f"faulty-any-{number - 1:03}"] if number else [])
    return {"name": f"faulty-any-{number:03}", "alarm_rule": " OR ".join(f'ALARM("{name}")' for name in names)}


WANTED: dict[str, Any] = {
    "name": SET,
    "defaults": {"evaluation_periods": 2, "threshold": 80, "comparison_operator": "GreaterThanThreshold"},
    "alarms": [
        *(metric_alarm(number) for number in range(150)),
        *(math_alarm(number) for number in range(130)),
        *(composite_alarm(number) for number in range(20)),
    ],
    "tags": {"team": "on call"},
}


def ask(proxy: str, path: str, rules: list[dict[str, Any]] | None = None) -> Any:
    """What the proxy says of itself, or of the rules that it is given."""
    body = None if rules is None else json.dumps(rules).encode()
    with urlopen(Request(f"{proxy}/_microburst/{path}", body), timeout=START_SECONDS) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def proxy(endpoint: str) -> Iterator[str]:
    """URL of a proxy before the emulator that has no faults yet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "microburst", "--upstream", endpoint, "--port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
    try:
        while True:
            try:
                ask(url, "health")
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "the proxy did not start"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


@pytest.fixture
def run(
    endpoint: str, run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs the module, past the proxy or through it, and leaves no alarm behind."""

    def run(through: str = endpoint, **params: Any) -> dict[str, Any]:
        monkeypatch.setenv("AWS_ENDPOINT_URL", through)
        return run_module("cloudwatch_alarm_set", **params)

    yield run
    run(name=SET, state="absent")


def held(endpoint: str) -> dict[str, Any]:
    """The alarms as AWS holds them, with their tags and without their times and states, by ARN."""
    services = ("cloudwatch", "resourcegroupstaggingapi")
    cloudwatch, tagging = (boto3.client(name, region_name=REGION, endpoint_url=endpoint) for name in services)
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="faulty-", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    described = pages.build_full_result()
    tagged = tagging.get_paginator("get_resources").paginate(ResourceTypeFilters=["cloudwatch:alarm"]).build_full_result()
    tags = {resource["ResourceARN"]: resource["Tags"] for resource in tagged["ResourceTagMappingList"]}
    return {
        alarm["AlarmArn"]: {key: value for key, value in alarm.items() if not (key.endswith("Timestamp") or key.startswith("State"))}
        | {"Tags": tags.get(alarm["AlarmArn"])}
        for alarm in [*described["MetricAlarms"], *described["CompositeAlarms"]]
    }


def faults(proxy: str, operations: set[str]) -> set[str]:
    """What has been done to the operations, in the proxy's words."""
    return {event["action"] for event in ask(proxy, "fired?limit=1000") if event["operation"] in operations}


def test_faults_cost_time_and_no_alarm(endpoint: str, proxy: str, run: Callable[..., dict[str, Any]]) -> None:
    run(**WANTED)
    as_without_faults = held(endpoint)
    run(name=SET, state="absent")
    ask(proxy, "rules", FAULTS)

    made = run(proxy, **WANTED)

    assert all(rule["fired_count"] for rule in ask(proxy, "rules"))
    assert len(faults(proxy, {"PutMetricAlarm", "PutCompositeAlarm"})) == 3, "a kind of fault has spared the writes"
    assert sorted(made["changes"]["created"]) == sorted(alarm["name"] for alarm in WANTED["alarms"])
    assert held(endpoint) == as_without_faults
    assert not run(proxy, **WANTED)["changed"]
    assert held(endpoint) == as_without_faults


def test_faults_leave_no_alarm_behind(endpoint: str, proxy: str, run: Callable[..., dict[str, Any]]) -> None:
    run(**WANTED)
    of_deletion = [{**rule, "operation": "DeleteAlarms"} for rule in FAULTS if rule["service"] == "cloudwatch"]
    ask(proxy, "rules", of_deletion)

    deleted = run(proxy, name=SET, state="absent")

    assert all(rule["fired_count"] for rule in ask(proxy, "rules"))
    assert len(deleted["changes"]["deleted"]) == len(WANTED["alarms"])
    assert held(endpoint) == {}
