"""The module vpc_subnets."""

from __future__ import annotations

import pytest

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}
PUBLIC = {"name": "demo-public-a", "cidr": "10.0.0.0/24", "availability_zone": "eu-central-1a"}
PRIVATE = {"name": "demo-private-b", "cidr": "10.0.1.0/24", "availability_zone": "eu-central-1b"}


@pytest.fixture
def vpc_id(aws):
    """A VPC of the test's own."""
    return aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def subnets(aws, vpc_id):
    found = aws("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]
    return {subnet["CidrBlock"]: subnet for subnet in found}


def tags_of(subnet):
    return {tag["Key"]: tag["Value"] for tag in subnet["Tags"]}


def test_creates_the_set_and_answers_in_its_order(aws, vpc_id, check_run_check_run):
    done = check_run_check_run("vpc_subnets", vpc_id=vpc_id, subnets=[PRIVATE, PUBLIC], tags=TAGS)
    found = subnets(aws, vpc_id)
    assert done["subnets"] == [
        {
            "name": wanted["name"],
            "subnet_id": found[wanted["cidr"]]["SubnetId"],
            "cidr_block": wanted["cidr"],
            "availability_zone": found[wanted["cidr"]]["AvailabilityZone"],
            "tags": {**TAGS, "Name": wanted["name"]},
        }
        for wanted in (PRIVATE, PUBLIC)
    ]
    assert tags_of(found["10.0.1.0/24"]) == {**TAGS, "Name": "demo-private-b"}
    assert done["diff"]["before"] == {} and list(done["diff"]["after"]) == ["demo-private-b", "demo-public-a"]


def test_an_unchanged_set_costs_one_request(vpc_id, run_module, requests):
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC, PRIVATE], tags=TAGS)
    assert requests == ["DescribeSubnets", "CreateSubnet", "CreateSubnet"]
    requests.clear()
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC, PRIVATE], tags=TAGS)
    assert requests == ["DescribeSubnets"]


def test_adds_what_an_interrupted_run_left_out(aws, vpc_id, run_module, check_run_check_run):
    first = run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS)["subnets"]
    both = check_run_check_run("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC, PRIVATE], tags=TAGS)
    assert both["subnets"][0] == first[0] and list(both["diff"]["after"]) == ["demo-private-b"]
    assert len(subnets(aws, vpc_id)) == 2


def test_mends_tags_and_the_name(aws, vpc_id, check_run_check_run):
    stray = [{"Key": "Name", "Value": "old"}, {"Key": "team", "Value": "x"}]
    specification = [{"ResourceType": "subnet", "Tags": stray}]
    aws("ec2").create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24", AvailabilityZone="eu-central-1a", TagSpecifications=specification)
    done = check_run_check_run("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS)
    assert tags_of(subnets(aws, vpc_id)["10.0.0.0/24"]) == done["subnets"][0]["tags"] == {**TAGS, "Name": "demo-public-a"}
    assert done["diff"]["before"]["demo-public-a"] == {"tag Name": "old", "tag threetier:stack": None, "tag team": "x"}


def test_a_subnet_hands_out_no_public_addresses(aws, vpc_id, run_module, check_run_check_run):
    [made] = run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS)["subnets"]
    aws("ec2").modify_subnet_attribute(SubnetId=made["subnet_id"], MapPublicIpOnLaunch={"Value": True})
    done = check_run_check_run("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS)
    field = "map_public_ip_on_launch"
    assert done["diff"] == {"before": {"demo-public-a": {field: True}}, "after": {"demo-public-a": {field: False}}}
    assert not subnets(aws, vpc_id)["10.0.0.0/24"]["MapPublicIpOnLaunch"]


def test_leaves_other_tags_where_none_are_given_or_purged(aws, vpc_id, run_module):
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags={"team": "x"})
    assert not run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC])["changed"]
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS, purge_tags=False)
    assert tags_of(subnets(aws, vpc_id)["10.0.0.0/24"]) == {"team": "x", **TAGS, "Name": "demo-public-a"}


def test_refuses_to_move_a_subnet_and_names_every_problem_before_the_first_write(aws, vpc_id, run_module):
    made = run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS)["subnets"][0]["subnet_id"]
    wanted = [
        {**PUBLIC, "availability_zone": "eu-central-1c"},
        {**PRIVATE, "cidr": "10.0.1.7/24"},
        {**PRIVATE, "cidr": "10.0.0.128/25"},
        {"name": "demo-new", "cidr": "10.0.7.0/24", "availability_zone": "eu-central-1a"},
    ]
    with pytest.raises(ModuleFailed) as failed:
        run_module("vpc_subnets", vpc_id=vpc_id, subnets=wanted, tags=TAGS)
    for said in (
        f"demo-public-a: 10.0.0.0/24 belongs to {made} (demo-public-a) in eu-central-1a, and AWS cannot move a subnet to eu-central-1c",
        "demo-private-b: cidr must be a block of IPv4 addresses from /16 to /28",
        "such as 10.0.1.0/24, not '10.0.1.7/24'",
        "demo-private-b: two subnets of the list have this name",
        "demo-public-a and demo-private-b: 10.0.0.0/24 and 10.0.0.128/25 overlap",
        f"demo-private-b: 10.0.0.128/25 overlaps 10.0.0.0/24 of {made} (demo-public-a)",
    ):
        assert said in str(failed.value)
    assert len(subnets(aws, vpc_id)) == 1


