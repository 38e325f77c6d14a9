#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc_endpoints
version_added: 0.1.0
short_description: Manage the endpoints of a VPC as a set
description:
  - Creates the gateway and interface endpoints of a VPC that are missing, mends those that are there, and removes all that carry given
    tags.
  - The whole set costs one C(DescribeVpcEndpoints) and the writes that are needed.
  - C(amazon.aws.ec2_vpc_endpoint) takes one endpoint, and changes nothing of an existing one but its tags. It knows an endpoint by its
    exact list of route tables, so another list makes it try to create a second one, which AWS refuses with C(RouteAlreadyExists).
    Interface endpoints have no route tables, so it takes the first of the service that has none. It has no option for private DNS, shows
    no difference, and its removal does not wait.
author:
  - threetier.aws contributors
options:
  vpc_id:
    description:
      - Id of the VPC; required with O(state=present).
      - Without it, O(state=absent) looks in all VPCs of the region.
    type: str
  state:
    description:
      - Whether the endpoints should exist.
      - V(present) leaves endpoints that O(endpoints) does not list as they are, unless O(purge=true), and does not wait until new ones are
        available.
      - V(absent) removes all endpoints that carry all of O(tags), which must not be empty then, and no others; it waits until they are
        gone.
    type: str
    choices: [present, absent]
    default: present
  endpoints:
    description:
      - The endpoints. Required with O(state=present).
      - An endpoint of the VPC, of the same service and type, is one of these when it has the name; otherwise when it carries all of
        O(tags); otherwise when AWS would refuse another one beside it, because they share a route table or would both have private DNS.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the endpoint, its tag C(Name).
        type: str
        required: true
      service:
        description: Name of the service, such as V(com.amazonaws.eu-central-1.s3).
        type: str
        required: true
      type:
        description: Type of the endpoint.
        type: str
        choices: [Gateway, Interface]
        required: true
      route_table_ids:
        description: Ids of the route tables that lead to a V(Gateway) endpoint, all of them; left as they are unless set.
        type: list
        elements: str
      subnet_ids:
        description:
          - Ids of the subnets in which an V(Interface) endpoint has an interface, one a zone, all of them; left as they are unless set.
        type: list
        elements: str
      security_group_ids:
        description:
          - Ids of the security groups of an V(Interface) endpoint, all of them, at least one.
          - Left as they are unless set; a new endpoint then gets the VPC's default group.
        type: list
        elements: str
      private_dns_enabled:
        description:
          - Whether, inside the VPC, the service's public name leads to an V(Interface) endpoint. V(true) unless set.
          - AWS wants both DNS attributes of the VPC for it, and allows one such endpoint a service and VPC.
        type: bool
      policy:
        description: Policy of the endpoint; left as it is unless set. A new endpoint then gets AWS's, which allows everything.
        type: dict
  purge:
    description:
      - Whether O(state=present) removes endpoints of the VPC that carry all of O(tags), but are not of this set. It does not wait until they
        are gone.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds within which AWS must have removed what is removed.
      - The same with O(state=present), where an endpoint has to be created after another one that AWS is removing, or changed while it is
        V(pending).
    type: int
    default: 600
notes:
  - AWS changes neither type nor service of an endpoint. One that has the name and all of O(tags), which must not be empty then, but another
    type or service, is removed as soon as the new one is made.
  - For an interface endpoint with private DNS for S3, AWS wants a gateway endpoint for S3 in the VPC; list that one first.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Predicts the result and writes nothing.
    support: full
  diff_mode:
    description: Shows what changes of each endpoint, by its name, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Endpoints for S3 and for the logs
  threetier.aws.vpc_endpoints:
    vpc_id: "{{ network_vpc_id }}"
    endpoints:
      - name: demo-s3
        service: com.amazonaws.eu-central-1.s3
        type: Gateway
        route_table_ids: ["{{ private_route_table_id }}"]
      - name: demo-logs
        service: com.amazonaws.eu-central-1.logs
        type: Interface
        subnet_ids: "{{ network_private_subnet_ids }}"
        security_group_ids: ["{{ endpoints_group_id }}"]
    tags:
      "threetier:stack": demo

- name: Remove the stack's endpoints
  threetier.aws.vpc_endpoints:
    tags:
      "threetier:stack": demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-s3"], "replaced": [], "deleted": [], "unchanged": ["demo-logs"]}
