"""The module vpc_nat_gateways."""

from __future__ import annotations

from itertools import count

import pytest
from botocore.exceptions import ClientError

from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import vpc_nat_gateways
from support import ModuleFailed

STACKS = count(1)


@pytest.fixture
def network(aws):
    """A VPC of the test's own with two public subnets: what the module takes."""
    ec2 = aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.attach_internet_gateway(VpcId=vpc_id, InternetGatewayId=ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
    subnets = [ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"] for number in (1, 2)]
    stack = f"nat-{next(STACKS)}"
    gateways = [{"name": f"{stack}-{zone}", "subnet_id": subnet} for zone, subnet in zip("ab", subnets, strict=True)]
    return {"vpc_id": vpc_id, "gateways": gateways, "tags": {"threetier:stack": stack}, "wait_timeout": 5}


def absent(network, **changed):
    return {"vpc_id": network["vpc_id"], "tags": network["tags"], "state": "absent", "wait_timeout": 5} | changed


def gateways(aws, network, *states):
    filters = [{"Name": "vpc-id", "Values": [network["vpc_id"]]}, {"Name": "state", "Values": [*(states or vpc_nat_gateways.USABLE)]}]
    return aws("ec2").describe_nat_gateways(Filter=filters)["NatGateways"]


def addresses(aws, network):
    [(key, value)] = network["tags"].items()
    return aws("ec2").describe_addresses(Filters=[{"Name": f"tag:{key}", "Values": [value]}])["Addresses"]


def allocate(aws, tags):
    specification = [{"ResourceType": "elastic-ip", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
    return aws("ec2").allocate_address(Domain="vpc", TagSpecifications=specification)


def tags_of(resource):
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"]}


def test_creates_gateways_with_addresses_and_removes_both(aws, network, run_module, check_run_check_run):
    done = check_run_check_run("vpc_nat_gateways", **network, wait=True)
    first, second = done["nat_gateways"]
    assert (first["name"], second["subnet_id"]) == (network["gateways"][0]["name"], network["gateways"][1]["subnet_id"])
    assert first["state"] == second["state"] == "available"
    assert {first["nat_gateway_id"], second["nat_gateway_id"]} == {gateway["NatGatewayId"] for gateway in gateways(aws, network)}
    there = {address["AllocationId"]: address for address in addresses(aws, network)}
    assert set(there) == {first["allocation_id"], second["allocation_id"]}
    assert there[first["allocation_id"]]["PublicIp"] == first["public_ip"]
    assert tags_of(there[first["allocation_id"]]) == first["tags"] == network["tags"] | {"Name": first["name"]}

    removed = check_run_check_run("vpc_nat_gateways", **absent(network))
    assert removed["diff"]["before"][first["name"]]["public_ip"] == first["public_ip"]
    assert (gateways(aws, network), addresses(aws, network)) == ([], [])


def test_an_unchanged_set_costs_one_request_and_two_with_purge(network, run_module, requests):
    run_module("vpc_nat_gateways", **network)
    assert requests == ["DescribeNatGateways", "DescribeAddresses", *["AllocateAddress", "CreateNatGateway"] * 2]
    requests.clear()
    run_module("vpc_nat_gateways", **network, wait=True)
    assert requests == ["DescribeNatGateways"]
    requests.clear()
    run_module("vpc_nat_gateways", **network, purge=True)
    assert requests == ["DescribeNatGateways", "DescribeAddresses"]


def test_adopts_the_address_that_an_interrupted_run_made(aws, network, check_run_check_run):
    name = network["gateways"][0]["name"]
    address = allocate(aws, network["tags"] | {"Name": name})
    done = check_run_check_run("vpc_nat_gateways", **network, purge=True)
    assert done["nat_gateways"][0]["public_ip"] == address["PublicIp"]
    assert done["diff"]["after"][name]["allocation_id"] == address["AllocationId"]
    assert len(addresses(aws, network)) == 2


def test_adopts_no_address_that_is_in_use(aws, network, run_module):
    """An address with the right tags, at an interface."""
    name = network["gateways"][0]["name"]
    address = allocate(aws, network["tags"] | {"Name": name})
    interface = aws("ec2").create_network_interface(SubnetId=network["gateways"][0]["subnet_id"])["NetworkInterface"]["NetworkInterfaceId"]
    aws("ec2").associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=interface)
    done = run_module("vpc_nat_gateways", **network)
    assert done["nat_gateways"][0]["public_ip"] != address["PublicIp"]


def test_makes_a_missing_gateway_only(network, run_module, check_run_check_run):
    both = network["gateways"]
    [first] = run_module("vpc_nat_gateways", **network | {"gateways": both[:1]})["nat_gateways"]
    done = check_run_check_run("vpc_nat_gateways", **network)
    assert list(done["diff"]["after"]) == [both[1]["name"]]
    assert done["nat_gateways"][0]["nat_gateway_id"] == first["nat_gateway_id"]


def test_makes_a_gateway_of_its_own_beside_one_of_somebody_else(aws, network, check_run_check_run):
    subnet_id = network["gateways"][0]["subnet_id"]
    foreign = aws("ec2").create_nat_gateway(SubnetId=subnet_id, AllocationId=allocate(aws, {"team": "other"})["AllocationId"])["NatGateway"]
    done = check_run_check_run("vpc_nat_gateways", **network, purge=True)
    assert done["nat_gateways"][0]["nat_gateway_id"] != foreign["NatGatewayId"]
    check_run_check_run("vpc_nat_gateways", **absent(network))
    assert [gateway["NatGatewayId"] for gateway in gateways(aws, network)] == [foreign["NatGatewayId"]]


def test_changes_the_tags_of_gateway_and_address_together(aws, network, run_module, check_run_check_run):
    run_module("vpc_nat_gateways", **network)
    assert not run_module("vpc_nat_gateways", **network | {"tags": None})["changed"], "no tags is no opinion"
    name = network["gateways"][0]["name"]
    changed = network | {"tags": {**network["tags"], "team": "web"}}
    done = check_run_check_run("vpc_nat_gateways", **changed)
    assert done["diff"]["after"][name] == {"tag team": "web"}
    assert [tags_of(address)["team"] for address in addresses(aws, network)] == ["web", "web"]
    check_run_check_run("vpc_nat_gateways", **network)
    assert ["team" in tags_of(each) for each in [*gateways(aws, network), *addresses(aws, network)]] == [False] * 4


def test_renames_the_gateway_of_a_subnet(network, run_module, check_run_check_run):
    before = run_module("vpc_nat_gateways", **network)["nat_gateways"]
    renamed = [{**gateway, "name": f"{gateway['name']}-new"} for gateway in network["gateways"]]
    done = check_run_check_run("vpc_nat_gateways", **network | {"gateways": renamed})
    assert [gateway["nat_gateway_id"] for gateway in done["nat_gateways"]] == [gateway["nat_gateway_id"] for gateway in before]


def test_replaces_a_gateway_that_is_to_be_in_another_subnet(network, run_module, check_run_check_run):
    first, second = network["gateways"]
    run_module("vpc_nat_gateways", **network | {"gateways": [first]})
    moved = {"name": first["name"], "subnet_id": second["subnet_id"]}
    assert run_module("vpc_nat_gateways", check=True, **network | {"gateways": [moved]})["changes"]["created"] == [first["name"]]
    done = check_run_check_run("vpc_nat_gateways", **network | {"gateways": [moved]}, purge=True)
    assert (done["changes"]["replaced"], done["changes"]["deleted"]) == ([first["name"]], [])
    subnets = [done["diff"][side][first["name"]]["subnet_id"] for side in ("before", "after")]
    assert subnets == [first["subnet_id"], second["subnet_id"]]


def test_purges_gateways_and_addresses_that_are_not_listed(aws, network, run_module, check_run_check_run):
    first, second = run_module("vpc_nat_gateways", **network)["nat_gateways"]
    stray = allocate(aws, network["tags"])
    one = network | {"gateways": network["gateways"][:1]}
    assert not run_module("vpc_nat_gateways", **one)["changed"], "without purge, what is not listed stays"
    done = check_run_check_run("vpc_nat_gateways", **one, purge=True)
    assert set(done["diff"]["before"]) == {second["name"], stray["PublicIp"]}
    assert [address["AllocationId"] for address in addresses(aws, network)] == [first["allocation_id"]]
    check_run_check_run("vpc_nat_gateways", **network | {"gateways": []}, purge=True)
    assert (gateways(aws, network), addresses(aws, network)) == ([], [])


def test_removes_all_but_the_gateways_to_keep(aws, network, run_module, check_run_check_run):
    """An address that has the name of a kept gateway, or of one to come, may be used in a moment; one that something uses is not ours."""
    first, second = run_module("vpc_nat_gateways", **network)["nat_gateways"]
    stray, coming, used = (allocate(aws, network["tags"] | {"Name": name}) for name in ("stray", "coming", "used"))
    interface = aws("ec2").create_network_interface(SubnetId=first["subnet_id"])["NetworkInterface"]["NetworkInterfaceId"]
    aws("ec2").associate_address(AllocationId=used["AllocationId"], NetworkInterfaceId=interface)
    keep = [first["nat_gateway_id"], state.planned("coming")]
    done = check_run_check_run("vpc_nat_gateways", **absent(network), keep=keep)
    assert done["changes"]["deleted"] == [second["name"], stray["PublicIp"]]
    assert [gateway["NatGatewayId"] for gateway in gateways(aws, network)] == [first["nat_gateway_id"]]
    left = {address["AllocationId"] for address in addresses(aws, network)}
    assert left == {first["allocation_id"], coming["AllocationId"], used["AllocationId"]}
    check_run_check_run("vpc_nat_gateways", **absent(network), keep=[])
    assert (gateways(aws, network), [address["AllocationId"] for address in addresses(aws, network)]) == ([], [used["AllocationId"]])


def test_a_failed_gateway_is_reported_and_replaced(aws, network, run_module):
    """A VPC without an Internet gateway lets its NAT gateways fail."""
    ec2 = aws("ec2")
    of_the_vpc = [{"Name": "attachment.vpc-id", "Values": [network["vpc_id"]]}]
    [internet_gateway] = ec2.describe_internet_gateways(Filters=of_the_vpc)["InternetGateways"]
    attachment = {"VpcId": network["vpc_id"], "InternetGatewayId": internet_gateway["InternetGatewayId"]}
    ec2.detach_internet_gateway(**attachment)
    with pytest.raises(ModuleFailed, match="could not create NAT gateways .*: Gateway.NotAttached, Network vpc-.*; it removes them"):
        run_module("vpc_nat_gateways", **network, wait=True)
    ec2.attach_internet_gateway(**attachment)
    done = run_module("vpc_nat_gateways", **network, wait=True)
    assert [gateway["state"] for gateway in done["nat_gateways"]] == ["available", "available"]
    assert len(addresses(aws, network)) == 2, "the addresses of the failed ones are used again"


def test_releases_addresses_of_a_vpc_that_is_gone(aws, network, check_run_check_run):
    allocate(aws, network["tags"])
    check_run_check_run("vpc_nat_gateways", **absent(network, vpc_id=None))
    assert addresses(aws, network) == []


def test_releases_the_address_of_a_gateway_that_lost_its_tags(aws, network, run_module):
    [gateway, _] = run_module("vpc_nat_gateways", **network)["nat_gateways"]
    aws("ec2").delete_tags(Resources=[gateway["allocation_id"]], Tags=[{"Key": "threetier:stack"}])
    run_module("vpc_nat_gateways", **absent(network))
    assert gateway["public_ip"] not in [address["PublicIp"] for address in aws("ec2").describe_addresses()["Addresses"]]


def test_a_removal_that_does_not_wait_leaves_the_addresses_to_the_next_one(aws, network, run_module, requests):
    done = run_module("vpc_nat_gateways", **network)
    aws("ec2").delete_tags(Resources=[gateway["allocation_id"] for gateway in done["nat_gateways"][:1]])
    requests.clear()
    started = run_module("vpc_nat_gateways", **absent(network), wait=False)
    assert started["changes"]["deleted"] == [gateway["name"] for gateway in network["gateways"]]
    assert requests == ["DescribeNatGateways", "DescribeAddresses", "CreateTags", "DeleteNatGateway", "DeleteNatGateway"]
    assert len(addresses(aws, network)) == 2
    run_module("vpc_nat_gateways", **absent(network))
    assert not gateways(aws, network) and not addresses(aws, network)


def test_previews_a_vpc_that_does_not_exist_yet_without_a_request(run_module, requests):
    planned_subnets = [{"name": "demo-a", "subnet_id": state.planned("subnet")}, {"name": "demo-b", "subnet_id": state.planned("subnet")}]
    params = {"vpc_id": state.planned("demo"), "gateways": planned_subnets, "tags": {"threetier:stack": "demo"}}
    done = run_module("vpc_nat_gateways", check=True, **params, purge=True, wait=True)
    assert done["changed"] and requests == []
    assert [gateway["nat_gateway_id"] for gateway in done["nat_gateways"]] == [state.planned("demo-a"), state.planned("demo-b")]


def test_refuses_what_could_mean_the_gateways_of_others(network, run_module, requests):
    same = [network["gateways"][0]] * 2
    with pytest.raises(ModuleFailed, match="has name .* 2 times; .*has subnet_id .* 2 times; .*purge needs tags"):
        run_module("vpc_nat_gateways", **network | {"gateways": same, "tags": {}}, purge=True)
    with pytest.raises(ModuleFailed, match="tags must name at least one tag"):
        run_module("vpc_nat_gateways", **absent(network, tags={}))
    assert requests == []


class Ec2:
    """EC2 that answers as told, a list of answers for each operation; the last one stays."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, []

    def __getattr__(self, operation):
        def call(**request):
            self.calls.append(operation)
            answers = self.answers[operation]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, str):
                raise ClientError({"Error": {"Code": answer, "Message": ""}}, operation)
            return answer

        return call


@pytest.fixture
def slept(monkeypatch):
    seconds = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


def test_waits_for_addresses_that_a_deleted_gateway_still_holds(slept):
    ec2 = Ec2(release_address=["AuthFailure", "AuthFailure", "InvalidIPAddress.InUse", {}])
    vpc_nat_gateways.release(ec2, "eipalloc-1", 60)
    assert len(slept) == 3
    vpc_nat_gateways.release(Ec2(release_address=["InvalidAllocationID.NotFound"]), "eipalloc-1", 60)
    with pytest.raises(state.StateError, match="eipalloc-1 is still in use .*AuthFailure"):
        vpc_nat_gateways.release(Ec2(release_address=["AuthFailure"]), "eipalloc-1", 0)


def test_makes_no_second_address_for_a_subnet_that_is_not_known_everywhere(slept):
    made = {"NatGateway": {"NatGatewayId": "nat-1", "State": "pending", "SubnetId": "subnet-1"}}
    ec2 = Ec2(allocate_address=[{"AllocationId": "eipalloc-1"}], create_nat_gateway=["InvalidSubnetID.NotFound", made])
    gateway = vpc_nat_gateways.create(ec2, "subnet-1", {"Name": "one"}, None)
    assert vpc_nat_gateways.address_of(gateway) == {"AllocationId": "eipalloc-1"}
    assert ec2.calls == ["allocate_address", "create_nat_gateway", "create_nat_gateway"]


def test_waits_until_all_are_available_and_until_all_are_deleted(slept, monkeypatch):
    def gateway(gateway_state):
        return [{"NatGatewayId": "nat-1", "State": gateway_state, "Tags": {}}]

    seen = [[], gateway("pending"), gateway("available"), gateway("deleting"), []]
    monkeypatch.setattr(vpc_nat_gateways, "describe", lambda *_: seen.pop(0))
    [done] = vpc_nat_gateways.wait_until_available(None, {"vpc_id": "vpc-1", "wait_timeout": 60}, gateway("pending"))
    assert (done["State"], len(slept)) == ("available", 2)
    ec2 = Ec2(delete_nat_gateway=[{}], release_address=[{}])
    vpc_nat_gateways.remove(ec2, "vpc-1", gateway("available"), [{"AllocationId": "eipalloc-1"}], 60)
    assert (ec2.calls, seen) == (["delete_nat_gateway", "release_address"], [])
