"""The rules between a stack's variables, and the address blocks worked out from them."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from itertools import combinations

import pytest
from ansible_collections.threetier.aws.plugins.filter.subnet_cidrs import subnet_cidrs
from ansible_collections.threetier.aws.plugins.module_utils.stack_rules import FARGATE_MEMORY, problems
from hypothesis import given
from hypothesis import strategies as st

GOOD = {
    "network_stack": "demo",
    "preflight_region": "eu-central-1",
    "network_cidr": "10.0.0.0/16",
    "network_az_count": 3,
    "balancer_allowed_cidrs": ["0.0.0.0/0"],
    "balancer_web_port": 8080,
    "balancer_health_check_path": "/healthz",
    "service_web": {"cpu": 512, "memory": 1024, "min": 1, "max": 3},
    "service_api": {"capacity": "ec2", "cpu": 256, "memory": 256},
    "cluster_min_instances": 1,
    "cluster_max_instances": 4,
    "image_builder": "none",
    "image_names": ["web", "api"],
    "image_references_given": {"web": "demo/web:1", "api": "demo/api:1"},
    "database_seed_items": [{"id": "1", "text": "first"}],
    "alarms_subscribers": ["oncall@example.com"],
    "reviewers_users": [{"name": "ann", "expires": "2030-01-31T18:00:00Z"}],
}


def test_a_good_stack_has_no_problems():
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"network_stack": "a-name-of-twenty-four-ab"}, "stack's name"),
        ({"network_stack": "Demo"}, "stack's name"),
        ({"preflight_region": "frankfurt"}, "preflight_region"),
        ({"cluster_capacity_provider": "ecs-demo-instances"}, "cluster_capacity_provider"),
        ({"network_cidr": "10.0.0.1/16"}, "network_cidr"),
        ({"network_cidr": "10.0.0.0/24"}, "network_cidr"),
        ({"network_cidr": "fd00::/64"}, "network_cidr"),
        ({"network_az_count": 1}, "network_az_count"),
        ({"balancer_allowed_cidrs": ["everywhere"]}, "balancer_allowed_cidrs"),
        ({"balancer_web_port": 80}, "balancer_web_port"),
        ({"balancer_health_check_path": "healthz"}, "balancer_health_check_path"),
        ({"balancer_health_check_interval": 5}, "balancer_health_check_interval"),
        ({"balancer_deregistration_delay": 3601}, "balancer_deregistration_delay"),
        ({"service_web": {"cpu": 300}}, "service_web.cpu"),
        ({"service_web": {"cpu": 256, "memory": 4096}}, "service_web.memory"),
        ({"service_web": {"min": 3, "max": 2}}, "service_web has min 3"),
        ({"service_web": {"cpu_target": 99}}, "service_web.cpu_target"),
        ({"service_api": {"capacity": "fargate", "memory": 256}}, "service_api.memory"),
        ({"service_api": {"spot": True}}, "service_api.spot"),
        ({"service_api": {"memory": 16}}, "service_api asks"),
        ({"cluster_min_instances": 5}, "cluster_min_instances"),
        ({"cluster_target_capacity": 101}, "cluster_target_capacity"),
        ({"cluster_volume_gib": 8}, "cluster_volume_gib"),
        ({"database_read_capacity_min": 0, "database_read_capacity_max": 5}, "database_read_capacity_min"),
        ({"image_references_given": {"web": "demo/web:1"}}, "image_references_given must name an image for each of: api"),
        ({"database_seed_items": [{"text": "no id"}]}, r"database_seed_items\[0\]"),
        ({"alarms_subscribers": ["oncall"]}, "alarms_subscribers"),
        ({"reviewers_users": [{"name": "a b", "expires": "2030-01-31T18:00:00Z"}]}, "reviewers_users"),
        ({"reviewers_users": [{"name": "ann", "expires": "2030-01-31"}]}, "reviewer 'ann' expires"),
        ({"reviewers_users": [GOOD["reviewers_users"][0]] * 2}, "2 times"),
    ],
)
def test_each_wrong_value_is_named(change, names):
    found = problems(GOOD | change)
    assert len(found) == 1
    assert re.search(names, found[0])


def test_all_problems_are_reported_at_once():
    assert len(problems(GOOD | {"network_az_count": 9, "balancer_web_port": 1, "service_web": {"cpu": 1}, "alarms_subscribers": ["x", "y"]})) == 5


@given(st.sampled_from(sorted(FARGATE_MEMORY)), st.integers(1, 130000))
def test_fargate_takes_exactly_the_legal_pairs(cpu, memory):
    assert (problems({"service_web": {"cpu": cpu, "memory": memory}}) == []) == (memory in FARGATE_MEMORY[cpu])


@given(st.integers(16, 23), st.integers(0, 2**16 - 1), st.integers(2, 6))
def test_subnets_lie_in_the_vpc_and_do_not_overlap(prefix, block, count):
    vpc = IPv4Network((0x0A000000 | (block << 8), prefix), strict=False)
    blocks = subnet_cidrs(str(vpc), count)
    subnets = [IPv4Network(part) for kind in ("public", "private") for part in blocks[kind]]
    assert len(subnets) == 2 * count
    assert all(subnet.subnet_of(vpc) and subnet.prefixlen <= 27 for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))


@given(st.integers(2, 5))
def test_a_further_zone_moves_no_subnet(count):
    small, large = subnet_cidrs("10.0.0.0/16", count), subnet_cidrs("10.0.0.0/16", count + 1)
    assert all(large[kind][:count] == small[kind] for kind in ("public", "private"))
