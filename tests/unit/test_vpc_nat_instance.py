"""The module vpc_nat_instance."""

from __future__ import annotations

from itertools import groupby

import pytest

from ansible_collections.threetier.aws.plugins.module_utils.state import is_planned, planned
from support import ModuleFailed, refusal

PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
SCRIPT = "#!/bin/bash\nsysctl -w net.ipv4.ip_forward=1\n"
TAGS = {"threetier:stack": "demo"}


@pytest.fixture
def nat(aws):
    """The options of a NAT instance in a VPC of the test's own."""
    ec2 = aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return {
        "vpc_id": vpc_id,
        "name": "demo-nat",
        "subnet_id": ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"],
        "security_group_id": ec2.create_security_group(GroupName="demo-nat", Description="any", VpcId=vpc_id)["GroupId"],
        "instance_type": "t3.micro",
        "image_id": f"resolve:ssm:{PARAMETER}",
        "user_data": SCRIPT,
        "tags": TAGS,
        "wait_timeout": 5,
    }


def absent(nat):
    return {field: nat[field] for field in ("vpc_id", "name", "tags", "wait_timeout")} | {"state": "absent"}


def instances(aws, nat):
    """The instances of the VPC that are there, by their ids."""
    filters = [{"Name": "vpc-id", "Values": [nat["vpc_id"]]}, {"Name": "instance-state-name", "Values": ["running", "stopped"]}]
    found = aws("ec2").describe_instances(Filters=filters)["Reservations"]
    return {instance["InstanceId"]: instance for reservation in found for instance in reservation["Instances"]}


def only(aws, nat):
    [instance] = instances(aws, nat).values()
    return instance


