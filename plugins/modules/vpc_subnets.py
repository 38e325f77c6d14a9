#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc_subnets
version_added: 0.1.0
short_description: Manage the subnets of a VPC as a set
description:
  - Creates the subnets of a VPC that are missing, mends the tags of those that are there, and removes all that carry given tags.
  - Whatever starts in one of them gets a public address only if it asks for one (C(MapPublicIpOnLaunch) is off).
  - The whole set costs one C(DescribeSubnets) and the writes that are needed. C(amazon.aws.ec2_vpc_subnet) takes one subnet and makes four
    to five requests for it, when nothing changes, too. Its removal fails at the first C(DependencyViolation), which AWS gives for minutes
    after a load balancer has gone.
author:
  - threetier.aws contributors
options:
  vpc_id:
    description: Id of the VPC. Required with O(state=present); without it, O(state=absent) looks at all VPCs of the region.
    type: str
  state:
    description:
      - Whether the subnets should exist.
      - V(present) leaves subnets that O(subnets) does not list as they are.
      - V(absent) removes all subnets that carry all of O(tags), which must not be empty then, and no others.
    type: str
    choices: [present, absent]
    default: present
  subnets:
    description: The subnets, which are told apart by their O(subnets[].cidr). Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the subnet, its tag C(Name).
        type: str
        required: true
      cidr:
        description: Block of IPv4 addresses, C(/16) to C(/28).
        type: str
        required: true
      availability_zone:
        description: Availability zone. AWS cannot move a subnet to another one.
        type: str
        required: true
  wait_timeout:
    description: Seconds until new subnets must be available, or until AWS must have let go of those that are removed.
    type: int
    default: 600
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
    description: Shows what changes of each subnet, by its name, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Two subnets
  threetier.aws.vpc_subnets:
    vpc_id: "{{ network_vpc_id }}"
    subnets:
      - {name: demo-public-a, cidr: 10.0.0.0/24, availability_zone: eu-central-1a}
      - {name: demo-public-b, cidr: 10.0.1.0/24, availability_zone: eu-central-1b}
    tags:
      "threetier:stack": demo

- name: Remove the stack's subnets
  threetier.aws.vpc_subnets:
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
  sample: {"created": ["demo-public-a"], "changed": [], "replaced": [], "deleted": [], "unchanged": ["demo-public-b"]}
subnets:
  description: The subnets in the order of O(subnets), as they are after the run; in check mode, as they would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-public-a
    subnet_id:
      description: Id; in check mode, of a subnet that does not exist yet, a text that says so.
      type: str
      sample: subnet-0123456789abcdef0
    cidr_block:
      description: Block of IPv4 addresses.
      type: str
      sample: 10.0.0.0/24
    availability_zone:
      description: Availability zone.
      type: str
      sample: eu-central-1a
    tags:
      description: Tags.
      type: dict
      sample: {"Name": "demo-public-a", "threetier:stack": "demo"}
