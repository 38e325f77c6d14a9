"""The module vpc."""

from __future__ import annotations

from uuid import uuid4

import pytest

from support import ModuleFailed, refusal

UNCHANGED = ["DescribeVpcs", "DescribeVpcAttribute", "DescribeVpcAttribute", "DescribeInternetGateways"]


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"demo-{uuid4()}"


@pytest.fixture
def gateway_name(name):
    """How the VPC's gateway is called in what a module says."""
    return f"{name} internet gateway"


@pytest.fixture
def tags(name):
    """The tags of a stack."""
    return {"threetier:stack": name}


@pytest.fixture
def demo(name, tags):
    """The options of its VPC."""
    return {"name": name, "cidr_block": "10.0.0.0/16", "tags": tags}


def vpcs(aws, name):
    return aws("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [name]}])["Vpcs"]


def gateways(aws, name):
    return aws("ec2").describe_internet_gateways(Filters=[{"Name": "tag:Name", "Values": [name]}])["InternetGateways"]


def attached(aws, vpc_id):
    return aws("ec2").describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc_id]}])["InternetGateways"]


def tags_of(resource):
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"]}


def specification(kind, tags):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def dns(aws, vpc_id):
    attributes = ("EnableDnsSupport", "EnableDnsHostnames")
    return tuple(aws("ec2").describe_vpc_attribute(VpcId=vpc_id, Attribute=f"e{each[1:]}")[each]["Value"] for each in attributes)


def test_creates_the_vpc_and_its_gateway(aws, demo, name, tags, gateway_name, check_run_check_run, run_module):
    preview = run_module("vpc", check=True, **demo)
    assert preview["vpc"]["vpc_id"] == f"(known once {name} exists)"
    assert preview["vpc"]["internet_gateway_id"] == f"(known once the Internet gateway of {name} exists)"
    done = check_run_check_run("vpc", **demo)
    [vpc], [gateway] = vpcs(aws, name), gateways(aws, name)
    assert done["vpc"] == {
        "vpc_id": vpc["VpcId"],
        "cidr_block": "10.0.0.0/16",
        "internet_gateway_id": gateway["InternetGatewayId"],
        "dns_support": True,
        "dns_hostnames": True,
        "tags": {**tags, "Name": name},
    }
    assert tags_of(vpc) == tags_of(gateway) == done["vpc"]["tags"] and attached(aws, vpc["VpcId"]) == [gateway]
    assert dns(aws, vpc["VpcId"]) == (True, True)
    assert done["changes"]["created"] == [name, gateway_name]
    assert run_module("vpc", **demo)["vpc"] == run_module("vpc", check=True, **demo)["vpc"] == done["vpc"]


def test_an_unchanged_vpc_costs_four_requests(demo, name, gateway_name, run_module, requests):
    run_module("vpc", **demo)
    assert requests == [
        "DescribeVpcs",
        "DescribeInternetGateways",
        "CreateVpc",
        "DescribeVpcs",
        "ModifyVpcAttribute",
        "CreateInternetGateway",
        "AttachInternetGateway",
    ]
    requests.clear()
    assert run_module("vpc", **demo)["changes"]["unchanged"] == [name, gateway_name]
    assert requests == UNCHANGED


def test_waits_until_all_of_aws_knows_the_vpc(demo, run_module, requests, answers):
    answers["DescribeVpcs"] = [lambda answer: answer, {"Vpcs": []}, lambda answer: answer]
    answers["ModifyVpcAttribute"] = [refusal("InvalidVpcID.NotFound")]
    answers["AttachInternetGateway"] = [refusal("InvalidInternetGatewayID.NotFound"), refusal("InvalidVpcID.NotFound")]
    run_module("vpc", **demo)
    assert [requests.count(each) for each in ("DescribeVpcs", "ModifyVpcAttribute", "AttachInternetGateway")] == [3, 2, 3]


