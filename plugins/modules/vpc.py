#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc
version_added: 0.1.0
short_description: Manage a VPC and its Internet gateway
description:
  - Creates, changes and removes a VPC, its DNS attributes, its Internet gateway and the tags of both, and previews what it would do.
  - A run that was interrupted is taken up by the next one, between the creation of the gateway and its attachment, too.
  - C(amazon.aws.ec2_vpc_net) and C(ec2_vpc_igw) hand out no id of what does not exist yet in check mode, so that nothing in the VPC can be
    previewed, and show no difference. A changed block of addresses makes them a second VPC. They send fourteen requests where nothing
    changes, this module four. Their removals fail at the first C(DependencyViolation), which AWS gives for minutes after what was in the
    VPC has gone.
author:
  - threetier.aws contributors
options:
  name:
    description: Name of the VPC and of its Internet gateway, their tag C(Name).
    type: str
    required: true
  state:
    description:
      - Whether the VPC should exist.
      - V(absent) removes all VPCs that carry all of O(tags), which must not be empty then, with the Internet gateways that are attached to
        them, and gateways with these tags that are attached to nothing. What else is in the VPC must be gone, or going.
    type: str
    choices: [present, absent]
    default: present
  cidr_block:
    description: Block of IPv4 addresses, C(/16) to C(/28). Required with O(state=present). AWS cannot change it.
    type: str
  dns_support:
    description: Whether Amazon's DNS server answers in the VPC.
    type: bool
    default: true
  dns_hostnames:
    description: Whether instances with public addresses have public names. Needs O(dns_support).
    type: bool
    default: true
  internet_gateway:
    description:
      - Whether the VPC has an Internet gateway.
      - V(false) detaches and deletes one of this name and O(tags), and leaves one of somebody else as it is.
    type: bool
    default: true
  wait_timeout:
    description: Seconds until a new VPC must be available, or until AWS must have let go of what is removed.
    type: int
    default: 600
notes:
  - The VPC is the one that carries O(name) and O(tags). With two tags or more, it may also carry all of these but one, which somebody has
    changed. Another VPC of this name is somebody else's and left alone. So give as O(tags) what says whose the VPC is.
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
    description: Shows what changes of the VPC and of its Internet gateway, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: VPC with an Internet gateway
  threetier.aws.vpc:
    name: demo
    cidr_block: 10.0.0.0/16
    tags:
      "threetier:stack": demo

- name: Remove both
  threetier.aws.vpc:
    name: demo
    tags:
      "threetier:stack": demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo internet gateway"], "changed": ["demo"], "replaced": [], "deleted": [], "unchanged": []}
vpc:
  description: The VPC as it is after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    vpc_id:
      description: Id; in check mode, of a VPC that does not exist yet, a text that says so.
      type: str
      sample: vpc-0123456789abcdef0
    cidr_block:
      description: Block of IPv4 addresses.
      type: str
      sample: 10.0.0.0/16
    internet_gateway_id:
      description:
        - Id of the Internet gateway; in check mode, of one that does not exist yet, a text that says so.
        - Null with O(internet_gateway=false).
      type: str
      sample: igw-0123456789abcdef0
    dns_support:
      description: Whether Amazon's DNS server answers in the VPC.
      type: bool
    dns_hostnames:
      description: Whether instances with public addresses have public names.
      type: bool
    tags:
      description: Tags.
      type: dict
      sample: {"Name": "demo", "threetier:stack": "demo"}
"""

import time
from collections.abc import Callable, Iterator, Mapping
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
    differences,
    outcome,
    patiently,
    planned,
    selected,
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

# The attributes by their options' names, and what a new VPC has.
DNS = {"dns_support": "EnableDnsSupport", "dns_hostnames": "EnableDnsHostnames"}
NEW = {"dns_support": True, "dns_hostnames": False}
# What AWS answers while a VPC, or a gateway, made just now is not known everywhere yet.
NOT_YET = (".NotFound",)
# What AWS answers where somebody was faster.
GONE = ["Gateway.NotAttached", "InvalidInternetGatewayID.NotFound", "InvalidVpcID.NotFound"]


def problems_of(params: Mapping[str, Any]) -> Iterator[str]:
    """What AWS would refuse."""
    if not block_of(params["cidr_block"]):
        yield (
            f"cidr_block must be a block of IPv4 addresses from /{LARGEST} to /{SMALLEST} that begins where such a block can begin, such "
            f"as 10.0.0.0/16, not {params['cidr_block']!r}"
        )
    if params["dns_hostnames"] and not params["dns_support"]:
        yield "dns_hostnames needs dns_support: set both, or neither"


def carrying(resources: list[dict[str, Any]], tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [resource for resource in resources if carries(resource, tags)]


def tag_filters(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"tag:{key}": value for key, value in tags.items()}


def describe_vpcs(ec2: Any, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    pages = ec2.get_paginator("describe_vpcs").paginate(Filters=ansible_dict_to_boto3_filter_list(filters))
    return pages.build_full_result()["Vpcs"]


def describe_gateways(ec2: Any, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    pages = ec2.get_paginator("describe_internet_gateways").paginate(Filters=ansible_dict_to_boto3_filter_list(filters))
    return pages.build_full_result()["InternetGateways"]


def holder(gateway: Mapping[str, Any] | None) -> str | None:
    """The VPC that the gateway is attached to, if there is one."""
    return next((attachment["VpcId"] for attachment in (gateway or {}).get("Attachments", [])), None)


def our_gateways(ec2: Any, tags: Mapping[str, str], vpc_id: str | None) -> list[dict[str, Any]]:
    """The gateways that carry the tags and are attached to the VPC or to none, which a run that was interrupted leaves."""
    return [gateway for gateway in carrying(describe_gateways(ec2, tag_filters(tags)), tags) if holder(gateway) in (None, vpc_id)]


def find_gateway(ec2: Any, tags: Mapping[str, str], vpc_id: str | None) -> dict[str, Any] | None:
    """The VPC's gateway, whatever its tags, or else one of ours that can be attached to it."""
    attached = describe_gateways(ec2, {"attachment.vpc-id": vpc_id}) if vpc_id else []
    return next(iter(attached or our_gateways(ec2, tags, None)), None)


