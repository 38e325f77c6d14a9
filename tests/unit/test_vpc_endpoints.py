"""The module vpc_endpoints."""

from __future__ import annotations

import json

import pytest

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}
S3, DYNAMODB, LOGS = (f"com.amazonaws.eu-central-1.{service}" for service in ("s3", "dynamodb", "logs"))
READ_ONLY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}


@pytest.fixture
def ec2(aws):
    return aws("ec2")


@pytest.fixture
def vpc_id(ec2):
    """A VPC of the test's own, with the attributes that private DNS wants."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    return vpc_id


@pytest.fixture
def tables(ec2, vpc_id):
    return [ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"] for _ in range(3)]


@pytest.fixture
def subnets(ec2, vpc_id):
    places = (("10.0.0.0/24", "eu-central-1a"), ("10.0.1.0/24", "eu-central-1b"))
    return [ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"] for cidr, zone in places]


@pytest.fixture
def groups(ec2, vpc_id):
    return [ec2.create_security_group(VpcId=vpc_id, GroupName=name, Description=name)["GroupId"] for name in ("one", "two")]


def in_state(word):
    """An answer of AWS in which all endpoints are in one state."""
    return lambda answer: {**answer, "VpcEndpoints": [{**endpoint, "State": word} for endpoint in answer["VpcEndpoints"]]}


def gateway(name, tables, **changed):
    return {"name": name, "service": S3, "type": "Gateway", "route_table_ids": tables} | changed


def interface(name, subnets, groups, **changed):
    return {"name": name, "service": LOGS, "type": "Interface", "subnet_ids": subnets, "security_group_ids": groups} | changed


def endpoints(ec2, vpc_id):
    found = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["VpcEndpoints"]
    return {endpoint["VpcEndpointId"]: endpoint for endpoint in found}


def tags_of(endpoint):
    return {tag["Key"]: tag["Value"] for tag in endpoint["Tags"]}


def test_creates_both_types_and_answers_in_the_order_given(ec2, vpc_id, tables, subnets, groups, check_run_check_run):
    wanted = [interface("demo-logs", subnets, groups[:1]), gateway("demo-s3", tables[:2])]
    done = check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=wanted, tags=TAGS)
    logs, s3 = done["vpc_endpoints"]
    found = endpoints(ec2, vpc_id)
    assert [(one["name"], one["service_name"]) for one in (logs, s3)] == [("demo-logs", LOGS), ("demo-s3", S3)]
    assert sorted(found[s3["vpc_endpoint_id"]]["RouteTableIds"]) == s3["route_table_ids"] == sorted(tables[:2])
    real = found[logs["vpc_endpoint_id"]]
    assert (sorted(real["SubnetIds"]), real["Groups"][0]["GroupId"], real["PrivateDnsEnabled"]) == (sorted(subnets), groups[0], True)
    assert tags_of(real) == logs["tags"] == {**TAGS, "Name": "demo-logs"}
    assert done["diff"]["before"] == {} and done["diff"]["after"]["demo-s3"]["route_table_ids"] == sorted(tables[:2])


def test_an_unchanged_set_costs_one_request(vpc_id, tables, subnets, groups, run_module, requests):
    wanted = [gateway("demo-s3", tables), gateway("demo-dynamodb", tables, service=DYNAMODB), interface("demo-logs", subnets, groups)]
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=wanted, tags=TAGS)
    assert requests == ["DescribeVpcEndpoints", *["CreateVpcEndpoint"] * 3]
    requests.clear()
    assert not run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=wanted, tags=TAGS)["changed"]
    assert requests == ["DescribeVpcEndpoints"]


def test_a_changed_list_of_route_tables_changes_the_same_endpoint(ec2, vpc_id, tables, run_module, check_run_check_run):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables[:2])], tags=TAGS)
    done = check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables[1:])], tags=TAGS)
    [endpoint] = endpoints(ec2, vpc_id).values()
    assert sorted(endpoint["RouteTableIds"]) == sorted(tables[1:])
    assert done["diff"] == {
        "before": {"demo-s3": {"route_table_ids": sorted(tables[:2])}},
        "after": {"demo-s3": {"route_table_ids": sorted(tables[1:])}},
    }


def test_changed_subnets_and_groups_are_one_request(ec2, vpc_id, subnets, groups, run_module, check_run_check_run, requests, sent):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[interface("demo-logs", subnets[:1], groups[:1])], tags=TAGS)
    requests.clear()
    check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=[interface("demo-logs", subnets, groups[1:])], tags=TAGS)
    [change] = [request for operation, request in sent if operation == "ModifyVpcEndpoint"]
    del change["VpcEndpointId"]
    assert change == {"AddSubnetIds": [subnets[1]], "AddSecurityGroupIds": [groups[1]], "RemoveSecurityGroupIds": [groups[0]]}
    [endpoint] = endpoints(ec2, vpc_id).values()
    assert (sorted(endpoint["SubnetIds"]), [group["GroupId"] for group in endpoint["Groups"]]) == (sorted(subnets), groups[1:])


def test_turns_private_dns_off(vpc_id, subnets, groups, run_module, requests, sent):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[interface("demo-logs", subnets, groups)])
    requests.clear()
    done = run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[interface("demo-logs", subnets, groups, private_dns_enabled=False)])
    endpoint_id = done["vpc_endpoints"][0]["vpc_endpoint_id"]
    assert requests[1:] == ["ModifyVpcEndpoint"]
    assert sent[-1][1] == {"VpcEndpointId": endpoint_id, "PrivateDnsEnabled": False}
    assert done["diff"] == {"before": {"demo-logs": {"private_dns_enabled": True}}, "after": {"demo-logs": {"private_dns_enabled": False}}}


def test_sets_a_policy_and_leaves_it_to_aws_where_none_is_given(ec2, vpc_id, tables, run_module, check_run_check_run):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)])
    done = check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables, policy=READ_ONLY)])
    assert done["diff"]["after"] == {"demo-s3": {"policy": {"statement 1": READ_ONLY["Statement"][0]}}}
    [endpoint] = endpoints(ec2, vpc_id).values()
    assert json.loads(endpoint["PolicyDocument"]) == READ_ONLY
    assert not run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)])["changed"]


def test_mends_tags_in_place(ec2, vpc_id, tables, run_module, check_run_check_run):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=TAGS)
    done = check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags={"team": "web"})
    assert done["diff"]["after"] == {"demo-s3": {"tag team": "web", "tag threetier:stack": None}}
    assert [tags_of(endpoint) for endpoint in endpoints(ec2, vpc_id).values()] == [{"team": "web", "Name": "demo-s3"}]


def test_adopts_an_endpoint_that_aws_allows_no_second_one_beside(ec2, vpc_id, tables, run_module, check_run_check_run):
    made = ec2.create_vpc_endpoint(VpcId=vpc_id, ServiceName=S3, VpcEndpointType="Gateway", RouteTableIds=tables[:1])["VpcEndpoint"]
    done = check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=TAGS)
    assert list(endpoints(ec2, vpc_id)) == [made["VpcEndpointId"]] == [done["vpc_endpoints"][0]["vpc_endpoint_id"]]


def test_leaves_an_endpoint_that_another_one_can_stand_beside(ec2, vpc_id, tables, run_module, check_run_check_run):
    ec2.create_vpc_endpoint(VpcId=vpc_id, ServiceName=S3, VpcEndpointType="Gateway", RouteTableIds=tables[:1])
    check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables[1:])], tags=TAGS)
    assert sorted(len(endpoint["RouteTableIds"]) for endpoint in endpoints(ec2, vpc_id).values()) == [1, 2]


def test_replaces_an_endpoint_of_another_type_and_no_one_elses(ec2, vpc_id, tables, subnets, groups, run_module, check_run_check_run):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables[:1])], tags=TAGS)
    namesake = [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "Name", "Value": "demo-s3"}]}]
    theirs = ec2.create_vpc_endpoint(
        VpcId=vpc_id, ServiceName=S3, VpcEndpointType="Gateway", RouteTableIds=tables[1:2], TagSpecifications=namesake
    )["VpcEndpoint"]["VpcEndpointId"]
    wanted = interface("demo-s3", subnets, groups, service=S3, private_dns_enabled=False)
    done = check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=[wanted], tags=TAGS)
    assert done["changes"]["replaced"] == ["demo-s3"]
    assert [done["diff"][side]["demo-s3"]["type"] for side in ("before", "after")] == ["Gateway", "Interface"]
    assert set(endpoints(ec2, vpc_id)) == {theirs, done["vpc_endpoints"][0]["vpc_endpoint_id"]}


def test_purges_what_carries_the_tags_and_is_not_listed(ec2, vpc_id, tables, subnets, groups, run_module, check_run_check_run):
    foreign = interface("of-others", subnets[:1], groups, private_dns_enabled=False)
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[foreign], tags={"team": "other"})
    both = [gateway("demo-s3", tables), interface("demo-logs", subnets, groups)]
    s3, logs = run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=both, tags=TAGS)["vpc_endpoints"]
    assert not run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=both[:1], tags=TAGS)["changed"], "without purge, they stay"
    done = check_run_check_run("vpc_endpoints", vpc_id=vpc_id, endpoints=both[:1], tags=TAGS, purge=True)
    assert (done["changes"]["deleted"], done["changes"]["unchanged"]) == (["demo-logs"], ["demo-s3"])
    with pytest.raises(ModuleFailed, match="purge needs tags"):
        run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=both[:1], purge=True)
    assert s3["vpc_endpoint_id"] in endpoints(ec2, vpc_id) and logs["vpc_endpoint_id"] not in endpoints(ec2, vpc_id)


def test_two_endpoints_of_one_service_keep_apart_by_their_names(vpc_id, tables, run_module):
    first, second = gateway("demo-one", tables[:1]), gateway("demo-two", tables[1:])
    made = run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[first, second], tags=TAGS)["vpc_endpoints"]
    again = run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[second, first], tags=TAGS)
    assert not again["changed"]
    assert [one["vpc_endpoint_id"] for one in again["vpc_endpoints"]] == [one["vpc_endpoint_id"] for one in reversed(made)]


def test_a_preview_of_a_vpc_that_does_not_exist_yet_asks_nothing(aws, run_module, requests):
    wanted = [gateway("demo-s3", [state.planned("demo-private")])]
    result = run_module("vpc_endpoints", check=True, vpc_id=state.planned("demo"), endpoints=wanted, tags=TAGS)
    assert result["changed"] and requests == []
    assert state.is_planned(result["vpc_endpoints"][0]["vpc_endpoint_id"])


def test_says_all_problems_before_the_first_write(ec2, vpc_id, tables, subnets, groups, run_module, requests):
    ec2.create_vpc_endpoint(VpcId=vpc_id, ServiceName=S3, VpcEndpointType="Gateway", RouteTableIds=tables[:1])
    ec2.create_vpc_endpoint(VpcId=vpc_id, ServiceName=S3, VpcEndpointType="Gateway", RouteTableIds=tables[1:2])
    requests.clear()
    wanted = [
        gateway("demo-dynamodb", tables, service=DYNAMODB, subnet_ids=subnets),
        interface("demo-logs", subnets, []),
        interface("demo-more-logs", subnets, groups, route_table_ids=tables),
        gateway("demo-s3", tables),
        gateway("demo-s3", tables[:1]),
    ]
    with pytest.raises(ModuleFailed) as failure:
        run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=wanted, tags=TAGS)
    for problem in (
        "demo-dynamodb: subnet_ids is for endpoints of type Interface",
        "demo-logs: security_group_ids must not be empty",
        "demo-more-logs: route_table_ids is for endpoints of type Gateway",
        "demo-logs and demo-more-logs: one of them can have private DNS",
        "demo-s3: two endpoints of the list have this name",
        f"demo-s3 and demo-s3: {tables[0]} can lead to one of them",
        "(without a name) has one of its route tables already",
    ):
        assert problem in str(failure.value)
    assert requests == ["DescribeVpcEndpoints"]


def test_an_endpoint_that_failed_is_not_made_again_and_again(vpc_id, tables, run_module, requests, answers):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=TAGS)
    answers["DescribeVpcEndpoints"] = [in_state("failed")]
    with pytest.raises(ModuleFailed, match=r"demo-s3: vpce-\w+ is failed \(AWS gives no reason\); remove it"):
        run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=TAGS)


def test_creates_anew_once_aws_has_removed_the_old_one(vpc_id, tables, run_module, requests, sent, answers):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=TAGS)
    answers["DescribeVpcEndpoints"] = [in_state("deleting")]
    requests.clear()
    sent.clear()
    # the emulator would go on refusing: there, the endpoint is not really going
    answers["CreateVpcEndpoint"] = [refusal("RouteAlreadyExists"), refusal("AnyOther")]
    with pytest.raises(ModuleFailed, match="AnyOther"):
        run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=TAGS)
    tokens = {request["ClientToken"] for operation, request in sent if operation == "CreateVpcEndpoint"}
    assert requests[1:] == ["CreateVpcEndpoint"] * 2 and len(tokens) == 1


def test_waits_for_a_pending_endpoint_only_to_change_it(vpc_id, tables, run_module, requests, answers):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables[:2])], tags=TAGS)
    requests.clear()
    answers["DescribeVpcEndpoints"] = [in_state("pending")]
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables[:2])], tags=TAGS)
    answers["DescribeVpcEndpoints"] = [in_state("pending"), in_state("pending")]
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=TAGS)
    assert requests == ["DescribeVpcEndpoints", *["DescribeVpcEndpoints"] * 3, "ModifyVpcEndpoint"]


def test_passes_over_a_route_table_that_is_not_known_everywhere_yet(vpc_id, tables, run_module, requests, answers):
    answers["CreateVpcEndpoint"] = [refusal("InvalidRouteTableId.NotFound")]
    assert run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)])["changed"]


def test_removes_what_carries_the_tags_in_all_vpcs_of_the_region(ec2, vpc_id, tables, run_module, check_run_check_run):
    tags = {"threetier:stack": vpc_id}
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=tags)
    foreign = ec2.create_vpc_endpoint(VpcId=vpc_id, ServiceName=DYNAMODB, VpcEndpointType="Gateway", RouteTableIds=tables)["VpcEndpoint"]
    done = check_run_check_run("vpc_endpoints", tags=tags, state="absent")
    gone = done["diff"]["before"]["demo-s3"]
    assert (gone["service"], gone["type"], gone["route_table_ids"]) == (S3, "Gateway", sorted(tables))
    assert done["changes"]["deleted"] == ["demo-s3"]
    assert list(endpoints(ec2, vpc_id)) == [foreign["VpcEndpointId"]]


def test_removal_takes_no_tag_for_a_pattern(ec2, vpc_id, tables, run_module):
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags={"threetier:stack": f"{vpc_id}-other"})
    assert not run_module("vpc_endpoints", tags={"threetier:stack": f"{vpc_id}*"}, state="absent")["changed"]
    assert len(endpoints(ec2, vpc_id)) == 1


def test_removal_waits_until_the_endpoints_are_gone(vpc_id, tables, run_module, requests, answers):
    tags = {"threetier:stack": vpc_id}
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=tags)
    requests.clear()
    going = []
    answers["DescribeVpcEndpoints"] = [
        lambda answer: going.extend({**each, "State": "deleting"} for each in answer["VpcEndpoints"]) or answer,
        lambda answer: {"VpcEndpoints": going},
        lambda answer: {"VpcEndpoints": [{**each, "State": "deleted"} for each in going]},
    ]
    assert run_module("vpc_endpoints", vpc_id=vpc_id, tags=tags, state="absent")["changed"]
    assert requests == ["DescribeVpcEndpoints", "DeleteVpcEndpoints", "DescribeVpcEndpoints", "DescribeVpcEndpoints"]


@pytest.mark.parametrize("code, fails", [("InvalidVpcEndpointId.NotFound", False), ("OperationNotPermitted", True)])
def test_removal_reads_what_aws_did_not_do(vpc_id, tables, run_module, requests, answers, code, fails):
    tags = {"threetier:stack": vpc_id}
    run_module("vpc_endpoints", vpc_id=vpc_id, endpoints=[gateway("demo-s3", tables)], tags=tags)
    answers["DeleteVpcEndpoints"] = [lambda answer: {"Unsuccessful": [{"ResourceId": "vpce-1", "Error": {"Code": code, "Message": "no"}}]}]
    if fails:
        with pytest.raises(ModuleFailed, match="AWS did not remove vpce-1: OperationNotPermitted: no"):
            run_module("vpc_endpoints", tags=tags, state="absent")
    else:
        assert run_module("vpc_endpoints", tags=tags, state="absent")["changed"]


def test_removal_without_tags_is_refused(aws, run_module):
    with pytest.raises(ModuleFailed, match="tags must not be empty"):
        run_module("vpc_endpoints", tags={}, state="absent")