@pytest.mark.parametrize("broken", ["ModifyVpcAttribute", "CreateInternetGateway", "AttachInternetGateway"])
def test_takes_up_what_an_interrupted_run_left(aws, demo, name, gateway_name, run_module, check_run_check_run, requests, answers, broken):
    answers[broken] = [refusal("UnauthorizedOperation")]
    with pytest.raises(ModuleFailed):
        run_module("vpc", **demo)
    done = check_run_check_run("vpc", **demo)
    assert len(vpcs(aws, name)) == len(gateways(aws, name)) == 1
    assert dns(aws, done["vpc"]["vpc_id"]) == (True, True)
    assert [each["InternetGatewayId"] for each in attached(aws, done["vpc"]["vpc_id"])] == [done["vpc"]["internet_gateway_id"]]
    if broken == "AttachInternetGateway":
        assert done["diff"] == {"before": {gateway_name: {"vpc_id": None}}, "after": {gateway_name: {"vpc_id": done["vpc"]["vpc_id"]}}}


def test_mends_attributes_and_tags(aws, demo, name, tags, gateway_name, run_module, check_run_check_run):
    made = run_module("vpc", **demo)["vpc"]
    ec2 = aws("ec2")
    ec2.create_tags(Resources=[made["vpc_id"], made["internet_gateway_id"]], Tags=[{"Key": "team", "Value": "x"}])
    ec2.delete_tags(Resources=[made["internet_gateway_id"]], Tags=[{"Key": "Name"}])
    done = check_run_check_run("vpc", **demo, dns_hostnames=False)
    assert done["diff"]["before"] == {
        name: {"dns_hostnames": True, "tag team": "x"},
        gateway_name: {"tag Name": None, "tag team": "x"},
    }
    assert dns(aws, made["vpc_id"]) == (True, False)
    assert tags_of(vpcs(aws, name)[0]) == tags_of(gateways(aws, name)[0]) == {**tags, "Name": name}


@pytest.mark.parametrize("tag", ["Name", "threetier:stack", "threetier:tier"])
def test_knows_a_vpc_that_lost_one_of_its_tags(aws, demo, name, tags, run_module, check_run_check_run, tag):
    demo["tags"] = tags | {"threetier:tier": "network"}
    vpc_id = run_module("vpc", **demo)["vpc"]["vpc_id"]
    aws("ec2").create_tags(Resources=[vpc_id], Tags=[{"Key": tag, "Value": "changed by hand"}])
    done = check_run_check_run("vpc", **demo)
    assert done["vpc"]["vpc_id"] == vpc_id
    assert done["diff"]["before"] == {name: {f"tag {tag}": "changed by hand"}}


def test_one_tag_is_not_enough_to_take_over_a_vpc(demo, run_module):
    first = run_module("vpc", **demo)["vpc"]["vpc_id"]
    assert run_module("vpc", **demo | {"name": f"{demo['name']}-other"})["vpc"]["vpc_id"] != first


def test_never_asks_for_names_without_dns(demo, run_module, sent, requests):
    run_module("vpc", **demo)
    for support in (False, True):
        sent.clear()
        run_module("vpc", **demo, dns_support=support, dns_hostnames=support)
        changed = [list(request)[-1] for operation, request in sent if operation == "ModifyVpcAttribute"]
        assert changed == (["EnableDnsSupport", "EnableDnsHostnames"] if support else ["EnableDnsHostnames", "EnableDnsSupport"])


def test_names_every_problem_before_the_first_write(demo, run_module, requests):
    with pytest.raises(ModuleFailed, match=r"must be a block [\s\S]* not '10.0.0.1/16'\ndns_hostnames needs dns_support"):
        run_module("vpc", **{**demo, "cidr_block": "10.0.0.1/16"}, dns_support=False)
    assert requests == []


def test_does_not_make_a_second_vpc_for_another_block_and_does_not_choose_among_two(aws, demo, name, tags, run_module):
    made = run_module("vpc", **demo)["vpc"]["vpc_id"]
    with pytest.raises(ModuleFailed, match=rf"{name} \({made}\) has the block 10.0.0.0/16, and AWS cannot change it to 10.1.0.0/16"):
        run_module("vpc", **{**demo, "cidr_block": "10.1.0.0/16"})
    other = aws("ec2").create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=specification("vpc", {**tags, "Name": name}))["Vpc"]
    with pytest.raises(ModuleFailed, match=rf"2 VPCs .* {', '.join(sorted([made, other['VpcId']]))};"):
        run_module("vpc", **demo)


