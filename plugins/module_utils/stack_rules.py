# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""The rules between a stack's variables that an argument spec cannot express.

Each rule yields sentences that name the variable, what it holds, what is allowed and why. A rule looks only at variables
that are there and of the right type: what is missing or mistyped was already reported by the argument specs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import IPv4Network
from typing import Any

Variables = Mapping[str, Any]

# "Load balancer names: 32 characters"; the longest name that is made from the stack's is STACK-internal.
STACK_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,21}[a-z0-9])?")
REGION = re.compile(r"[a-z]{2,3}(-[a-z]+)+-\d{1,2}")
SUBSCRIBER = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|https://\S+|arn:[\w-]+:lambda:[\w-]+:\d{12}:function:\S+")
IAM_NAME = re.compile(r"[\w+=,.@-]{1,32}", re.ASCII)

# An Application Load Balancer needs subnets of at least /27, and a stack's subnets are a sixteenth of the VPC each.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
VPC_PREFIXES = range(16, 24)

# CPU units to MiB of memory, https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
FARGATE_MEMORY: dict[int, list[int]] = {
    256: [512, 1024, 2048],
    512: list(range(1024, 4096 + 1, 1024)),
    1024: list(range(2048, 8192 + 1, 1024)),
    2048: list(range(4096, 16384 + 1, 1024)),
    4096: list(range(8192, 30720 + 1, 1024)),
    8192: list(range(16384, 61440 + 1, 4096)),
    16384: list(range(32768, 122880 + 1, 8192)),
}


def problems(variables: Variables) -> list[str]:
    """All that is wrong between a stack's variables, a sentence each; empty where nothing is.

    :param variables: the stack's variables by name, templated and converted to the types of their argument specs
    """
    return [sentence for rule in RULES for sentence in rule(variables)]


def names(v: Variables) -> Iterator[str]:
    stack = v.get("network_stack")
    if stack is not None and not STACK_NAME.fullmatch(stack):
        yield (
            f"the stack's name (its inventory host) is '{stack}': allowed are 1 to 23 lower-case letters, digits and hyphens, beginning with a "
            "letter and not ending with a hyphen, because load balancers and a bucket are named after it"
        )
    provider = v.get("cluster_capacity_provider")
    if provider is not None and provider.lower().startswith(("aws", "ecs", "fargate")):
        yield (
            f"cluster_capacity_provider is '{provider}': AWS keeps names that begin with aws, ecs or fargate for itself; give the stack, which it "
            "is named after, another name, or the variable another value"
        )
    region = v.get("preflight_region")
    if region is not None and not REGION.fullmatch(region):
        yield f"preflight_region is '{region}': give a region's code, such as eu-central-1"


def network(v: Variables) -> Iterator[str]:
    cidr = v.get("network_cidr")
    if cidr is not None:
        try:
            prefix = IPv4Network(cidr).prefixlen
        except ValueError as error:
            yield f"network_cidr is '{cidr}', which is no IPv4 network ({error}): give one such as 10.0.0.0/16"
        else:
            if prefix not in VPC_PREFIXES:
                yield (
                    f"network_cidr is '{cidr}': allowed are /{VPC_PREFIXES[0]} to /{VPC_PREFIXES[-1]}, because a load balancer needs subnets of at "
                    "least /27 and each subnet is a sixteenth of the VPC"
                )
    zones = v.get("network_az_count")
    if zones is not None and not 2 <= zones <= 6:
        yield f"network_az_count is {zones}: allowed are 2 to 6, because a load balancer needs subnets in two zones and no region has more than six"
    for block in v.get("balancer_allowed_cidrs") or []:
        try:
            IPv4Network(block)
        except ValueError as error:
            yield f"balancer_allowed_cidrs holds '{block}', which is no IPv4 network ({error}): give one such as 203.0.113.0/24"


def tiers(v: Variables) -> Iterator[str]:
    for tier, usual in (("web", "fargate"), ("api", "ec2")):
        settings = v.get(f"service_{tier}") or {}
        name = f"service_{tier}"
        capacity = settings.get("capacity") or usual
        cpu, memory = settings.get("cpu") or 256, settings.get("memory") or 512
        if capacity == "fargate" and cpu not in FARGATE_MEMORY:
            yield f"{name}.cpu is {cpu}: Fargate allows {', '.join(map(str, FARGATE_MEMORY))}"
        elif capacity == "fargate" and memory not in FARGATE_MEMORY[cpu]:
            yield f"{name}.memory is {memory}: with cpu {cpu}, Fargate allows {span(FARGATE_MEMORY[cpu])} MiB"
        elif capacity == "ec2" and not (128 <= cpu <= 196608 and memory >= 64):
            yield f"{name} asks for cpu {cpu} and memory {memory}: on instances, allowed are cpu 128 to 196608 and memory from 64 MiB"
        if settings.get("spot") and capacity != "fargate":
            yield f"{name}.spot is true but {name}.capacity is {capacity}: spot is for fargate; leave it out or move the tier"
        low, high = settings.get("min", 2), settings.get("max", 6)
        if low is not None and high is not None and not 1 <= low <= high:
            yield f"{name} has min {low} and max {high}: allowed is 1 <= min <= max"
        for field in ("cpu_target", "memory_target"):
            target = settings.get(field)
            if target is not None and not 10 <= target <= 95:
                yield f"{name}.{field} is {target}: allowed are 10 to 95 per cent"


