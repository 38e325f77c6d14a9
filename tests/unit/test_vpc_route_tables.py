"""The module vpc_route_tables."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}
EVERYWHERE = "0.0.0.0/0"


@pytest.fixture
def vpc(aws):
    """A VPC of the test's own, with two subnets and an Internet gateway."""
    ec2 = aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"] for number in range(2)]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc_id)
    return SimpleNamespace(id=vpc_id, a=subnets[0], b=subnets[1], gateway=gateway)


@pytest.fixture
def nat(aws, vpc):
    """Makes a NAT gateway, which is available at once."""

    def make():
        address = aws("ec2").allocate_address(Domain="vpc")["AllocationId"]
        return aws("ec2").create_nat_gateway(SubnetId=vpc.a, AllocationId=address)["NatGateway"]["NatGatewayId"]

    return make


def nat_gateway_is(status, **more):
    return lambda answer: {**answer, "NatGateways": [{**gateway, "State": status, **more} for gateway in answer["NatGateways"]]}


def public(vpc, **changed):
    return {"name": "demo-public", "subnets": [vpc.a], "routes": [{"destination": EVERYWHERE, "gateway_id": vpc.gateway}]} | changed


def private(vpc, *routes, **changed):
    return {"name": "demo-private", "subnets": [vpc.b], "routes": list(routes)} | changed


def through(nat_gateway_id):
    return {"destination": EVERYWHERE, "nat_gateway_id": nat_gateway_id}


def tables(aws, vpc):
    """The VPC's tables by name, the main one left out, each with its routes (destination to target), subnets and tags."""
    found = {}
    for table in aws("ec2").describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc.id]}])["RouteTables"]:
        if not any(each["Main"] for each in table["Associations"]):
            tags = {tag["Key"]: tag["Value"] for tag in table["Tags"]}
            routes = {
                route.get("DestinationCidrBlock") or route["DestinationPrefixListId"]: route.get("GatewayId")
                or route.get("NatGatewayId")
                or route.get("NetworkInterfaceId")
                for route in table["Routes"]
            }
            subnets = [each["SubnetId"] for each in table["Associations"]]
            found[tags.get("Name")] = SimpleNamespace(id=table["RouteTableId"], routes=routes, subnets=subnets, tags=tags)
    return found


def test_creates_the_set_and_answers_in_its_order(aws, vpc, nat, check_run_check_run):
    gateway = nat()
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(gateway)), public(vpc)], tags=TAGS)
    found = tables(aws, vpc)
    assert found["demo-private"].routes == {"10.0.0.0/16": "local", EVERYWHERE: gateway}
    assert found["demo-public"].routes == {"10.0.0.0/16": "local", EVERYWHERE: vpc.gateway}
    assert done["route_tables"] == [
        {
            "name": name,
            "route_table_id": found[name].id,
            "routes": [route],
            "subnets": [subnet],
            "tags": {**TAGS, "Name": name},
        }
        for name, route, subnet in (
            ("demo-private", through(gateway), vpc.b),
            ("demo-public", {"destination": EVERYWHERE, "gateway_id": vpc.gateway}, vpc.a),
        )
    ]
    assert [found[name].subnets for name in ("demo-public", "demo-private")] == [[vpc.a], [vpc.b]]
    assert found["demo-public"].tags == {**TAGS, "Name": "demo-public"}
    assert done["diff"]["before"] == {}


def test_an_unchanged_set_costs_one_request(vpc, nat, run_module, requests):
    wanted = {"vpc_id": vpc.id, "tables": [public(vpc), private(vpc, through(nat()))], "tags": TAGS}
    requests.clear()
    first = run_module("vpc_route_tables", **wanted)
    made = ["CreateRoute", "AssociateRouteTable"]
    assert requests == ["DescribeRouteTables", "CreateRouteTable", "CreateRouteTable", *made, "DescribeNatGateways", *made]
    requests.clear()
    assert run_module("vpc_route_tables", **wanted)["route_tables"] == first["route_tables"]
    assert requests == ["DescribeRouteTables"]