def dns_of(ec2: Any, vpc_id: str) -> dict[str, bool]:
    """The attributes of DNS, of which AWS tells one a request."""
    return {
        option: ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=f"e{attribute[1:]}", aws_retry=True)[attribute]["Value"]
        for option, attribute in DNS.items()
    }


def set_dns(ec2: Any, vpc_id: str, changes: Mapping[str, bool]) -> None:
    """Changes one attribute a request, as AWS wants it; never are there names without DNS."""
    for option in DNS if changes.get("dns_support", True) else reversed(DNS):
        if option in changes:
            request = {"VpcId": vpc_id, DNS[option]: {"Value": changes[option]}}
            patiently(lambda request=request: ec2.modify_vpc_attribute(**request, aws_retry=True), NOT_YET)


def create_vpc(ec2: Any, cidr_block: str, tags: Mapping[str, str]) -> dict[str, Any]:
    return ec2.create_vpc(CidrBlock=cidr_block, TagSpecifications=tag_specifications(tags, "vpc"), aws_retry=True)["Vpc"]


def wait_until_available(ec2: Any, vpc: Mapping[str, Any], seconds: float) -> None:
    """Waits only where AWS says that it is still at work."""
    if vpc.get("State") == "pending":
        wait_for(
            lambda: describe_vpcs(ec2, {"vpc-id": vpc["VpcId"]}),
            lambda found: any(each["State"] == "available" for each in found),
            seconds,
            f"the creation of the VPC {vpc['VpcId']}",
        )


def create_gateway(ec2: Any, tags: Mapping[str, str]) -> dict[str, Any]:
    return ec2.create_internet_gateway(TagSpecifications=tag_specifications(tags, "internet-gateway"), aws_retry=True)["InternetGateway"]


def attach(ec2: Any, gateway_id: str, vpc_id: str) -> None:
    patiently(lambda: ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id, aws_retry=True), NOT_YET)


def remove(ec2: Any, call: Callable[[], Any], vpc_id: str, deadline: float) -> None:
    """Calls what AWS refuses while something is in the VPC, with patience: the interfaces of a load balancer stay in it for minutes."""
    try:
        patiently(call, ["DependencyViolation"], deadline - time.monotonic())
    except is_boto3_error_code(GONE):
        pass
    except is_boto3_error_code("DependencyViolation") as error:  # pylint: disable=duplicate-except
        raise StateError(
            f"{error}\n{vpc_id} holds {interfaces_in(ec2, 'vpc', vpc_id)}; remove what is in it, subnets, security groups, route tables "
            "and endpoints as well, and run again"
        ) from error


def remove_gateway(ec2: Any, gateway: Mapping[str, Any], deadline: float) -> None:
    gateway_id, vpc_id = gateway["InternetGatewayId"], holder(gateway)
    if vpc_id:
        remove(ec2, lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id, aws_retry=True), vpc_id, deadline)
    # What is accepted is not yet done: for a moment, a detached gateway "has dependencies".
    remove(ec2, lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway_id, aws_retry=True), vpc_id or gateway_id, deadline)


def removal(name: str, vpcs: list[dict[str, Any]], gateways: list[dict[str, Any]]) -> dict[str, Any]:
    """What goes, as a diff shows it: by name, and where there is another one of that name, by id."""
    before: dict[str, Any] = {}
    for vpc in vpcs:
        before[vpc["VpcId"] if name in before else name] = {"vpc_id": vpc["VpcId"], "cidr_block": vpc["CidrBlock"]}
    for gateway in gateways:
        gateway_id, what = gateway["InternetGatewayId"], gateway_name(name)
        fields = {"internet_gateway_id": gateway_id, "vpc_id": holder(gateway)}
        before[gateway_id if what in before else what] = fields
    return before


def gateway_name(name: str) -> str:
    return f"{name} internet gateway"