vpc_endpoints:
  description: The endpoints in the order of O(endpoints), as they are after the run; in check mode, as they would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-logs
    vpc_endpoint_id:
      description: Id; in check mode, of an endpoint that does not exist yet, a text that says so.
      type: str
      sample: vpce-0123456789abcdef0
    vpc_endpoint_type:
      description: V(Gateway) or V(Interface).
      type: str
      sample: Interface
    service_name:
      description: Name of the service.
      type: str
      sample: com.amazonaws.eu-central-1.logs
    state:
      description: State when the module looked, or at the creation.
      type: str
      sample: pending
    route_table_ids:
      description: Route tables that lead to it.
      type: list
      elements: str
      sample: []
    subnet_ids:
      description: Subnets that it has an interface in.
      type: list
      elements: str
      sample: [subnet-0123456789abcdef0]
    security_group_ids:
      description: Its security groups.
      type: list
      elements: str
      sample: [sg-0123456789abcdef0]
    private_dns_enabled:
      description: Whether the service's public name leads to it.
      type: bool
      sample: true
    tags:
      description: Tags.
      type: dict
      sample: {"Name": "demo-logs", "threetier:stack": "demo"}
"""

import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any
from uuid import uuid4

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.threetier.aws.plugins.module_utils.iam import statements
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    PATIENCE_SECONDS,
    StateError,
    client,
    differences,
    is_planned,
    outcome,
    patiently,
    planned,
    wait_for,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import (
    carries,
    named_tag_change,
    set_tags,
    tag_specifications,
    tags_of,
    text_tags,
)

GATEWAY = "Gateway"
INTERFACE = "Interface"
# Options that only one type has, in the words of the API: ModifyVpcEndpoint puts Add or Remove in front of the lists.
LISTS = {"route_table_ids": "RouteTableIds", "subnet_ids": "SubnetIds", "security_group_ids": "SecurityGroupIds"}
OPTIONS = {GATEWAY: ("route_table_ids",), INTERFACE: ("subnet_ids", "security_group_ids", "private_dns_enabled")}

GONE = "deleted"
GOING = "deleting"
BROKEN = ("failed", "rejected", "expired")
# What AWS answers while a VPC, a subnet, a table or a group, made just now, is not known everywhere yet.
NOT_YET = (".NotFound",)
# What AWS answers while an endpoint that is being deleted still has its routes, or its name.
STILL_THERE = ("RouteAlreadyExists", "conflicting DNS domain")


def describe(ec2: Any, filters: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """The endpoints that fit, but for those that are gone: AWS lists them for a while."""
    request = {"Filters": [{"Name": name, "Values": values} for name, values in filters.items()]}
    pages = ec2.get_paginator("describe_vpc_endpoints").paginate(**request)
    return [endpoint for endpoint in pages.build_full_result()["VpcEndpoints"] if state_of(endpoint) != GONE]


def state_of(endpoint: Mapping[str, Any]) -> str:
    """AWS answers C(available) where its model says C(Available)."""
    return endpoint["State"].lower()


def named(endpoint: Mapping[str, Any]) -> str:
    return f"{endpoint['VpcEndpointId']} ({tags_of(endpoint).get('Name', 'without a name')})"


def settings_of(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What can be changed of the endpoint, in the words of the options. Lists are sets, which AWS gives back in any order."""
    return {
        "route_table_ids": sorted(endpoint.get("RouteTableIds", [])),
        "subnet_ids": sorted(endpoint.get("SubnetIds", [])),
        "security_group_ids": sorted(group["GroupId"] for group in endpoint.get("Groups", [])),
        "private_dns_enabled": endpoint.get("PrivateDnsEnabled", False),
        "policy": json.loads(endpoint.get("PolicyDocument") or "{}"),
    }