def another(aws, nat, tags, **changed):
    """An instance of the same name that the module did not make."""
    image = aws("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    listed = [{"Key": key, "Value": value} for key, value in {"Name": nat["name"], **tags}.items()]
    request = {"ImageId": image, "InstanceType": "t3.micro", "SubnetId": nat["subnet_id"], "UserData": SCRIPT, "MinCount": 1, "MaxCount": 1}
    made = aws("ec2").run_instances(**request | changed, TagSpecifications=[{"ResourceType": "instance", "Tags": listed}])
    return made["Instances"][0]["InstanceId"]


def tags_of(resource):
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"]}


def once(requests):
    """The requests, without repeating those that wait."""
    return [operation for operation, _ in groupby(requests)]


def test_creates_a_router_and_removes_it(aws, nat, check_run_check_run):
    made = check_run_check_run("vpc_nat_instance", **nat)["nat_instance"]
    instance = only(aws, nat)
    [interface] = instance["NetworkInterfaces"]
    assert made == {
        "instance_id": instance["InstanceId"],
        "network_interface_id": interface["NetworkInterfaceId"],
        "tags": {"Name": "demo-nat", **TAGS},
    }
    assert instance["State"]["Name"] == "running"
    assert not interface["SourceDestCheck"] and interface["Association"]["PublicIp"]
    assert [group["GroupId"] for group in interface["Groups"]] == [nat["security_group_id"]]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["ImageId"] == aws("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    [volume] = aws("ec2").describe_volumes(VolumeIds=[instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"]
    assert tags_of(volume) == tags_of(instance) == made["tags"]

    other = another(aws, nat, {"threetier:stack": "other"})
    removed = check_run_check_run("vpc_nat_instance", **absent(nat))
    assert removed["changes"]["deleted"] == ["demo-nat"]
    assert list(instances(aws, nat)) == [other]


def test_an_unchanged_instance_costs_two_requests_whatever_the_image(nat, run_module, requests):
    run_module("vpc_nat_instance", **nat)
    assert once(requests) == ["DescribeInstances", "RunInstances", "DescribeInstances", "ModifyNetworkInterfaceAttribute"]
    requests.clear()
    assert not run_module("vpc_nat_instance", **nat | {"image_id": "ami-0123456789abcdef0"})["changed"]
    assert requests == ["DescribeInstances", "DescribeInstanceAttribute"]


def test_mends_in_place_what_somebody_changed(aws, nat, run_module, check_run_check_run):
    made = run_module("vpc_nat_instance", **nat)["nat_instance"]
    ec2 = aws("ec2")
    foreign = ec2.create_security_group(GroupName="other", Description="any", VpcId=nat["vpc_id"])["GroupId"]
    interface = {"NetworkInterfaceId": made["network_interface_id"]}
    ec2.modify_network_interface_attribute(**interface, Groups=[foreign])
    ec2.modify_network_interface_attribute(**interface, SourceDestCheck={"Value": True})
    ec2.modify_instance_metadata_options(InstanceId=made["instance_id"], HttpTokens="optional", HttpEndpoint="enabled")
    tags = {"threetier:stack": "other", "foreign": "any"}
    ec2.create_tags(Resources=[made["instance_id"]], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    ec2.stop_instances(InstanceIds=[made["instance_id"]])

    done = check_run_check_run("vpc_nat_instance", **nat)
    assert done["changes"]["changed"] == ["demo-nat"] and done["nat_instance"] == made
    assert done["diff"]["before"]["demo-nat"] == {
        "security_group_ids": [foreign], "source_dest_check": True, "http_tokens": "optional", "state": "stopped",
        "tag threetier:stack": "other", "tag foreign": "any",
    }  # fmt: skip
    assert only(aws, nat)["State"]["Name"] == "running"


def test_another_type_stops_the_instance_and_starts_it(aws, nat, run_module, check_run_check_run, requests, answers):
    run_module("vpc_nat_instance", **nat)
    requests.clear()
    answers["ModifyInstanceAttribute"] = [refusal("InvalidInstanceAttributeValue")]
    with pytest.raises(ModuleFailed, match="InvalidInstanceAttributeValue"):
        run_module("vpc_nat_instance", **nat | {"instance_type": "t4g.micro"})
    assert once(requests)[3:] == ["StopInstances", "DescribeInstances", "ModifyInstanceAttribute", "StartInstances"]

    done = check_run_check_run("vpc_nat_instance", **nat | {"instance_type": "t3.small"})
    assert done["diff"] == {"before": {"demo-nat": {"instance_type": "t3.micro"}}, "after": {"demo-nat": {"instance_type": "t3.small"}}}
    assert (only(aws, nat)["InstanceType"], only(aws, nat)["State"]["Name"]) == ("t3.small", "running")


def test_other_user_data_replaces_the_instance_once_the_new_one_runs(nat, run_module, check_run_check_run, requests):
    old = run_module("vpc_nat_instance", **nat)["nat_instance"]
    assert is_planned(run_module("vpc_nat_instance", check=True, **nat | {"user_data": ""})["nat_instance"]["network_interface_id"])
    requests.clear()
    done = check_run_check_run("vpc_nat_instance", **nat | {"user_data": "#!/bin/sh\n"})
    assert done["changes"]["replaced"] == ["demo-nat"] and done["nat_instance"]["instance_id"] != old["instance_id"]
    assert done["diff"] == {"before": {"demo-nat": {"user_data": SCRIPT}}, "after": {"demo-nat": {"user_data": "#!/bin/sh\n"}}}
    assert once(requests)[4:9] == [
        "RunInstances", "DescribeInstances", "ModifyNetworkInterfaceAttribute", "TerminateInstances", "DescribeInstances"
    ]  # fmt: skip


def test_keeps_the_one_that_needs_the_least_and_removes_its_own_others(aws, nat, run_module, check_run_check_run):
    before_a_crash = another(aws, nat, TAGS, UserData="#!/bin/sh\n")
    kept = run_module("vpc_nat_instance", **nat | {"name": "elsewhere"})["nat_instance"]["instance_id"]
    aws("ec2").create_tags(Resources=[kept], Tags=[{"Key": "Name", "Value": nat["name"]}])
    foreign = another(aws, nat, {"threetier:stack": "other"})

    done = check_run_check_run("vpc_nat_instance", **nat)
    assert done["nat_instance"]["instance_id"] == kept
    assert done["changes"] == {"created": [], "changed": [], "replaced": [], "deleted": [before_a_crash], "unchanged": ["demo-nat"]}
    assert set(instances(aws, nat)) == {kept, foreign}


def test_a_preview_in_a_vpc_that_is_not_made_yet_asks_nothing(nat, run_module, requests):
    unmade = nat | {"vpc_id": planned("demo"), "subnet_id": planned("demo-public-a"), "security_group_id": planned("demo-nat")}
    preview = run_module("vpc_nat_instance", check=True, **unmade)
    assert preview["changes"]["created"] == ["demo-nat"]
    assert preview["nat_instance"]["network_interface_id"] == planned("demo-nat")
    assert not run_module("vpc_nat_instance", check=True, **absent(unmade))["changed"]
    assert requests == []


def test_waits_for_a_new_group_with_one_token(nat, run_module, requests, answers, sent):
    answers["RunInstances"] = [refusal("InvalidGroup.NotFound")]
    run_module("vpc_nat_instance", **nat)
    tokens = [request["ClientToken"] for operation, request in sent if operation == "RunInstances"]
    assert len(tokens) == 2 and len(set(tokens)) == 1


def test_says_why_aws_ended_the_instance(nat, run_module, requests, answers):
    def ended(answer):
        reason = {"StateReason": {"Message": "Client.VolumeLimitExceeded: Volume limit exceeded"}, "State": {"Name": "terminated"}}
        return {**answer, "Reservations": [{"Instances": [answer["Reservations"][0]["Instances"][0] | reason]}]}

    answers["DescribeInstances"] = [lambda answer: answer, {"Reservations": []}, ended]
    with pytest.raises(ModuleFailed, match="is terminated: Client.VolumeLimitExceeded: Volume limit exceeded"):
        run_module("vpc_nat_instance", **nat)


def test_lists_all_bad_input_before_it_asks(nat, run_module, requests):
    with pytest.raises(ModuleFailed) as failed:
        run_module("vpc_nat_instance", **nat | {"image_id": "al2023", "user_data": "#" * 16385})
    assert "not 'al2023'" in str(failed.value) and "user_data has 16385 bytes: AWS allows 16384" in str(failed.value)
    with pytest.raises(ModuleFailed, match="tags must not be empty"):
        run_module("vpc_nat_instance", **absent(nat) | {"tags": {}})
    assert requests == []