def test_finishes_what_an_interrupted_run_began(aws, vpc, run_module, requests, answers):
    answers["AssociateRouteTable"] = [refusal("UnauthorizedOperation")]
    with pytest.raises(ModuleFailed, match="UnauthorizedOperation"):
        run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc), private(vpc)], tags=TAGS)
    begun = tables(aws, vpc)
    assert begun["demo-public"].subnets == []
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc), private(vpc)], tags=TAGS)
    done = tables(aws, vpc)
    assert {name: table.id for name, table in done.items()} == {name: table.id for name, table in begun.items()}
    assert (done["demo-public"].subnets, done["demo-private"].subnets) == ([vpc.a], [vpc.b])


def test_replaces_a_route_in_place(aws, vpc, nat, run_module, check_run_check_run, requests):
    instance = aws("ec2").create_network_interface(SubnetId=vpc.a)["NetworkInterface"]["NetworkInterfaceId"]
    through_instance = {"destination": EVERYWHERE, "network_interface_id": instance}
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through_instance)], tags=TAGS)
    gateway = nat()
    requests.clear()
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(gateway))], tags=TAGS)
    assert done["diff"] == {
        "before": {"demo-private": {f"route {EVERYWHERE}": instance}},
        "after": {"demo-private": {f"route {EVERYWHERE}": gateway}},
    }
    assert [each for each in requests if not each.startswith("Describe")] == ["ReplaceRoute"]
    assert tables(aws, vpc)["demo-private"].routes[EVERYWHERE] == gateway


def test_replaces_a_route_that_leads_nowhere(aws, vpc, nat, run_module, check_run_check_run):
    old, new = nat(), nat()
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(old))], tags=TAGS)
    aws("ec2").delete_nat_gateway(NatGatewayId=old)
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(new))], tags=TAGS)
    assert done["diff"]["before"]["demo-private"] == {f"route {EVERYWHERE}": f"{old} (blackhole)"}


def test_a_route_to_a_nat_gateway_that_is_gone_is_no_route(aws, vpc, nat, run_module):
    gone = nat()
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(gone))], tags=TAGS)
    aws("ec2").delete_nat_gateway(NatGatewayId=gone)
    with pytest.raises(ModuleFailed, match=f"NAT gateway {gone} is deleted; no route can lead to it"):
        run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(gone))], tags=TAGS)


def test_finishes_other_tables_and_waits_for_a_pending_nat_gateway(vpc, nat, run_module, requests, answers):
    answers["DescribeNatGateways"] = [refusal("NatGatewayNotFound"), nat_gateway_is("pending")]
    answers["CreateRoute"] = [lambda answer: answer, refusal("InvalidNatGatewayID.NotFound")]
    gateway = nat()
    requests.clear()
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(gateway)), public(vpc)], tags=TAGS)
    assert requests[3:] == [
        *["CreateRoute", "AssociateRouteTable"],
        *["DescribeNatGateways"] * 3,
        *["CreateRoute", "CreateRoute", "AssociateRouteTable"],
    ]


def test_waits_for_a_nat_gateway_no_longer_than_it_may(vpc, nat, run_module, requests, answers):
    answers["DescribeNatGateways"] = [nat_gateway_is("pending")] * 9
    with pytest.raises(ModuleFailed, match="that the NAT gateways nat-.* become available has not happened within 0 s"):
        run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(nat()))], tags=TAGS, wait_timeout=0)


def test_a_nat_gateway_that_failed_fails_at_once_with_its_reason(vpc, nat, run_module, requests, answers):
    reason = {"FailureCode": "Gateway.NotAttached", "FailureMessage": "Network has no Internet gateway"}
    answers["DescribeNatGateways"] = [nat_gateway_is("failed", **reason)]
    with pytest.raises(ModuleFailed, match=r"is failed \(Gateway.NotAttached: Network has no Internet gateway\)"):
        run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc, through(nat()))], tags=TAGS)
    assert requests.count("DescribeNatGateways") == 1


