#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc_nat_gateways
version_added: 0.1.0
short_description: Manage the public NAT gateways of a VPC, and their addresses, as one set
description:
  - Creates, tags and deletes the NAT gateways of a VPC together with an Elastic IP address for each of them.
  - A gateway counts as a wanted one when it is in its subnet and carries all of O(tags), or its name. One that is C(failed) does not count.
    An address that an interrupted run has made, but not used, is adopted.
  - C(amazon.aws.ec2_vpc_nat_gateway) takes one gateway at a time, makes another gateway and address on each run unless told not to, and
    with O(amazon.aws.ec2_vpc_nat_gateway#module:client_token) fails after it has created the gateway. Its removal in check mode is always
    a change.
author:
  - threetier.aws contributors
options:
  vpc_id:
    description: Id of the VPC. Required with O(state=present). Without it, O(state=absent) only releases addresses.
    type: str
  gateways:
    description: The gateways of the set, at most one in a subnet. Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      name:
        description: Tag C(Name) of the gateway and of its address.
        type: str
        required: true
      subnet_id:
        description: Id of the public subnet that it is in. The VPC must have an Internet gateway already, or AWS lets the gateway fail.
        type: str
        required: true
  purge:
    description: Whether O(state=present) removes gateways and unused addresses that carry all of O(tags), but are not of this set.
    type: bool
    default: false
  keep:
    description:
      - Ids of gateways that O(state=absent) leaves, with their addresses. Where it is given, addresses that something uses stay, too.
      - So those go that no route leads to any more; the ids of a preview's gateways, which do not exist yet, are none.
    type: list
    elements: str
  wait:
    description:
      - Whether O(state=present) waits until all gateways are available, some two minutes. Not by default. Until then AWS may refuse a
        route to one (C(InvalidNatGatewayID.NotFound)).
      - Whether O(state=absent) waits until they are deleted, and then releases the addresses. By default it does. Without, run it again later.
    type: bool
  wait_timeout:
    description: Seconds that the wait, or the removal, may take.
    type: int
    default: 600
  state:
    description:
      - Whether the gateways should exist.
      - V(absent) deletes all gateways of the VPC that carry all of O(tags), and releases their addresses and all others that carry O(tags).
    type: str
    choices: [present, absent]
    default: present
notes:
  - An address gets its gateway's tags together with it. Tags that somebody changed on the address alone are not looked for.
  - AWS cannot move a gateway. For one in another subnet, a new one is made; O(purge=true) removes the old one, which routes may still lead
    to.
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
    description: Shows, by name, the gateways that come and go and the tags that change. Unused addresses go by their public address.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: A way out for each zone
  threetier.aws.vpc_nat_gateways:
    vpc_id: "{{ network_vpc_id }}"
    gateways:
      - {name: demo-a, subnet_id: subnet-0123456789abcdef0}
      - {name: demo-b, subnet_id: subnet-0123456789abcdef1}
    tags:
      "threetier:stack": demo
    purge: true

- name: Remove the NAT gateways and their addresses
  threetier.aws.vpc_nat_gateways:
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
  sample: {"created": ["demo-b"], "changed": [], "replaced": [], "deleted": [], "unchanged": ["demo-a"]}
nat_gateways:
  description: The gateways in the order given.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-a
    nat_gateway_id:
      description: Id; in check mode, a text in its place for a gateway that does not exist yet.
      type: str
      sample: nat-0123456789abcdef0
    state:
      description: V(pending) or V(available).
      type: str
      sample: available
    subnet_id:
      description: Id of the subnet.
      type: str
      sample: subnet-0123456789abcdef0
    allocation_id:
      description: Id of its address; in check mode, a text in its place for an address that does not exist yet.
      type: str
      sample: eipalloc-0123456789abcdef0
    public_ip:
      description: Its address; null where it is not known yet.
      type: str
      sample: 198.51.100.7
    tags:
      description: Tags.
      type: dict
      sample: {"Name": "demo-a", "threetier:stack": "demo"}
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code, paginated_query_with_retries
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
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
    set_tags,
    tag_change,
    tag_specifications,
    tags_of,
    text_tags,
)

USABLE = ("pending", "available")
# A failed gateway is shown for about an hour, a deleted one too.
# https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
NOT_DELETED = [*USABLE, "failed", "deleting"]
# What AWS answers where a subnet or an address that was made just now is not known everywhere yet.
NOT_YET = ("InvalidSubnetID.NotFound", "InvalidAllocationID.NotFound", "InvalidElasticIpID.NotFound")
# What AWS answers while the interface of a deleted gateway still has the address.
STILL_HELD = ("AuthFailure", "InvalidIPAddress.InUse")