"""

import time
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

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
    carries,
    named_tag_change,
    set_tags,
    tag_specifications,
    tags_of,
    text_tags,
)
from ansible_collections.threetier.aws.plugins.module_utils.vpc import LARGEST, SMALLEST, block_of, interfaces_in

# What AWS answers while a VPC, or a subnet, made just now is not known everywhere yet.
NOT_YET = (".NotFound",)


def describe(ec2: Any, vpc_id: str | None, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """All subnets of the VPC, or of the region, that carry the tags; none where the VPC is yet to be made."""
    if is_planned(vpc_id):
        return []
    filters = {f"tag:{key}": value for key, value in tags.items()} | ({"vpc-id": vpc_id} if vpc_id else {})
    pages = ec2.get_paginator("describe_subnets").paginate(Filters=ansible_dict_to_boto3_filter_list(filters))
    return pages.build_full_result()["Subnets"]


def problems_of(wanted: list[dict[str, Any]], found: list[dict[str, Any]]) -> Iterator[str]:
    """What AWS would refuse, or could not change."""
    for subnet in wanted:
        if not block_of(subnet["cidr"]):
            yield (
                f"{subnet['name']}: cidr must be a block of IPv4 addresses from /{LARGEST} to /{SMALLEST} that begins where such a block "
                f"can begin, such as 10.0.1.0/24, not {subnet['cidr']!r}"
            )
    for first, second in combinations(wanted, 2):
        if first["name"] == second["name"]:
            yield f"{first['name']}: two subnets of the list have this name; give each its own"
        if overlap(first["cidr"], second["cidr"]):
            yield f"{first['name']} and {second['name']}: {first['cidr']} and {second['cidr']} overlap; give each subnet a block of its own"
    for subnet in wanted:
        for other in found:
            named = f"{other['SubnetId']} ({tags_of(other).get('Name', 'without a name')})"
            if other.get("CidrBlock") != subnet["cidr"]:
                if overlap(other.get("CidrBlock"), subnet["cidr"]):
                    yield (
                        f"{subnet['name']}: {subnet['cidr']} overlaps {other['CidrBlock']} of {named}; "
                        "take another block, or remove that subnet"
                    )
            elif other["AvailabilityZone"] != subnet["availability_zone"]:
                yield (
                    f"{subnet['name']}: {subnet['cidr']} belongs to {named} in {other['AvailabilityZone']}, and AWS cannot move a subnet "
                    f"to {subnet['availability_zone']}; give {subnet['name']} another block or that zone, or remove {other['SubnetId']} "
                    "with all that is in it"
                )
            elif other.get("State", "").startswith("failed"):
                yield f"{subnet['name']}: AWS could not make {named}: its state is {other['State']}; remove it, and run again"


def overlap(first: str | None, second: str) -> bool:
    """Whether the blocks share addresses; what is no block shares none."""
    blocks = block_of(first or ""), block_of(second)
    return bool(blocks[0] and blocks[1] and blocks[0].overlaps(blocks[1]))


def create(ec2: Any, vpc_id: str, wanted: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    request = {
        "VpcId": vpc_id,
        "CidrBlock": wanted["cidr"],
        "AvailabilityZone": wanted["availability_zone"],
        "TagSpecifications": tag_specifications(tags, "subnet"),
    }
    return patiently(lambda: ec2.create_subnet(**request, aws_retry=True)["Subnet"], NOT_YET)


def wait_until_available(ec2: Any, params: dict[str, Any], subnets: list[dict[str, Any]]) -> None:
    """Waits only where AWS says that it is still at work: nothing can be put into a subnet before."""
    if pending := {subnet["SubnetId"] for subnet in subnets if subnet.get("State") == "pending"}:

        def available() -> set[str]:
            return {subnet["SubnetId"] for subnet in describe(ec2, params["vpc_id"], {}) if subnet["State"] == "available"}

        what = f"that the subnets {', '.join(sorted(pending))} become available"
        wait_for(available, lambda ids: pending <= ids, params["wait_timeout"], what)


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    found = describe(ec2, params["vpc_id"], {})
    if problems := list(problems_of(params["subnets"], found)):
        raise StateError("\n".join(problems))

    by_cidr = {subnet.get("CidrBlock"): subnet for subnet in found}
    diff: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    results, subnets = [], []
    for wanted in params["subnets"]:
        name, current = wanted["name"], by_cidr.get(wanted["cidr"])
        opened = bool(current and current.get("MapPublicIpOnLaunch"))
        tags = named_tag_change(tags_of(current), name, params)
        if current is None:
            diff["after"][name] = {"cidr": wanted["cidr"], "availability_zone": wanted["availability_zone"], "tags": tags.result}
            current = {"SubnetId": planned(name)} if check_mode else create(ec2, params["vpc_id"], wanted, tags.result)
        elif tags or opened:
            diff["before"][name], diff["after"][name] = dict(tags.before), dict(tags.after)
            if opened:
                diff["before"][name]["map_public_ip_on_launch"], diff["after"][name]["map_public_ip_on_launch"] = True, False
            if not check_mode:
                set_tags(ec2, current["SubnetId"], tags)
                if opened:
                    ec2.modify_subnet_attribute(SubnetId=current["SubnetId"], MapPublicIpOnLaunch={"Value": False}, aws_retry=True)
        subnets.append(current)
        results.append(
            {
                "name": name,
                "subnet_id": current["SubnetId"],
                "cidr_block": wanted["cidr"],
                "availability_zone": wanted["availability_zone"],
                "tags": tags.result,
            }
        )
    if not check_mode:
        wait_until_available(ec2, params, subnets)
    return {"subnets": results, **outcome(diff["before"], diff["after"], [subnet["name"] for subnet in results])}


def delete(ec2: Any, subnet_id: str, deadline: float) -> None:
    """Deletes a subnet, with patience: AWS takes minutes to take the interfaces of a load balancer out of it."""
    try:
        patiently(lambda: ec2.delete_subnet(SubnetId=subnet_id, aws_retry=True), ["DependencyViolation"], deadline - time.monotonic())
    except is_boto3_error_code("InvalidSubnetID.NotFound"):
        pass  # somebody was faster
    except is_boto3_error_code("DependencyViolation") as error:
        held = interfaces_in(ec2, "subnet", subnet_id)
        raise StateError(f"{error}\nIt holds {held}; remove what is in it, and run again") from error


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    tags = text_tags(params["tags"])
    if not tags:
        raise StateError("tags must not be empty with state=absent: they say which subnets are to be removed")
    found = [subnet for subnet in describe(ec2, params["vpc_id"], tags) if carries(subnet, tags)]
    if not check_mode:
        deadline = time.monotonic() + params["wait_timeout"]
        for subnet in found:
            delete(ec2, subnet["SubnetId"], deadline)
    before = {
        tags_of(subnet).get("Name", subnet["SubnetId"]): {"cidr": subnet.get("CidrBlock"), "availability_zone": subnet["AvailabilityZone"]}
        for subnet in found
    }
    return outcome(before, {})


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "vpc_id": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "subnets": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "cidr": {"type": "str", "required": True},
                    "availability_zone": {"type": "str", "required": True},
                },
            },
            "wait_timeout": {"type": "int", "default": 600},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ["vpc_id", "subnets"]), ("state", "absent", ["tags"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the subnets of {module.params['vpc_id'] or 'the region'}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