def test_moves_a_subnet_from_one_table_to_another_in_one_step(aws, vpc, run_module, check_run_check_run, requests):
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc, subnets=[vpc.a, vpc.b]), private(vpc, subnets=[])], tags=TAGS)
    requests.clear()
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc), private(vpc)], tags=TAGS)
    assert [each for each in requests if not each.startswith("Describe")] == ["ReplaceRouteTableAssociation"]
    assert done["diff"] == {
        "before": {"demo-private": {f"subnet {vpc.b}": None}, "demo-public": {f"subnet {vpc.b}": "associated"}},
        "after": {"demo-private": {f"subnet {vpc.b}": "associated"}, "demo-public": {f"subnet {vpc.b}": None}},
    }
    assert [table["subnets"] for table in done["route_tables"]] == [[vpc.a], [vpc.b]]
    assert (tables(aws, vpc)["demo-public"].subnets, tables(aws, vpc)["demo-private"].subnets) == ([vpc.a], [vpc.b])


def test_a_new_table_that_takes_a_subnet_from_somebody_elses_is_created_and_the_other_one_changed(aws, vpc, check_run_check_run):
    theirs = aws("ec2").create_route_table(VpcId=vpc.id)["RouteTable"]["RouteTableId"]
    aws("ec2").associate_route_table(RouteTableId=theirs, SubnetId=vpc.a)
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)
    assert (done["changes"]["created"], done["changes"]["changed"]) == (["demo-public"], [theirs])
    assert done["diff"]["before"] == {theirs: {f"subnet {vpc.a}": "associated"}}


def test_takes_out_a_subnet_that_no_table_lists(aws, vpc, run_module, check_run_check_run):
    [made] = run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)["route_tables"]
    aws("ec2").associate_route_table(RouteTableId=made["route_table_id"], SubnetId=vpc.b)
    kept = run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS, purge_subnets=False)
    assert not kept["changed"] and kept["route_tables"][0]["subnets"] == [vpc.a, vpc.b]
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)
    by_hand = f"subnet {vpc.b}"
    assert done["diff"] == {"before": {"demo-public": {by_hand: "associated"}}, "after": {"demo-public": {by_hand: None}}}
    assert tables(aws, vpc)["demo-public"].subnets == done["route_tables"][0]["subnets"] == [vpc.a]


def test_purges_routes_but_never_those_of_endpoints(aws, vpc, run_module, check_run_check_run):
    more = public(vpc, routes=[*public(vpc)["routes"], {"destination": "192.168.0.0/16", "gateway_id": vpc.gateway}])
    [made] = run_module("vpc_route_tables", vpc_id=vpc.id, tables=[more], tags=TAGS)["route_tables"]
    s3 = "com.amazonaws.eu-central-1.s3"
    endpoint = aws("ec2").create_vpc_endpoint(VpcId=vpc.id, ServiceName=s3, RouteTableIds=[made["route_table_id"]])
    assert not run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS, purge_routes=False)["changed"]
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)
    assert done["diff"] == {
        "before": {"demo-public": {"route 192.168.0.0/16": vpc.gateway}},
        "after": {"demo-public": {"route 192.168.0.0/16": None}},
    }
    assert done["route_tables"][0]["routes"] == public(vpc)["routes"]
    routes = tables(aws, vpc)["demo-public"].routes
    assert endpoint["VpcEndpoint"]["VpcEndpointId"] in routes.values() and len(routes) == 3