def wanted_settings(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The same for what is wanted; None where there is no opinion."""
    lists = {option: None if wanted[option] is None else sorted(set(wanted[option])) for option in LISTS}
    private_dns = wanted["private_dns_enabled"]
    if wanted["type"] == INTERFACE and private_dns is None:
        private_dns = True
    return {**lists, "private_dns_enabled": private_dns, "policy": wanted["policy"]}


def in_the_way(wanted: Mapping[str, Any], endpoint: Mapping[str, Any]) -> bool:
    """Whether AWS refuses an endpoint beside this one, of the same service and type."""
    mine, other = wanted_settings(wanted), settings_of(endpoint)
    if wanted["type"] == GATEWAY:
        return bool(set(mine["route_table_ids"] or []) & set(other["route_table_ids"]))
    return mine["private_dns_enabled"] and other["private_dns_enabled"]


def same_kind(wanted: Mapping[str, Any], endpoint: Mapping[str, Any]) -> bool:
    return (wanted["service"], wanted["type"]) == (endpoint["ServiceName"], endpoint["VpcEndpointType"])


def matches(params: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The endpoint that each name stands for, where there is one. The surest sign decides first, and an endpoint stands for one name.

    What another AWS service made for itself, nobody else can change.
    """
    ours = [endpoint for endpoint in found if not endpoint.get("RequesterManaged")]
    tags = text_tags(params["tags"])
    signs = (
        lambda wanted, endpoint: tags_of(endpoint).get("Name") == wanted["name"],
        lambda wanted, endpoint: bool(tags) and carries(endpoint, tags),
        in_the_way,
    )
    chosen: dict[str, dict[str, Any]] = {}
    for sign in signs:
        for wanted in params["endpoints"]:
            free = [each for each in ours if same_kind(wanted, each) and each not in chosen.values()]
            if wanted["name"] not in chosen and (fitting := [each for each in free if sign(wanted, each)]):
                chosen[wanted["name"]] = fitting[0]
    return chosen


def outdated(
    params: dict[str, Any], wanted: Mapping[str, Any], found: list[dict[str, Any]], chosen: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Endpoints of this set that have the name, but another service or type than the one that the name stands for now."""
    if not params["tags"]:
        return []
    tags = text_tags({**params["tags"], "Name": wanted["name"]})
    free = [each for each in found if each not in chosen.values() and not each.get("RequesterManaged") and not same_kind(wanted, each)]
    return [each for each in free if carries(each, tags)]


def problems_of(wanted_ones: list[dict[str, Any]], found: list[dict[str, Any]], chosen: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """What AWS would refuse."""
    for wanted in wanted_ones:
        other_type = INTERFACE if wanted["type"] == GATEWAY else GATEWAY
        for option in OPTIONS[other_type]:
            if wanted[option] is not None:
                yield f"{wanted['name']}: {option} is for endpoints of type {other_type}; this one is of type {wanted['type']}"
        if wanted["security_group_ids"] == []:
            yield f"{wanted['name']}: security_group_ids must not be empty; leave it out for the VPC's default group, or list at least one"
    for first, second in combinations(wanted_ones, 2):
        names = f"{first['name']} and {second['name']}"
        if first["name"] == second["name"]:
            yield f"{first['name']}: two endpoints of the list have this name; give each its own"
        if (first["service"], first["type"]) == (second["service"], second["type"]):
            mine, other = wanted_settings(first), wanted_settings(second)
            if both := set(mine["route_table_ids"] or []) & set(other["route_table_ids"] or []):
                yield f"{names}: {', '.join(sorted(both))} can lead to one of them; take it out of the other"
            if mine["private_dns_enabled"] and other["private_dns_enabled"]:
                yield f"{names}: one of them can have private DNS; set private_dns_enabled: false for the other"
    for wanted in wanted_ones:
        current = chosen.get(wanted["name"])
        if current and state_of(current) in BROKEN:
            reason = current.get("LastError", {}).get("Message") or current.get("FailureReason") or "AWS gives no reason"
            yield f"{wanted['name']}: {current['VpcEndpointId']} is {state_of(current)} ({reason}); remove it, and run again"
        for other in found:
            if other is not current and state_of(other) != GOING and same_kind(wanted, other) and in_the_way(wanted, other):
                what = "one of its route tables" if wanted["type"] == GATEWAY else "private DNS for this service in this VPC"
                yield f"{wanted['name']}: {named(other)} has {what} already, and AWS allows one; take it from that endpoint first"


def create(ec2: Any, params: dict[str, Any], wanted: Mapping[str, Any], tags: Mapping[str, str], going: bool) -> dict[str, Any]:
    """Creates an endpoint; one of the kind that is C(going) may have to be gone before."""
    settings = wanted_settings(wanted)
    request: dict[str, Any] = {
        "VpcId": params["vpc_id"],
        "ServiceName": wanted["service"],
        "VpcEndpointType": wanted["type"],
        # a request that is repeated, because its answer was lost, makes no second endpoint
        "ClientToken": str(uuid4()),
        "TagSpecifications": tag_specifications(tags, "vpc-endpoint"),
        **{field: settings[option] for option, field in LISTS.items() if settings[option]},
    }
    if wanted["type"] == INTERFACE:
        request["PrivateDnsEnabled"] = settings["private_dns_enabled"]
    if settings["policy"] is not None:
        request["PolicyDocument"] = json.dumps(settings["policy"])
    refusals, seconds = ((*NOT_YET, *STILL_THERE), params["wait_timeout"]) if going else (NOT_YET, PATIENCE_SECONDS)
    return patiently(lambda: ec2.create_vpc_endpoint(**request, aws_retry=True)["VpcEndpoint"], refusals, seconds)


def modify(ec2: Any, params: dict[str, Any], current: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    """Changes what differs in one request, as soon as AWS has done with what it is at."""
    if state_of(current) == "pending":
        endpoint_id = current["VpcEndpointId"]

        def pending() -> bool:
            here = describe(ec2, {"vpc-id": [params["vpc_id"]]})
            return any(each["VpcEndpointId"] == endpoint_id and state_of(each) == "pending" for each in here)

        what = f"that the endpoint {named(current)} becomes available, to be changed"
        wait_for(pending, lambda still: not still, params["wait_timeout"], what)

    request, settings = {"VpcEndpointId": current["VpcEndpointId"]}, settings_of(current)
    for option, field in LISTS.items():
        if option in change:
            sides = {"Add": set(change[option]) - set(settings[option]), "Remove": set(settings[option]) - set(change[option])}
            request |= {f"{side}{field}": sorted(ids) for side, ids in sides.items() if ids}
    if "private_dns_enabled" in change:
        request["PrivateDnsEnabled"] = change["private_dns_enabled"]
    if "policy" in change:
        request["PolicyDocument"] = json.dumps(change["policy"])
    patiently(lambda: ec2.modify_vpc_endpoint(**request, aws_retry=True), NOT_YET)


def changes(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ, as they are wanted; policies by their meaning."""
    settings, found = wanted_settings(wanted), settings_of(current)
    policy = settings.pop("policy")
    change = differences(settings, found)
    if policy is not None and compare_policies(found["policy"], policy):
        change["policy"] = policy
    return change


def shown(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a diff shows them: a policy by its statements, so that the one that differs stands out."""
    return {**settings, "policy": statements(settings["policy"])} if settings.get("policy") else dict(settings)


def whole(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """An endpoint that goes, as a diff shows it."""
    settings = {option: value for option, value in settings_of(endpoint).items() if value}
    return {"service": endpoint["ServiceName"], "type": endpoint["VpcEndpointType"], **shown(settings), "tags": tags_of(endpoint)}


def unlisted(params: dict[str, Any], found: list[dict[str, Any]], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The endpoints that are to be purged."""
    tags = text_tags(params["tags"])
    return [each for each in found if each not in known and carries(each, tags)] if params["purge"] else []


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    everything = [] if is_planned(params["vpc_id"]) else describe(ec2, {"vpc-id": [params["vpc_id"]]})
    found = [endpoint for endpoint in everything if state_of(endpoint) != GOING]
    chosen = matches(params, found)
    problems = list(problems_of(params["endpoints"], found, chosen))
    if params["purge"] and not params["tags"]:
        problems.append("purge needs tags, which tell the endpoints of the set from those of others")
    if problems:
        raise StateError("\n".join(problems))

    diff: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    results: list[dict[str, Any]] = []
    superfluous: list[dict[str, Any]] = []
    replaced: list[str] = []
    for wanted in params["endpoints"]:
        name, current = wanted["name"], chosen.get(wanted["name"])
        tags = named_tag_change(tags_of(current), name, params)
        for endpoint in outdated(params, wanted, found, chosen):
            superfluous.append(endpoint)
            label = endpoint["VpcEndpointId"] if current or name in replaced else name
            replaced += [name] if label == name else []
            diff["before"][label] = whole(endpoint)
        if current is None:
            change = {option: value for option, value in wanted_settings(wanted).items() if value is not None}
            diff["after"][name] = {"service": wanted["service"], "type": wanted["type"], **shown(change), "tags": tags.result}
            going = any(same_kind(wanted, endpoint) for endpoint in everything if state_of(endpoint) == GOING)
            current = {"VpcEndpointId": planned(name), "State": "pending"}
            if not check_mode:
                current = create(ec2, params, wanted, tags.result, going)
        else:
            change = changes(wanted, current)
            if change or tags:
                diff["before"][name] = shown({option: settings_of(current)[option] for option in change}) | tags.before
                diff["after"][name] = shown(change) | tags.after
            if change and not check_mode:
                modify(ec2, params, current, change)
            if tags and not check_mode:
                set_tags(ec2, current["VpcEndpointId"], tags)
        results.append(public(wanted, current, change, tags.result))
    for endpoint in unlisted(params, found, [*chosen.values(), *superfluous]):
        superfluous.append(endpoint)
        name = tags_of(endpoint).get("Name", endpoint["VpcEndpointId"])
        diff["before"][endpoint["VpcEndpointId"] if name in diff["before"] or name in chosen else name] = whole(endpoint)
    if superfluous and not check_mode:
        delete(ec2, superfluous)
    names = [wanted["name"] for wanted in params["endpoints"]]
    return {"vpc_endpoints": results, **outcome(diff["before"], diff["after"], names, replaced)}


def public(wanted: Mapping[str, Any], endpoint: Mapping[str, Any], change: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """The endpoint as it is with the change. Its policy is left out: who sets it knows it."""
    settings = {**settings_of(endpoint), **change}
    del settings["policy"]
    return {
        "name": wanted["name"],
        "vpc_endpoint_id": endpoint["VpcEndpointId"],
        "vpc_endpoint_type": wanted["type"],
        "service_name": wanted["service"],
        "state": state_of(endpoint),
        **settings,
        "tags": tags,
    }


def delete(ec2: Any, endpoints: list[dict[str, Any]]) -> None:
    """Starts the removal. DeleteVpcEndpoints answers with what it did not do, instead of failing."""
    answer = ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"] for endpoint in endpoints], aws_retry=True)
    failed = {item["ResourceId"]: item["Error"] for item in answer.get("Unsuccessful", [])}
    # what is not found, somebody else removed
    failures = {endpoint_id: error for endpoint_id, error in failed.items() if not error["Code"].endswith(".NotFound")}
    if failures:
        reasons = [f"AWS did not remove {endpoint_id}: {error['Code']}: {error['Message']}" for endpoint_id, error in failures.items()]
        raise StateError("\n".join(reasons))


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    tags = text_tags(params["tags"])
    if not tags:
        raise StateError("tags must not be empty with state=absent: they say which endpoints are to be removed")
    if is_planned(params["vpc_id"]):
        return outcome({}, {})
    filters = {f"tag:{key}": [value] for key, value in tags.items()} | ({"vpc-id": [params["vpc_id"]]} if params["vpc_id"] else {})
    found = [endpoint for endpoint in describe(ec2, filters) if carries(endpoint, tags)]
    staying = [endpoint for endpoint in found if state_of(endpoint) != GOING]
    if not check_mode:
        if staying:
            delete(ec2, staying)
        if found:  # those that are going already, too
            ids, vpc_ids = {endpoint["VpcEndpointId"] for endpoint in found}, sorted({endpoint["VpcId"] for endpoint in found})

            def left() -> set[str]:
                return ids & {endpoint["VpcEndpointId"] for endpoint in describe(ec2, {"vpc-id": vpc_ids})}

            wait_for(left, lambda still: not still, params["wait_timeout"], f"the removal of the endpoints {', '.join(sorted(ids))}")
    before: dict[str, Any] = {}
    for endpoint in staying:
        name = tags_of(endpoint).get("Name", endpoint["VpcEndpointId"])
        before[endpoint["VpcEndpointId"] if name in before else name] = whole(endpoint)
    return outcome(before, {})


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "vpc_id": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "endpoints": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "service": {"type": "str", "required": True},
                    "type": {"type": "str", "choices": [GATEWAY, INTERFACE], "required": True},
                    "route_table_ids": {"type": "list", "elements": "str"},
                    "subnet_ids": {"type": "list", "elements": "str"},
                    "security_group_ids": {"type": "list", "elements": "str"},
                    "private_dns_enabled": {"type": "bool"},
                    "policy": {"type": "dict"},
                },
            },
            "purge": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 600},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ["vpc_id", "endpoints"]), ("state", "absent", ["tags"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the endpoints of {module.params['vpc_id'] or 'the region'}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
