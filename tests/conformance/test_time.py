"""Time: what is slow on AWS takes its time, scaled down, and the request log tells when."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.support import conforms

SCALE = 0.02
SLACK = 2  # seconds that a busy machine may be late
EMULATOR = ["--time-scale", str(SCALE)]


def seconds_until(state: str, ask: Callable[[], str], before: str) -> float:
    """How long the state before lasts until the other comes."""
    start = time.monotonic()
    while (now := ask()) != state:
        assert now == before, now
        time.sleep(0.05)
    return time.monotonic() - start


def state_of(ec2: Any, gateway: str) -> str:
    """State of a NAT gateway."""
    return str(ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"][0]["State"])


def make_gateway(ec2: Any) -> str:
    """A private NAT gateway needs neither an address nor an Internet gateway."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    return str(ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"])


@conforms("https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html")
def test_slow_steps_take_their_time(aws: Callable[..., Any]) -> None:
    ec2 = aws("ec2")
    gateway = make_gateway(ec2)
    took = seconds_until("available", lambda: state_of(ec2, gateway), before="pending")
    assert 105 * SCALE - 0.5 <= took <= 105 * SCALE + SLACK


@conforms("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NatGateway.html")
def test_slow_steps_are_in_the_request_log(aws: Callable[..., Any], request_log: Path) -> None:
    ec2 = aws("ec2")
    gateway = make_gateway(ec2)
    seconds_until("available", lambda: state_of(ec2, gateway), before="pending")
    entries = [json.loads(line) for line in request_log.read_text().splitlines()]
    (step,) = [entry for entry in entries if entry.get("resource") == gateway]
    assert step["step"] == "nat_gateway_available"
    assert 105 * SCALE <= step["end"] - step["start"] <= 105 * SCALE + SLACK
