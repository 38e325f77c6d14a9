#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc_route_tables
version_added: 0.1.0
short_description: Manage the route tables of a VPC as a set
description:
  - Creates the route tables of a VPC that are missing, mends routes, subnets and tags of those that are there, and removes all that carry
    given tags.
  - The whole set costs one C(DescribeRouteTables) and the writes that are needed. C(amazon.aws.ec2_vpc_route_table) takes one table, sleeps
    5 s after each change (at the end of C(ensure_route_table_present) in its source), does not wait for a NAT gateway, and warns about the
    route of each gateway endpoint when it purges routes.
  - A table is found by its name; where the VPC has several of the name, the one that carries O(tags) is meant.
author:
  - threetier.aws contributors
options:
  vpc_id:
    description: Id of the VPC. Required with O(state=present); without it, O(state=absent) looks at all VPCs of the region.
    type: str
  state:
    description:
      - Whether the tables should exist.
      - V(present) leaves tables that O(tables) does not list as they are.
      - V(absent) removes all tables that carry all of O(tags), which must not be empty then, and ends their associations first. The main
        table of a VPC goes with the VPC only.
    type: str
    choices: [present, absent]
    default: present
  tables:
    description: The tables. Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the table, its tag C(Name).
        type: str
        required: true
      subnets:
        description:
          - Ids of the subnets that use the table. One that uses another table is moved in one step, so that it is never without.
        type: list
        elements: str
        default: []
      routes:
        description:
          - Routes of the table to IPv4 addresses. A route that leads elsewhere now, or nowhere (C(blackhole)), is replaced in place.
          - The route inside the VPC is there without being listed.
        type: list
        elements: dict
        default: []
        suboptions:
          destination:
            description: Block of IPv4 addresses, such as V(0.0.0.0/0).
            type: str
            required: true
          gateway_id:
            description: Id of an Internet gateway or a virtual private gateway.
            type: str
          nat_gateway_id:
            description: Id of a NAT gateway. The module waits for it where it is C(pending).
            type: str
          network_interface_id:
            description: Id of a network interface, that of a NAT instance for example.
            type: str
  purge_routes:
    description:
      - Whether routes that are not listed are removed, those to IPv6 addresses and prefix lists included.
      - The route inside the VPC, those of endpoints, and those that a gateway has propagated always stay.
    type: bool
    default: true
  purge_subnets:
    description:
      - Whether subnets that no table of O(tables) lists stop using these tables. Such a subnet then uses the main table of the VPC.
    type: bool
    default: true
  wait_timeout:
    description: Seconds until NAT gateways must be available, or until AWS must have let go of tables that are removed.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Predicts the result, writes nothing and waits for nothing.
    support: full
  diff_mode:
    description: Shows what changes of each table, by its name, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
notes:
  - Tables whose routes need no NAT gateway that is yet to become available are finished before the module waits for one.
"""

EXAMPLES = r"""
- name: A public and a private table
  threetier.aws.vpc_route_tables:
    vpc_id: "{{ network_vpc_id }}"
    tables:
      - name: demo-public
        subnets: "{{ network_public_subnet_ids }}"
        routes:
          - {destination: 0.0.0.0/0, gateway_id: "{{ internet_gateway.gateway_id }}"}
      - name: demo-private-a
        subnets: ["{{ network_private_subnet_ids[0] }}"]
        routes:
          - {destination: 0.0.0.0/0, nat_gateway_id: "{{ network_nat_gateway_ids[0] }}"}
    tags:
      "threetier:stack": demo

- name: Remove the stack's tables
  threetier.aws.vpc_route_tables:
    vpc_id: "{{ network_vpc_id }}"
    tags:
      "threetier:stack": demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-private-a"], "replaced": [], "deleted": [], "unchanged": ["demo-public"]}