@pytest.mark.parametrize(
    "kept",
    [
        {"DestinationCidrBlock": "172.16.0.0/12", "GatewayId": "vgw-1", "Origin": "EnableVgwRoutePropagation"},
        {"DestinationCidrBlock": "172.16.0.0/12", "GatewayId": "vpce-1", "Origin": "CreateRoute"},
        {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "Origin": "CreateRoute"},
        {"DestinationIpv6CidrBlock": "2001:db8::/56", "GatewayId": "local", "Origin": "CreateRouteTable"},
    ],
    ids=["propagated", "of a Gateway Load Balancer endpoint", "of a gateway endpoint", "inside the VPC"],
)
def test_leaves_routes_that_aws_looks_after(vpc, run_module, requests, answers, kept):
    def with_kept(answer):
        route = {**kept, "State": "active"}
        return {**answer, "RouteTables": [{**table, "Routes": [*table["Routes"], route]} for table in answer["RouteTables"]]}

    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)
    answers["DescribeRouteTables"] = [with_kept]
    assert not run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)["changed"]


@pytest.mark.parametrize("destination", [{"DestinationIpv6CidrBlock": "::/0"}, {"DestinationPrefixListId": "pl-1"}], ids=str)
def test_removes_routes_by_hand_that_it_could_not_make(vpc, run_module, requests, sent, answers, destination):
    def by_hand(answer):
        route = {**destination, "GatewayId": "igw-9", "Origin": "CreateRoute", "State": "active"}
        return {**answer, "RouteTables": [{**table, "Routes": [*table["Routes"], route]} for table in answer["RouteTables"]]}

    [made] = run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)["route_tables"]
    answers |= {"DescribeRouteTables": [by_hand], "DeleteRoute": [{}]}
    done = run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)
    [field] = [f"route {each}" for each in destination.values()]
    assert done["diff"] == {"before": {"demo-public": {field: "igw-9"}}, "after": {"demo-public": {field: None}}}
    assert sent[-1] == ("DeleteRoute", {"RouteTableId": made["route_table_id"], **destination})


def test_mends_tags_of_the_table_of_the_name_instead_of_doubling_it(aws, vpc, run_module, check_run_check_run):
    old = run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags={"team": "x"})["route_tables"][0]
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)
    assert done["diff"]["before"] == {"demo-public": {"tag threetier:stack": None, "tag team": "x"}}
    assert tables(aws, vpc)["demo-public"].tags == {**TAGS, "Name": "demo-public"}
    assert tables(aws, vpc)["demo-public"].id == old["route_table_id"]


def test_tags_decide_between_tables_of_one_name(aws, vpc, run_module):
    ours = run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)["route_tables"][0]["route_table_id"]
    namesake = [{"ResourceType": "route-table", "Tags": [{"Key": "Name", "Value": "demo-public"}]}]
    theirs = aws("ec2").create_route_table(VpcId=vpc.id, TagSpecifications=namesake)["RouteTable"]["RouteTableId"]
    done = run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=TAGS)
    assert not done["changed"] and done["route_tables"][0]["route_table_id"] == ours
    with pytest.raises(ModuleFailed, match=r"demo-public: the VPC has 2 route tables of this name \(rtb-") as failed:
        run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags={"threetier:stack": "other"})
    assert ours in str(failed.value) and theirs in str(failed.value)


def test_names_every_problem_before_the_first_request(vpc, run_module, requests):
    bad = [
        public(vpc, routes=[{"destination": "10.1.2.3/16", "gateway_id": vpc.gateway}]),
        public(vpc, routes=[{"destination": EVERYWHERE}, {**through("nat-1"), "gateway_id": vpc.gateway}]),
        private(vpc, {"destination": EVERYWHERE, "gateway_id": "nat-1"}),
    ]
    with pytest.raises(ModuleFailed) as failed:
        run_module("vpc_route_tables", vpc_id=vpc.id, tables=bad, tags=TAGS)
    targets = "gateway_id, nat_gateway_id, network_interface_id"
    assert str(failed.value).splitlines() == [
        "demo-public: 2 tables of the list have this name; give each its own",
        f"{vpc.a}: the list names this subnet 2 times, and a subnet uses one table; name it once",
        "demo-public: destination must be a block of IPv4 addresses such as 10.1.0.0/16, not '10.1.2.3/16'",
        "demo-public: 2 routes to 0.0.0.0/0; a table has one to each destination",
        f"demo-public: the route to 0.0.0.0/0 must have exactly one of {targets}, not 0",
        f"demo-public: the route to 0.0.0.0/0 must have exactly one of {targets}, not 2",
        "demo-private: the route to 0.0.0.0/0 has the gateway_id 'nat-1', which must begin with igw- or vgw-",
    ]
    assert requests == []


