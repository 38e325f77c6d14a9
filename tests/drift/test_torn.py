"""What others hold on to is deleted by hand: the preview knows what a run makes again, and the run makes it, and nothing twice.

One after the other on one stack. A test run takes one of them by the seed; TORN=all takes all.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.threetier.aws.plugins.module_utils.state import patiently
from kills import answers, heads, made
from runs import SEED, Account, account

Loss = Callable[[Account], None]
LOSSES: dict[str, tuple[Loss, set[tuple[str, str, str]]]] = {}


def loses(*resources: tuple[str, str, str]) -> Callable[[Loss], Loss]:
    """Add a loss to LOSSES, with the resources that a preview has to create at least."""

    def add(loss: Loss) -> Loss:
        LOSSES[loss.__name__] = loss, set(resources)
        return loss

    return add


def arn_of(balancer: str, stack: Account) -> str:
    return stack.client("elbv2").describe_load_balancers(Names=[balancer])["LoadBalancers"][0]["LoadBalancerArn"]


@loses(("balancer", "application_load_balancers", "demo-public"))
def a_load_balancer(stack: Account) -> None:
    stack.client("elbv2").delete_load_balancer(LoadBalancerArn=arn_of("demo-public", stack))


@loses(("balancer", "target_groups", "demo-api"), ("service", "ecs_service", "api"))
def a_target_group_with_its_service(stack: Account) -> None:
    elb = stack.client("elbv2")
    stack.client("ecs").delete_service(cluster="demo", service="api", force=True)
    for listener in elb.describe_listeners(LoadBalancerArn=arn_of("demo-internal", stack))["Listeners"]:
        elb.delete_listener(ListenerArn=listener["ListenerArn"])
    elb.delete_target_group(TargetGroupArn=elb.describe_target_groups(Names=["demo-api"])["TargetGroups"][0]["TargetGroupArn"])


@loses(("cluster", "launch_template", "demo-instances"))
def the_launch_template(stack: Account) -> None:
    stack.client("ec2").delete_launch_template(LaunchTemplateName="demo-instances")


@loses(
    ("cluster", "ecs_cluster", "demo"),
    ("cluster", "auto_scaling_group", "demo-instances"),
    ("cluster", "ecs_capacity_provider", "demo-instances"),
    ("service", "ecs_service", "api"),
    ("service", "ecs_service", "web"),
)
def the_cluster_with_all_that_runs_on_it(stack: Account) -> None:
    ecs = stack.client("ecs")
    for service in ("web", "api"):
        ecs.delete_service(cluster="demo", service=service, force=True)
    ecs.get_waiter("services_inactive").wait(cluster="demo", services=["web", "api"], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    for arn in ecs.list_container_instances(cluster="demo")["containerInstanceArns"]:
        ecs.deregister_container_instance(cluster="demo", containerInstance=arn, force=True)
    stack.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="demo-instances", ForceDelete=True)
    nothing = {"cluster": "demo", "capacityProviders": [], "defaultCapacityProviderStrategy": []}
    # a task that is being stopped still uses its provider, and is not listed any more
    patiently(lambda: ecs.put_cluster_capacity_providers(**nothing), ["ResourceInUseException"])
    ecs.delete_capacity_provider(capacityProvider="demo-instances")
    ecs.delete_cluster(cluster="demo")


CHOSEN = list(LOSSES) if os.environ.get("TORN") == "all" else [random.Random(SEED).choice(list(LOSSES))]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("torn")) as stack:
        stack.deploy()
        yield stack


def things(stack: Account) -> Counter[str]:
    """All that there is, without what AWS only remembers, and network interfaces, which outlive their tasks for a while."""
    left_over = ("INACTIVE", "NAT gateway that is deleted", "ec2 network-interface")
    kept = (thing for thing in heads(made(stack)).elements() if not thing.startswith(left_over))
    return Counter(kept)


@pytest.mark.parametrize("lost", CHOSEN, ids=[f"{lost}, seed {SEED}" for lost in CHOSEN])
def test_what_was_torn_out_is_made_again(lost: str, stack: Account) -> None:
    before: Any = things(stack)
    tear, created = LOSSES[lost]
    tear(stack)
    preview = stack.preview()
    assert created <= {key for key, verb in preview.resources.items() if verb == "create"}
    assert stack.deploy().resources == preview.resources
    assert things(stack) == before
    assert stack.deploy().resources == {}
    assert answers(stack)