def test_a_preview_in_a_vpc_that_is_not_made_yet_asks_nothing(run_module, requests):
    preview = run_module("vpc_subnets", check=True, vpc_id=state.planned("demo"), subnets=[PUBLIC], tags=TAGS)
    assert state.is_planned(preview["subnets"][0]["subnet_id"]) and "demo-public-a" in preview["subnets"][0]["subnet_id"]
    assert not run_module("vpc_subnets", check=True, vpc_id=state.planned("demo"), tags=TAGS, state="absent")["changed"]
    assert requests == []


def test_waits_for_a_new_vpc_and_for_a_pending_subnet(vpc_id, run_module, requests, answers):
    def pending(answer):
        return {"Subnet": {**answer["Subnet"], "State": "pending"}}

    def still_pending(answer):
        return {**answer, "Subnets": [{**subnet, "State": "pending"} for subnet in answer["Subnets"]]}

    answers["CreateSubnet"] = [refusal("InvalidVpcID.NotFound"), pending]
    answers["DescribeSubnets"] = [lambda answer: answer, still_pending]
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS)
    assert requests == ["DescribeSubnets", "CreateSubnet", "CreateSubnet", "DescribeSubnets", "DescribeSubnets"]


def test_removes_what_carries_the_tags_and_nothing_else(aws, vpc_id, run_module, check_run_check_run):
    other = {"name": "other", "cidr": "10.0.2.0/24", "availability_zone": "eu-central-1a"}
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC, PRIVATE], tags={**TAGS, "threetier:tier": "network"})
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[other], tags={"threetier:stack": "other"})
    done = check_run_check_run("vpc_subnets", vpc_id=vpc_id, tags=TAGS, state="absent")
    assert list(done["diff"]["before"]) == ["demo-public-a", "demo-private-b"]
    assert list(subnets(aws, vpc_id)) == ["10.0.2.0/24"]


def test_removes_what_carries_the_tags_in_all_vpcs_where_none_is_given(aws, vpc_id, run_module, check_run_check_run):
    alone = {"threetier:stack": "alone*"}
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=alone)
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PRIVATE], tags={"threetier:stack": "alone-no-more"})
    check_run_check_run("vpc_subnets", tags=alone, state="absent")
    assert list(subnets(aws, vpc_id)) == ["10.0.1.0/24"]


def test_does_not_take_no_tags_for_all_subnets(aws, vpc_id, run_module):
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC])
    with pytest.raises(ModuleFailed, match="tags must not be empty"):
        run_module("vpc_subnets", vpc_id=vpc_id, tags={}, state="absent")
    assert len(subnets(aws, vpc_id)) == 1


def test_removal_has_patience_while_interfaces_vanish(aws, vpc_id, run_module, requests, answers):
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC, PRIVATE], tags=TAGS)
    requests.clear()
    answers["DeleteSubnet"] = [refusal("DependencyViolation"), refusal("DependencyViolation")]
    assert run_module("vpc_subnets", vpc_id=vpc_id, tags=TAGS, state="absent")["changed"]
    assert requests == ["DescribeSubnets", *["DeleteSubnet"] * 4]
    assert subnets(aws, vpc_id) == {}


def test_removal_says_what_is_left_in_a_subnet_when_its_time_is_over(aws, vpc_id, run_module):
    [made] = run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS)["subnets"]
    held = aws("ec2").create_network_interface(SubnetId=made["subnet_id"], Description="ELB app/demo/1")["NetworkInterface"]
    with pytest.raises(ModuleFailed, match=rf"has dependencies[\s\S]*It holds {held['NetworkInterfaceId']} \(ELB app/demo/1\)"):
        run_module("vpc_subnets", vpc_id=vpc_id, tags=TAGS, state="absent", wait_timeout=0)


def test_a_subnet_that_somebody_else_removed_meanwhile_is_removed(vpc_id, run_module, requests, answers):
    run_module("vpc_subnets", vpc_id=vpc_id, subnets=[PUBLIC], tags=TAGS)
    answers["DeleteSubnet"] = [refusal("InvalidSubnetID.NotFound")]
    assert run_module("vpc_subnets", vpc_id=vpc_id, tags=TAGS, state="absent")["changed"]