route_tables:
  description: The tables in the order of O(tables), as they are after the run; in check mode, as they would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-public
    route_table_id:
      description: Id; in check mode, of a table that does not exist yet, a text that says so.
      type: str
      sample: rtb-0123456789abcdef0
    routes:
      description:
        - Routes that somebody made, each with its destination and its target. What O(purge_routes) never removes is left out.
      type: list
      elements: dict
      sample: [{"destination": "0.0.0.0/0", "gateway_id": "igw-0123456789abcdef0"}]
    subnets:
      description: Ids of the subnets that use the table, without those that use it only because it is the main table.
      type: list
      elements: str
      sample: [subnet-0123456789abcdef0]
    tags:
      description: Tags.
      type: dict
      sample: {"Name": "demo-public", "threetier:stack": "demo"}
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict, snake_dict_to_camel_dict
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.transformation import ansible_dict_to_boto3_filter_list
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    is_planned,
    outcome,
    patiently,
    planned,
    wait_for,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import (
    TagChange,
    carries,
    named_tag_change,
    set_tags,
    tag_specifications,
    tags_of,
    text_tags,
)

# How AWS's code ends while a table, subnet, gateway or interface made just now is not known everywhere yet.
NOT_YET = (".NotFound",)
# The options that name a route's target, and how the ids in them begin.
TARGETS = {"gateway_id": ("igw-", "vgw-"), "nat_gateway_id": ("nat-",), "network_interface_id": ("eni-",)}
# What a route leads to, by one of these, which DeleteRoute takes just so.
DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
# What a route is described with beside its target. A route to an instance names its interface, too.
NO_TARGET = {*DESTINATIONS, "Origin", "State", "InstanceId", "InstanceOwnerId"}

Target = dict[str, str]  # such as {"nat_gateway_id": "nat-1"}


@dataclass(frozen=True)
class Association:
    """What makes a subnet use a table."""

    association_id: str
    table: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What has to happen to one table: C(current) is None where it must be made."""

    name: str
    current: dict[str, Any] | None
    routes: dict[str, Target]  # made or replaced, by destination
    superfluous: list[str]  # destinations
    subnets: dict[str, Association | None]  # associated, with what they are now
    unlisted: dict[str, str]  # subnets that no table of the list has, with their association
    tags: TagChange

    @property
    def nat_gateways(self) -> set[str]:
        """Those that must be available before the routes can be written."""
        return {target["nat_gateway_id"] for target in self.routes.values() if "nat_gateway_id" in target}

    @property
    def before(self) -> dict[str, Any]:
        routes = routes_of(self.current)
        return {
            **{f"route {destination}": shown(routes.get(destination)) for destination in [*self.routes, *self.superfluous]},
            **{f"subnet {subnet}": None for subnet in self.subnets},
            **{f"subnet {subnet}": "associated" for subnet in self.unlisted},
            **self.tags.before,
        }

    @property
    def after(self) -> dict[str, Any]:
        return {
            **{f"route {destination}": next(iter(target.values())) for destination, target in self.routes.items()},
            **{f"route {destination}": None for destination in self.superfluous},
            **{f"subnet {subnet}": "associated" for subnet in self.subnets},
            **{f"subnet {subnet}": None for subnet in self.unlisted},
            **(self.tags.after if self.current else {"tags": self.tags.result}),
        }

    def result(self, table_id: str, moved: set[str]) -> dict[str, Any]:
        """The table once all is done; C(moved) are the subnets that have left the tables that they used."""
        routes = {destination: target_of(route) for destination, route in routes_of(self.current).items()} | self.routes
        return {
            "name": self.name,
            "route_table_id": table_id,
            "routes": [{"destination": each, **target} for each, target in routes.items() if each not in self.superfluous],
            "subnets": [*(subnet for subnet in subnets_of(self.current) if subnet not in moved), *self.subnets],
            "tags": self.tags.result,
        }


def describe(ec2: Any, vpc_id: str | None, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """All route tables of the VPC, or of the region, that carry the tags; none where the VPC is yet to be made."""
    if is_planned(vpc_id):
        return []
    filters = {f"tag:{key}": value for key, value in tags.items()} | ({"vpc-id": vpc_id} if vpc_id else {})
    pages = ec2.get_paginator("describe_route_tables").paginate(Filters=ansible_dict_to_boto3_filter_list(filters))
    return pages.build_full_result()["RouteTables"]


def label(table: Mapping[str, Any]) -> str:
    return tags_of(table).get("Name", table["RouteTableId"])


def routes_of(table: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The routes that are somebody's to make and to remove, by destination."""
    return {
        next(iter(destination_of(route).values())): route
        for route in (table or {}).get("Routes", [])
        if route["Origin"] == "CreateRoute" and not route.get("GatewayId", "").startswith("vpce-")
    }