def capacities(v: Variables) -> Iterator[str]:
    for low, high, least in (
        ("cluster_min_instances", "cluster_max_instances", 1),
        ("database_read_capacity_min", "database_read_capacity_max", 1),
        ("database_write_capacity_min", "database_write_capacity_max", 1),
    ):
        if v.get(low) is not None and v.get(high) is not None and not least <= v[low] <= v[high]:
            yield f"{low} is {v[low]} and {high} is {v[high]}: allowed is {least} <= {low} <= {high}"
    for percent in ("cluster_target_capacity", "database_capacity_target_percent"):
        if v.get(percent) is not None and not 20 <= v[percent] <= (100 if percent.startswith("cluster") else 90):
            yield f"{percent} is {v[percent]}: allowed are 20 to {100 if percent.startswith('cluster') else 90} per cent"
    if v.get("cluster_volume_gib") is not None and v["cluster_volume_gib"] < 30:
        yield f"cluster_volume_gib is {v['cluster_volume_gib']}: the ECS-optimised image needs at least 30"


def balancers(v: Variables) -> Iterator[str]:
    for port in ("balancer_web_port", "balancer_api_port"):
        if v.get(port) is not None and not 1024 <= v[port] <= 65535:
            yield f"{port} is {v[port]}: allowed are 1024 to 65535, because the containers do not run as root"
    path = v.get("balancer_health_check_path")
    if path is not None and not path.startswith("/"):
        yield f"balancer_health_check_path is '{path}': a path begins with /"
    interval = v.get("balancer_health_check_interval")
    if interval is not None and not 6 <= interval <= 300:
        yield f"balancer_health_check_interval is {interval}: allowed are 6 to 300 seconds (the time-out is 5)"
    delay = v.get("balancer_deregistration_delay")
    if delay is not None and not 0 <= delay <= 3600:
        yield f"balancer_deregistration_delay is {delay}: allowed are 0 to 3600 seconds"


def images(v: Variables) -> Iterator[str]:
    if v.get("image_builder") == "none":
        missing = [image for image in v.get("image_names") or [] if not (v.get("image_references_given") or {}).get(image)]
        if missing:
            yield f"image_builder is none, so image_references_given must name an image for each of: {', '.join(missing)}"


def seeds(v: Variables) -> Iterator[str]:
    for number, item in enumerate(v.get("database_seed_items") or []):
        if not (item.get("id") and item.get("text")):
            yield f"database_seed_items[{number}] is {dict(item)}: an item has at least an id and a text"


def people(v: Variables) -> Iterator[str]:
    for subscriber in v.get("alarms_subscribers") or []:
        if not SUBSCRIBER.fullmatch(subscriber):
            yield f"alarms_subscribers holds '{subscriber}', which is no e-mail address, https URL or ARN of a Lambda function"
    reviewers = v.get("reviewers_users") or []
    for reviewer in reviewers:
        if not IAM_NAME.fullmatch(reviewer.get("name") or ""):
            yield f"reviewers_users holds the name '{reviewer.get('name')}': allowed are 1 to 32 letters, digits and + = , . @ _ -"
        expires = str(reviewer.get("expires"))
        try:
            # IAM compares the moment; the playbook compares the text, so there is one form only
            datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            yield f"reviewer '{reviewer.get('name')}' expires '{expires}': give date and time in UTC, such as \"2030-01-31T18:00:00Z\""
    for name, count in Counter(reviewer.get("name") for reviewer in reviewers).items():
        if count > 1:
            yield f"reviewers_users holds '{name}' {count} times: a name once"


def span(values: list[int]) -> str:
    """A list of evenly spaced numbers in words: C(1024 to 4096 in steps of 1024)."""
    if len(values) <= 3:
        return ", ".join(map(str, values))
    return f"{values[0]} to {values[-1]} in steps of {values[1] - values[0]}"


RULES = (names, network, tiers, capacities, balancers, images, seeds, people)
