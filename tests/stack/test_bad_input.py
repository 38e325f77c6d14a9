"""All that is wrong with a stack's variables is said at once, before AWS is asked for anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from commands import environment_for, playbook

# Wrong values of every kind, and what is said about each.
WRONG = {
    "preflight_region": ("Frankfurt", ["preflight_region is 'Frankfurt': give a region's code, such as eu-central-1"]),
    "network_az_count": (1, ["network_az_count is 1: allowed are 2 to 6"]),
    "network_cidr": ("10.0.0.0/8", ["network_cidr is '10.0.0.0/8': allowed are /16 to /23"]),
    "network_egress": ("nat", ["value of network_egress must be one of: nat_gateway_per_az, nat_gateway, nat_instance, none, got: nat"]),
    "network_flow_log": (True, ["network_flow_log is no option of the role network: did you mean network_flow_logs?"]),
    "database_deletion_protection": ("perhaps", ["argument 'database_deletion_protection' is of type str and we were unable to convert"]),
    "service_web": (
        {"cpu": 300, "memroy": 1024},
        ["service_web.cpu is 300: Fargate allows", "service_web.memroy is no option: did you mean memory?"],
    ),
    "service_api": ({"min": 5, "max": 2}, ["service_api has min 5 and max 2: allowed is 1 <= min <= max"]),
    "cluster_volume_gib": (8, ["cluster_volume_gib is 8: the ECS-optimised image needs at least 30"]),
    "balancer_health_check_path": ("healthz", ["balancer_health_check_path is 'healthz': a path begins with /"]),
    "balancer_allowed_cidrs": (["203.0.113.0/99"], ["balancer_allowed_cidrs holds '203.0.113.0/99', which is no IPv4 network"]),
    "alarms_subscribers": (["nobody"], ["alarms_subscribers holds 'nobody', which is no e-mail address, https URL or ARN of a Lambda function"]),
    "reviewers_users": ([{"name": "auditor", "expires": "tomorrow"}], ["reviewer 'auditor' expires 'tomorrow': give date and time in UTC"]),
    "image_builder": ("kaniko", ["value of image_builder must be one of: auto, docker, podman, none, got: kaniko"]),
}


@pytest.fixture
def requests_to_aws() -> Iterator[tuple[str, list[str]]]:
    """URL of a server in AWS's place, which refuses everything, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_error(400)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_all_wrong_values_are_named_at_once_and_aws_is_asked_for_nothing(requests_to_aws: tuple[str, list[str]], tmp_path: Path) -> None:
    endpoint, asked = requests_to_aws
    variables = json.dumps({name: value for name, (value, _) in WRONG.items()})
    finished = playbook("site.yml", "--extra-vars", variables, environment=environment_for(endpoint, tmp_path))
    assert finished.status != 0
    said = " ".join(finished.output.split())
    sentences = [sentence for _, sentences in WRONG.values() for sentence in sentences]
    assert [sentence for sentence in sentences if sentence not in said] == [], str(finished)
    assert f"{len(sentences)} problems with the variables of stack demo; nothing was changed" in said
    assert asked == []