def destination_of(route: Mapping[str, Any]) -> dict[str, str]:
    return {field: route[field] for field in DESTINATIONS if route.get(field)}


def subnets_of(table: Mapping[str, Any] | None) -> dict[str, str]:
    """The association of each subnet that uses the table by one."""
    return {
        each["SubnetId"]: each["RouteTableAssociationId"]
        for each in (table or {}).get("Associations", [])
        if each.get("SubnetId") and each.get("AssociationState", {}).get("State", "associated") in ("associating", "associated")
    }


def target_of(route: Mapping[str, Any]) -> Target:
    return camel_dict_to_snake_dict({field: value for field, value in route.items() if field not in NO_TARGET})


def shown(route: Mapping[str, Any] | None) -> str | None:
    """The target of a route as a diff shows it."""
    if route is None:
        return None
    target = ", ".join(target_of(route).values())
    return f"{target} (blackhole)" if route["State"] == "blackhole" else target


def given_target(route: Mapping[str, Any]) -> Target:
    """The target of a route of the options."""
    return {field: route[field] for field in TARGETS if route[field]}


def problems_of(tables: list[dict[str, Any]]) -> Iterator[str]:
    """What AWS would refuse, or what contradicts itself."""
    for name, count in Counter(table["name"] for table in tables).items():
        if count > 1:
            yield f"{name}: {count} tables of the list have this name; give each its own"
    for subnet, count in Counter(subnet for table in tables for subnet in table["subnets"]).items():
        if count > 1:
            yield f"{subnet}: the list names this subnet {count} times, and a subnet uses one table; name it once"
    for table in tables:
        for destination, count in Counter(route["destination"] for route in table["routes"]).items():
            if not is_block(destination):
                yield f"{table['name']}: destination must be a block of IPv4 addresses such as 10.1.0.0/16, not {destination!r}"
            if count > 1:
                yield f"{table['name']}: {count} routes to {destination}; a table has one to each destination"
        for route in table["routes"]:
            targets, which = given_target(route), f"{table['name']}: the route to {route['destination']}"
            if len(targets) != 1:
                yield f"{which} must have exactly one of {', '.join(TARGETS)}, not {len(targets)}"
            for field, value in targets.items():
                if not is_planned(value) and not value.startswith(TARGETS[field]):
                    yield f"{which} has the {field} {value!r}, which must begin with {' or '.join(TARGETS[field])}"


def is_block(cidr: str) -> bool:
    """Whether C(cidr) is a block as AWS writes it: what it would write otherwise would differ at each run."""
    try:
        return str(IPv4Network(cidr)) == cidr
    except ValueError:
        return False


def find(found: list[dict[str, Any]], name: str, tags: Mapping[str, str]) -> dict[str, Any] | None:
    """The table of the name. Tags decide between namesakes only, or a table would be doubled as soon as its tags are to change."""
    named = [table for table in found if tags_of(table).get("Name") == name]
    tables = [table for table in named if carries(table, tags)] or named
    if len(tables) > 1:
        ids = ", ".join(table["RouteTableId"] for table in tables)
        raise StateError(f"{name}: the VPC has {len(tables)} route tables of this name ({ids}); remove or rename all but one")
    return tables[0] if tables else None