def test_a_preview_takes_parents_that_are_not_made_yet(aws, vpc, run_module, requests):
    nothing = {"vpc_id": state.planned("demo"), "tags": TAGS}
    preview = run_module("vpc_route_tables", check=True, **nothing, tables=[private(vpc, through(state.planned("demo-a")))])
    assert state.is_planned(preview["route_tables"][0]["route_table_id"])
    assert not run_module("vpc_route_tables", check=True, **nothing, state="absent")["changed"]
    assert requests == []

    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc)], tags=TAGS)
    wanted = private(vpc, through(state.planned("demo-a")), subnets=[vpc.b, state.planned("demo-private-c")])
    preview = run_module("vpc_route_tables", check=True, vpc_id=vpc.id, tables=[wanted], tags=TAGS)
    assert preview["diff"]["after"]["demo-private"] == {
        f"route {EVERYWHERE}": state.planned("demo-a"),
        f"subnet {state.planned('demo-private-c')}": "associated",
    }


def test_removes_what_carries_the_tags_but_never_the_main_table(aws, vpc, run_module, check_run_check_run, requests):
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags={**TAGS, "threetier:tier": "network"})
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc)], tags={"threetier:stack": "other"})
    filters = [{"Name": "vpc-id", "Values": [vpc.id]}, {"Name": "association.main", "Values": ["true"]}]
    [main] = aws("ec2").describe_route_tables(Filters=filters)["RouteTables"]
    aws("ec2").create_tags(Resources=[main["RouteTableId"]], Tags=[{"Key": "threetier:stack", "Value": "demo"}])
    requests.clear()
    done = check_run_check_run("vpc_route_tables", vpc_id=vpc.id, tags=TAGS, state="absent")
    gone = {f"route {EVERYWHERE}": vpc.gateway, f"subnet {vpc.a}": "associated"}
    assert done["diff"]["before"]["demo-public"].items() >= gone.items() and done["changes"]["deleted"] == ["demo-public"]
    assert [each for each in requests if not each.startswith("Describe")] == ["DisassociateRouteTable", "DeleteRouteTable"]
    assert list(tables(aws, vpc)) == ["demo-private"]


def test_removes_what_carries_the_tags_in_all_vpcs_where_none_is_given(aws, vpc, run_module, check_run_check_run):
    alone = {"threetier:stack": "alone*"}
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)], tags=alone)
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[private(vpc)], tags={"threetier:stack": "alone-no-more"})
    check_run_check_run("vpc_route_tables", tags=alone, state="absent")
    assert list(tables(aws, vpc)) == ["demo-private"]


def test_does_not_take_no_tags_for_all_tables(aws, vpc, run_module):
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc)])
    with pytest.raises(ModuleFailed, match="tags must not be empty"):
        run_module("vpc_route_tables", vpc_id=vpc.id, tags={}, state="absent")
    assert list(tables(aws, vpc)) == ["demo-public"]


def test_removal_bears_that_others_are_faster_or_slower(aws, vpc, run_module, requests, answers):
    run_module("vpc_route_tables", vpc_id=vpc.id, tables=[public(vpc), private(vpc)], tags=TAGS)
    answers["DisassociateRouteTable"] = [refusal("InvalidAssociationID.NotFound")]
    answers["DeleteRouteTable"] = [refusal("InvalidRouteTableID.NotFound"), refusal("DependencyViolation")]
    requests.clear()
    assert run_module("vpc_route_tables", vpc_id=vpc.id, tags=TAGS, state="absent")["changed"]
    assert requests == ["DescribeRouteTables", *["DisassociateRouteTable", "DeleteRouteTable"] * 2, "DeleteRouteTable"]