def describe(ec2: Any, vpc_id: str | None) -> list[dict[str, Any]]:
    """The NAT gateways of the VPC that are not deleted, with their tags as a dictionary."""
    if not vpc_id or is_planned(vpc_id):
        return []
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "state", "Values": NOT_DELETED}]
    found = paginated_query_with_retries(ec2, "describe_nat_gateways", Filter=filters)["NatGateways"]
    return [{**gateway, "Tags": tags_of(gateway)} for gateway in found]


def tagged_addresses(ec2: Any, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """The addresses that carry all of the tags, of which there is one at least. DescribeAddresses has no pages."""
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
    found = ec2.describe_addresses(Filters=filters, aws_retry=True)["Addresses"]
    addresses = [{**address, "Tags": tags_of(address)} for address in found]
    return [address for address in addresses if carries(address, tags)]  # a filter takes * and ? for wildcards


def carries(resource: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    return bool(tags) and tags.items() <= resource["Tags"].items()


def address_of(gateway: Mapping[str, Any]) -> dict[str, Any]:
    """The address of a public gateway, which may not be shown as long as the gateway is pending."""
    return next(iter(gateway.get("NatGatewayAddresses", [])), {})


def match(wanted: Mapping[str, Any], found: list[dict[str, Any]], tags: Mapping[str, str]) -> dict[str, Any] | None:
    """The gateway that counts as the wanted one. After two runs at once there may be several: the same one is chosen each time."""
    candidates = [
        gateway
        for gateway in found
        if gateway["SubnetId"] == wanted["subnet_id"] and (carries(gateway, tags) or gateway["Tags"].get("Name") == wanted["name"])
    ]

    def rank(gateway: Mapping[str, Any]) -> tuple[bool, bool, str]:
        return gateway["Tags"].get("Name") != wanted["name"], gateway["State"] != "available", gateway["NatGatewayId"]

    return min(candidates, key=rank, default=None)


def create(ec2: Any, subnet_id: str, tags: Mapping[str, str], address: dict[str, Any] | None) -> dict[str, Any]:
    """Creates the gateway. Its address is made first and tagged at once, so that the next run finds it after a crash in between."""
    if address is None:
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=tag_specifications(tags, "elastic-ip"), aws_retry=True)
    request = {
        "SubnetId": subnet_id,
        "AllocationId": address["AllocationId"],
        "ConnectivityType": "public",
        "TagSpecifications": tag_specifications(tags, "natgateway"),
    }
    gateway = patiently(lambda: ec2.create_nat_gateway(**request, aws_retry=True)["NatGateway"], NOT_YET)
    return {**gateway, "Tags": dict(tags), "NatGatewayAddresses": [address]}


def set_tags(ec2: Any, gateway: Mapping[str, Any], change: TagChange, tags: Mapping[str, str]) -> None:
    """Tags the gateway and its address in one request: only the gateway is compared, so it must not have new tags without its address."""
    resources = [gateway["NatGatewayId"], *filter(None, [address_of(gateway).get("AllocationId")])]
    if change.to_set:
        ec2.create_tags(Resources=resources, Tags=ansible_dict_to_boto3_tag_list(tags), aws_retry=True)
    if change.to_remove:
        ec2.delete_tags(Resources=resources, Tags=[{"Key": key} for key in change.to_remove], aws_retry=True)


def start_removal(ec2: Any, gateways: list[dict[str, Any]]) -> None:
    for gateway in gateways:
        if gateway["State"] != "deleting":
            try:
                ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"], aws_retry=True)
            except is_boto3_error_code("NatGatewayNotFound"):
                pass


def remove(ec2: Any, vpc_id: str | None, gateways: list[dict[str, Any]], addresses: list[dict[str, Any]], seconds: float) -> None:
    """Deletes the gateways side by side, waits until AWS has, and releases the addresses."""
    deadline = time.monotonic() + seconds
    start_removal(ec2, gateways)
    if gateways:
        ids = {gateway["NatGatewayId"] for gateway in gateways}
        wait_for(
            lambda: ids & {gateway["NatGatewayId"] for gateway in describe(ec2, vpc_id)},
            lambda left: not left,
            seconds,
            f"the removal of the NAT gateways {', '.join(sorted(ids))}",
        )
    for address in addresses:
        release(ec2, address["AllocationId"], max(0.0, deadline - time.monotonic()))


def release(ec2: Any, allocation_id: str, seconds: float) -> None:
    try:
        patiently(lambda: ec2.release_address(AllocationId=allocation_id, aws_retry=True), STILL_HELD, seconds)
    except is_boto3_error_code("InvalidAllocationID.NotFound"):
        pass
    except is_boto3_error_code(list(STILL_HELD)) as error:  # pylint: disable=duplicate-except
        raise StateError(f"the address {allocation_id} is still in use ({error}); remove what uses it, and run again") from error


def removal(gateways: list[dict[str, Any]], addresses: list[dict[str, Any]], kept: Iterable[str] = ()) -> dict[str, Any]:
    """What goes, as a diff shows it; C(kept) are the names of gateways that stay."""
    before: dict[str, Any] = {}
    for gateway in gateways:
        name = gateway["Tags"].get("Name", gateway["NatGatewayId"])
        # two gateways with one name: AWS allows it, and upstream's module has made them
        before[gateway["NatGatewayId"] if name in before or name in kept else name] = {
            "nat_gateway_id": gateway["NatGatewayId"],
            "subnet_id": gateway["SubnetId"],
            "public_ip": address_of(gateway).get("PublicIp"),
            "tags": gateway["Tags"],
        }
    held = {address_of(gateway).get("AllocationId") for gateway in gateways}
    free = [address for address in addresses if address["AllocationId"] not in held]
    return before | {address["PublicIp"]: {"allocation_id": address["AllocationId"], "tags": address["Tags"]} for address in free}


def addresses_to_release(gateways: list[dict[str, Any]], addresses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The addresses, and those of the gateways, which may have lost their tags; each once."""
    of_gateways = [address_of(gateway) for gateway in gateways]
    return list({address["AllocationId"]: address for address in [*addresses, *of_gateways] if "AllocationId" in address}.values())


def problems(params: dict[str, Any]) -> Iterator[str]:
    for field in ("name", "subnet_id"):
        values = [gateway[field] for gateway in params["gateways"]]
        # several subnets of a preview may have one text for their ids
        for value in dict.fromkeys(value for value in values if values.count(value) > 1 and not is_planned(value)):
            yield f"gateways has {field} {value} {values.count(value)} times; each gateway needs a {field} of its own"
    if params["purge"] and not params["tags"]:
        yield "purge needs tags, which tell the gateways of the set from those of others"


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if refused := [*problems(params)]:
        raise StateError("; ".join(refused))
    tags = text_tags(params["tags"])
    found = describe(ec2, params["vpc_id"])
    usable = [gateway for gateway in found if gateway["State"] in USABLE]
    there = {gateway["name"]: match(gateway, usable, tags) for gateway in params["gateways"]}
    missing = [name for name, gateway in there.items() if gateway is None]

    look_for_addresses = (missing or params["purge"]) and not is_planned(params["vpc_id"])
    free = unused_addresses(ec2, tags, missing) if look_for_addresses else []
    adopted = {name: next((address for address in free if address["Tags"].get("Name") == name), None) for name in missing}

    superfluous, surplus = [], []
    if params["purge"]:
        kept = [*there.values(), *adopted.values()]
        superfluous = [gateway for gateway in found if gateway not in kept and carries(gateway, tags)]
        surplus = addresses_to_release(superfluous, [address for address in free if address not in kept])

    before, after = removal(superfluous, surplus, there.keys() - missing), {}
    replaced = before.keys() & missing
    results = []
    for wanted in params["gateways"]:
        name, gateway = wanted["name"], there[wanted["name"]]
        wanted_tags = {"Name": name, **tags}
        if gateway is None:
            address = adopted[name] or {"AllocationId": planned(f"the address of {name}")}
            after[name] = {"subnet_id": wanted["subnet_id"], "allocation_id": address["AllocationId"], "tags": wanted_tags}
            gateway = {
                "NatGatewayId": planned(name),
                "State": "pending",
                "SubnetId": wanted["subnet_id"],
                "NatGatewayAddresses": [address],
                "Tags": wanted_tags,
            }
            if not check_mode:
                gateway = create(ec2, wanted["subnet_id"], wanted_tags, adopted[name])
        # without tags there is no opinion about tags other than the name
        elif change := tag_change(gateway["Tags"], wanted_tags, params["purge_tags"] and params["tags"] is not None):
            before[name], after[name] = change.before, change.after
            if not check_mode:
                set_tags(ec2, gateway, change, wanted_tags)
            gateway = {**gateway, "Tags": change.result}
        results.append(gateway)
    if not check_mode:
        if params["wait"]:
            results = wait_until_available(ec2, params, results)
        if superfluous or surplus:
            remove(ec2, params["vpc_id"], superfluous, surplus, params["wait_timeout"])
    return {
        "nat_gateways": [public(wanted["name"], gateway) for wanted, gateway in zip(params["gateways"], results, strict=True)],
        **outcome(before, after, there, replaced),
    }


def unused_addresses(ec2: Any, tags: Mapping[str, str], names: list[str]) -> list[dict[str, Any]]:
    """The addresses of this set that nothing uses; without tags, one is known by its name only."""
    if tags:
        addresses = tagged_addresses(ec2, tags)
    else:
        addresses = [address for name in names for address in tagged_addresses(ec2, {"Name": name})]
    return [address for address in addresses if not address.get("AssociationId")]


def wait_until_available(ec2: Any, params: dict[str, Any], gateways: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The gateways once they are all available; a StateError with AWS's reason if one fails."""
    if all(gateway["State"] == "available" for gateway in gateways):
        return gateways
    by_id = {gateway["NatGatewayId"]: gateway for gateway in gateways}

    def read() -> list[dict[str, Any]]:
        by_id.update({each["NatGatewayId"]: each for each in describe(ec2, params["vpc_id"]) if each["NatGatewayId"] in by_id})
        failed = [each for each in by_id.values() if each["State"] not in USABLE]
        if failed:
            reasons = [f"{each['NatGatewayId']}: {each.get('FailureCode')}, {each.get('FailureMessage')}" for each in failed]
            raise StateError(
                f"AWS could not create NAT gateways ({'; '.join(reasons)}); it removes them within an hour. "
                "Mend the cause and run again, which makes new ones"
            )
        return list(by_id.values())

    available = f"the creation of the NAT gateways {', '.join(by_id)}"
    return wait_for(read, lambda all_of_them: all(each["State"] == "available" for each in all_of_them), params["wait_timeout"], available)


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    tags = text_tags(params["tags"])
    if not tags:
        raise StateError("tags must name at least one tag of what is to be removed, or all gateways and addresses would be meant")
    found = [gateway for gateway in describe(ec2, params["vpc_id"]) if carries(gateway, tags)]
    gateways = [gateway for gateway in found if gateway["NatGatewayId"] not in (params["keep"] or [])]
    addresses = tagged_addresses(ec2, tags)
    if params["keep"] is not None:
        # by the name, too: as long as a gateway is pending, nothing may use its address yet
        names = {gateway["Tags"].get("Name") for gateway in found if gateway not in gateways}
        addresses = [
            address
            for address in addresses
            if not address.get("AssociationId")
            and address["Tags"].get("Name") not in names
            and planned(address["Tags"].get("Name", "")) not in params["keep"]
        ]
    all_addresses = addresses_to_release(gateways, addresses)
    if params["wait"] is False:
        if not check_mode:
            # they are found by their tags when their gateways are gone
            if untagged := [address["AllocationId"] for address in all_addresses if address not in addresses]:
                ec2.create_tags(Resources=untagged, Tags=ansible_dict_to_boto3_tag_list(tags), aws_retry=True)
            start_removal(ec2, gateways)
        return outcome(removal(gateways, []), {})
    if not check_mode:
        remove(ec2, params["vpc_id"], gateways, all_addresses, params["wait_timeout"])
    return outcome(removal(gateways, all_addresses), {})


def public(name: str, gateway: Mapping[str, Any]) -> dict[str, Any]:
    address = address_of(gateway)
    return {
        "name": name,
        "nat_gateway_id": gateway["NatGatewayId"],
        "state": gateway["State"],
        "subnet_id": gateway["SubnetId"],
        "allocation_id": address.get("AllocationId"),
        "public_ip": address.get("PublicIp"),
        "tags": gateway["Tags"],
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "vpc_id": {"type": "str"},
            "gateways": {
                "type": "list",
                "elements": "dict",
                "options": {"name": {"type": "str", "required": True}, "subnet_id": {"type": "str", "required": True}},
            },
            "purge": {"type": "bool", "default": False},
            "keep": {"type": "list", "elements": "str"},
            "wait": {"type": "bool"},
            "wait_timeout": {"type": "int", "default": 600},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ["vpc_id", "gateways"]), ("state", "absent", ["tags"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the NAT gateways of {module.params['vpc_id'] or 'the stack'}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