def plan(
    wanted: Mapping[str, Any], current: dict[str, Any] | None, associations: Mapping[str, Association], params: Mapping[str, Any]
) -> Plan:
    routes = {route["destination"]: given_target(route) for route in wanted["routes"]}
    current_routes, current_subnets = routes_of(current), subnets_of(current)
    listed = {subnet for table in params["tables"] for subnet in table["subnets"]}
    return Plan(
        name=wanted["name"],
        current=current,
        routes={
            destination: target
            for destination, target in routes.items()
            if not (route := current_routes.get(destination)) or target_of(route) != target or route["State"] == "blackhole"
        },
        superfluous=[destination for destination in current_routes if destination not in routes] if params["purge_routes"] else [],
        subnets={subnet: associations.get(subnet) for subnet in wanted["subnets"] if subnet not in current_subnets},
        unlisted={subnet: each for subnet, each in current_subnets.items() if subnet not in listed} if params["purge_subnets"] else {},
        tags=named_tag_change(tags_of(current), wanted["name"], params),
    )


def create(ec2: Any, vpc_id: str, tags: Mapping[str, str]) -> str:
    """The id of a new table. Its tags come with it, so that it is found again whatever happens next."""
    request = {"VpcId": vpc_id, "TagSpecifications": tag_specifications(tags, "route-table")}
    answer = patiently(lambda: ec2.create_route_table(**request, aws_retry=True), NOT_YET)
    return answer["RouteTable"]["RouteTableId"]


def write(ec2: Any, change: Plan, table_id: str) -> None:
    """Routes first: a subnet that is moved finds them there."""
    current_routes = routes_of(change.current)
    for destination, target in change.routes.items():
        call = ec2.replace_route if destination in current_routes else ec2.create_route
        request = {"RouteTableId": table_id, "DestinationCidrBlock": destination, **snake_dict_to_camel_dict(target, capitalize_first=True)}
        patiently(lambda call=call, request=request: call(**request, aws_retry=True), NOT_YET)
    for destination in change.superfluous:
        ec2.delete_route(RouteTableId=table_id, **destination_of(current_routes[destination]), aws_retry=True)
    for subnet, old in change.subnets.items():
        if old:
            call, request = ec2.replace_route_table_association, {"RouteTableId": table_id, "AssociationId": old.association_id}
        else:
            call, request = ec2.associate_route_table, {"RouteTableId": table_id, "SubnetId": subnet}
        patiently(lambda call=call, request=request: call(**request, aws_retry=True), NOT_YET)
    for association_id in change.unlisted.values():
        disassociate(ec2, association_id)


def disassociate(ec2: Any, association_id: str) -> None:
    try:
        ec2.disassociate_route_table(AssociationId=association_id, aws_retry=True)
    except is_boto3_error_code("InvalidAssociationID.NotFound"):
        pass  # it went with its subnet


def wait_for_nat_gateways(ec2: Any, ids: set[str], seconds: float) -> None:
    """A route cannot lead to a NAT gateway that is pending, and never will to one that failed."""

    def states() -> set[str]:
        request = {"NatGatewayIds": sorted(ids)}
        gateways = patiently(lambda: ec2.describe_nat_gateways(**request, aws_retry=True), ["NatGatewayNotFound"])["NatGateways"]
        lost = [gateway for gateway in gateways if gateway["State"] not in ("pending", "available")]
        if lost:
            raise StateError("\n".join(map(why_lost, lost)))
        return {gateway["State"] for gateway in gateways}

    wait_for(states, lambda found: found == {"available"}, seconds, f"that the NAT gateways {', '.join(sorted(ids))} become available")