def find_vpc(ec2: Any, params: dict[str, Any], ours: Mapping[str, str]) -> dict[str, Any] | None:
    """The VPC of this name and tags; a StateError where it cannot be told, or cannot become the wanted one.

    One of the tags may have been changed by hand, the name as well: a second VPC would be worse. One tag alone says nothing.
    """
    name, found = params["name"], describe_vpcs(ec2, {})
    agreeing = {vpc["VpcId"]: len(ours.items() & tags_of(vpc).items()) for vpc in found}
    found = carrying(found, ours) or [vpc for vpc in found if agreeing[vpc["VpcId"]] >= max(2, len(ours) - 1)]
    if len(found) > 1:
        ids = ", ".join(sorted(vpc["VpcId"] for vpc in found))
        raise StateError(f"{len(found)} VPCs have the name {name} and the tags: {ids}; remove those that are not used, and run again")
    for vpc in found:
        if vpc["CidrBlock"] != params["cidr_block"]:
            raise StateError(
                f"{name} ({vpc['VpcId']}) has the block {vpc['CidrBlock']}, and AWS cannot change it to {params['cidr_block']}; keep the "
                "block, take another name for another VPC, or remove this one first, with all that is in it"
            )
    return next(iter(found), None)


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if problems := list(problems_of(params)):
        raise StateError("\n".join(problems))
    name, with_gateway = params["name"], params["internet_gateway"]
    ours = {**text_tags(params["tags"]), "Name": name}
    vpc = find_vpc(ec2, params, ours)
    found_id = vpc["VpcId"] if vpc else None
    dns_now = dns_of(ec2, found_id) if found_id else NEW
    gateway = find_gateway(ec2, ours, found_id) if with_gateway else None
    surplus = [] if with_gateway else our_gateways(ec2, ours, found_id)

    before, after = removal(name, [], surplus), {}
    dns_wanted = {option: params[option] for option in DNS}
    dns, tags = differences(dns_wanted, dns_now), named_tag_change(tags_of(vpc), name, params)
    if vpc is None:
        after[name] = {"cidr_block": params["cidr_block"], **dns_wanted, "tags": tags.result}
    elif dns or tags:
        before[name], after[name] = selected(dns, dns_now) | tags.before, dns | tags.after
    attachment = {} if holder(gateway) or not with_gateway else {"vpc_id": found_id or planned(name)}
    gateway_tags = named_tag_change(tags_of(gateway), name, params)
    if gateway:
        if attachment or gateway_tags:
            before[gateway_name(name)] = selected(attachment, {}) | gateway_tags.before
            after[gateway_name(name)] = attachment | gateway_tags.after
    elif with_gateway:
        after[gateway_name(name)] = {**attachment, "tags": gateway_tags.result}

    if check_mode:
        vpc = vpc or {"VpcId": planned(name)}
        if with_gateway:
            gateway = gateway or {"InternetGatewayId": planned(f"the Internet gateway of {name}")}
    else:
        if vpc is None:
            vpc = create_vpc(ec2, params["cidr_block"], tags.result)
        else:
            set_tags(ec2, vpc["VpcId"], tags)
        wait_until_available(ec2, vpc, params["wait_timeout"])
        set_dns(ec2, vpc["VpcId"], dns)
        if gateway:
            set_tags(ec2, gateway["InternetGatewayId"], gateway_tags)
        elif with_gateway:
            gateway = create_gateway(ec2, gateway_tags.result)
        if attachment:
            attach(ec2, gateway["InternetGatewayId"], vpc["VpcId"])
        deadline = time.monotonic() + params["wait_timeout"]
        for each in surplus:
            remove_gateway(ec2, each, deadline)
    result = {
        "vpc_id": vpc["VpcId"],
        "cidr_block": params["cidr_block"],
        "internet_gateway_id": gateway["InternetGatewayId"] if gateway else None,
        **dns_wanted,
        "tags": tags.result,
    }
    return {"vpc": result, **outcome(before, after, [name, gateway_name(name)] if with_gateway else [name])}


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    tags = text_tags(params["tags"])
    if not tags:
        raise StateError("tags must not be empty with state=absent: they say which VPCs are to be removed")
    vpcs = carrying(describe_vpcs(ec2, tag_filters(tags)), tags)
    gateways = our_gateways(ec2, tags, None)
    if vpcs:
        gateways += describe_gateways(ec2, {"attachment.vpc-id": [vpc["VpcId"] for vpc in vpcs]})
    if not check_mode:
        deadline = time.monotonic() + params["wait_timeout"]
        for gateway in gateways:
            remove_gateway(ec2, gateway, deadline)
        for vpc in vpcs:
            remove(ec2, lambda vpc_id=vpc["VpcId"]: ec2.delete_vpc(VpcId=vpc_id, aws_retry=True), vpc["VpcId"], deadline)
    return outcome(removal(params["name"], vpcs, gateways), {})


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "cidr_block": {"type": "str"},
            "dns_support": {"type": "bool", "default": True},
            "dns_hostnames": {"type": "bool", "default": True},
            "internet_gateway": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 600},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ["cidr_block"]), ("state", "absent", ["tags"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the VPC {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