def test_takes_the_gateway_away(aws, demo, name, gateway_name, run_module, check_run_check_run):
    made = run_module("vpc", **demo)["vpc"]
    done = check_run_check_run("vpc", **demo, internet_gateway=False)
    assert done["vpc"]["internet_gateway_id"] is None and gateways(aws, name) == []
    assert done["changes"] == {"created": [], "changed": [], "replaced": [], "deleted": [gateway_name], "unchanged": [name]}
    foreign = aws("ec2").create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    aws("ec2").attach_internet_gateway(InternetGatewayId=foreign, VpcId=made["vpc_id"])
    assert not run_module("vpc", **demo, internet_gateway=False)["changed"] and attached(aws, made["vpc_id"])


def test_removes_what_has_the_name_and_the_tags_and_nothing_else(aws, demo, name, gateway_name, run_module, check_run_check_run):
    wide = {**demo, "tags": {"threetier:stack": f"{name}*"}}
    run_module("vpc", **wide)
    kept = run_module("vpc", **demo)["vpc"]
    aws("ec2").create_internet_gateway(TagSpecifications=specification("internet-gateway", {**wide["tags"], "Name": name}))
    done = check_run_check_run("vpc", name=name, tags=wide["tags"], state="absent")
    assert done["changes"]["deleted"][:2] == [name, gateway_name] and len(done["changes"]["deleted"]) == 3
    assert [vpc["VpcId"] for vpc in vpcs(aws, name)] == [kept["vpc_id"]]
    assert [gateway["InternetGatewayId"] for gateway in gateways(aws, name)] == [kept["internet_gateway_id"]]


def test_does_not_take_no_tags_for_all_vpcs_of_the_name(aws, demo, name, run_module):
    run_module("vpc", **demo)
    with pytest.raises(ModuleFailed, match="tags must not be empty"):
        run_module("vpc", name=name, tags={}, state="absent")
    assert len(vpcs(aws, name)) == 1


def test_removal_has_patience_and_takes_what_is_gone_already_for_removed(aws, demo, name, tags, run_module, requests, answers):
    run_module("vpc", **demo)
    requests.clear()
    answers["DetachInternetGateway"] = [refusal("DependencyViolation"), refusal("DependencyViolation"), lambda answer: answer]
    answers["DeleteInternetGateway"] = [refusal("DependencyViolation")]  # for a moment after it was detached
    answers["DeleteVpc"] = [refusal("DependencyViolation"), lambda answer: answer]
    assert run_module("vpc", name=name, tags=tags, state="absent")["changed"]
    assert requests == [
        "DescribeVpcs",
        *["DescribeInternetGateways"] * 2,
        *["DetachInternetGateway"] * 3,
        *["DeleteInternetGateway"] * 2,
        *["DeleteVpc"] * 2,
    ]
    made = run_module("vpc", **demo)["vpc"]
    aws("ec2").detach_internet_gateway(InternetGatewayId=made["internet_gateway_id"], VpcId=made["vpc_id"])
    answers["DetachInternetGateway"] = [refusal("Gateway.NotAttached")]
    answers["DeleteVpc"] = [refusal("InvalidVpcID.NotFound")]
    assert run_module("vpc", name=name, tags=tags, state="absent")["changed"]


def test_removal_says_what_is_left_when_its_time_is_over(aws, demo, name, tags, run_module):
    made = run_module("vpc", **demo)["vpc"]
    subnet = aws("ec2").create_subnet(VpcId=made["vpc_id"], CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    held = aws("ec2").create_network_interface(SubnetId=subnet, Description="ELB app/demo/1")["NetworkInterface"]["NetworkInterfaceId"]
    with pytest.raises(ModuleFailed, match=rf"{made['vpc_id']} holds {held} \(ELB app/demo/1\)"):
        run_module("vpc", name=name, tags=tags, state="absent", wait_timeout=0)