def why_lost(gateway: Mapping[str, Any]) -> str:
    """A sentence on a NAT gateway that no route can lead to."""
    reason = f" ({gateway['FailureCode']}: {gateway.get('FailureMessage')})" if gateway.get("FailureCode") else ""
    return f"NAT gateway {gateway['NatGatewayId']} is {gateway['State']}{reason}; no route can lead to it: make another one, and run again"


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if problems := list(problems_of(params["tables"])):
        raise StateError("\n".join(problems))
    found = describe(ec2, params["vpc_id"], {})
    associations = {subnet: Association(association_id, table) for table in found for subnet, association_id in subnets_of(table).items()}
    tags = text_tags(params["tags"])
    plans = [plan(table, find(found, table["name"], tags), associations, params) for table in params["tables"]]

    ids = {each.name: each.current["RouteTableId"] if each.current else planned(each.name) for each in plans}
    if not check_mode:
        for change in plans:
            if change.current is None:
                ids[change.name] = create(ec2, params["vpc_id"], change.tags.result)
            else:
                set_tags(ec2, ids[change.name], change.tags)
        waiting = [change for change in plans if change.nat_gateways]
        for change in plans:
            if change not in waiting:
                write(ec2, change, ids[change.name])
        if waiting:
            wait_for_nat_gateways(ec2, set().union(*(change.nat_gateways for change in waiting)), params["wait_timeout"])
        for change in waiting:
            write(ec2, change, ids[change.name])

    moved = {subnet for change in plans for subnet in [*change.subnets, *change.unlisted]}
    return {"route_tables": [each.result(ids[each.name], moved) for each in plans], **outcome(*differences(plans), list(ids))}


def differences(plans: list[Plan]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs of each table, before and after, those included that only lose a subnet to another one."""
    before: dict[str, Any] = {change.name: change.before for change in plans if change.current and change.before}
    after: dict[str, Any] = {change.name: change.after for change in plans if not change.current or change.after}
    names = {change.current["RouteTableId"]: change.name for change in plans if change.current}
    for change in plans:
        for subnet, old in change.subnets.items():
            if old:
                table_id, name = old.table["RouteTableId"], label(old.table)
                name = names.get(table_id, table_id if name in names.values() else name)
                before.setdefault(name, {})[f"subnet {subnet}"] = "associated"
                after.setdefault(name, {})[f"subnet {subnet}"] = None
    return before, after


def delete(ec2: Any, table: Mapping[str, Any], deadline: float) -> None:
    """Ends the table's associations, then the table. AWS may take a moment to know that it is no longer used."""
    table_id = table["RouteTableId"]
    try:
        for association in table.get("Associations", []):
            disassociate(ec2, association["RouteTableAssociationId"])
        left = deadline - time.monotonic()
        patiently(lambda: ec2.delete_route_table(RouteTableId=table_id, aws_retry=True), ["DependencyViolation"], left)
    except is_boto3_error_code(["InvalidRouteTableID.NotFound", "InvalidRouteTableId.NotFound"]):
        pass  # somebody was faster


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    tags = text_tags(params["tags"])
    if not tags:
        raise StateError("tags must not be empty with state=absent: they say which route tables are to be removed")
    found = [
        table
        for table in describe(ec2, params["vpc_id"], tags)
        if carries(table, tags) and not any(each.get("Main") for each in table.get("Associations", []))
    ]
    if not check_mode:
        deadline = time.monotonic() + params["wait_timeout"]
        for table in found:
            delete(ec2, table, deadline)
    before = {
        label(table): {
            **{f"route {destination}": shown(route) for destination, route in routes_of(table).items()},
            **{f"subnet {subnet}": "associated" for subnet in subnets_of(table)},
            "tags": tags_of(table),
        }
        for table in found
    }
    return outcome(before, {})


def main() -> None:
    route = {"destination": {"type": "str", "required": True}, **{field: {"type": "str"} for field in TARGETS}}
    table = {
        "name": {"type": "str", "required": True},
        "subnets": {"type": "list", "elements": "str", "default": []},
        "routes": {"type": "list", "elements": "dict", "default": [], "options": route},
    }
    module = AnsibleAWSModule(
        argument_spec={
            "vpc_id": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "tables": {"type": "list", "elements": "dict", "options": table},
            "purge_routes": {"type": "bool", "default": True},
            "purge_subnets": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 600},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ["vpc_id", "tables"]), ("state", "absent", ["tags"])],
        supports_check_mode=True,
    )
    params = module.params
    ensure = ensure_present if params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the route tables of {params['vpc_id'] or 'the region'}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
