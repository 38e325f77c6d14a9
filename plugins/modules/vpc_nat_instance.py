#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc_nat_instance
version_added: 0.1.0
short_description: Manage the NAT instance of a VPC
description:
  - Creates an instance that forwards what others send through it, and mends what differs of it. It has a public address, no check of source
    and destination, and a metadata service that wants tokens. What makes it a NAT is its O(user_data).
  - It is found by its tag C(Name). After a crash there may be several of that name. The one that needs the least is kept, and those of the
    others that carry all of O(tags) are removed.
  - An unchanged instance costs two requests.
  - C(amazon.aws.ec2_instance) looks for its instance by the image too, and makes another one once the image is a newer one. It shows no
    difference, hands out no ids in check mode, and never compares user data.
author:
  - threetier.aws contributors
options:
  vpc_id:
    description: Id of the VPC.
    type: str
    required: true
  name:
    description: Name of the instance, its tag C(Name).
    type: str
    required: true
  state:
    description:
      - Whether the instance should exist, and run.
      - V(absent) removes each instance of this name in the VPC that carries all of O(tags), which must not be empty then, and waits until it
        is gone.
    type: str
    choices: [present, absent]
    default: present
  subnet_id:
    description: Id of the public subnet. Another one replaces the instance. Required with O(state=present).
    type: str
  security_group_id:
    description: Id of the only security group. Required with O(state=present).
    type: str
  instance_type:
    description:
      - Type. Required with O(state=present).
      - For another one, the instance is stopped and started, and there is no way out for about a minute.
    type: str
  image_id:
    description:
      - Id of the image, or V(resolve:ssm:PARAMETER), which AWS looks up when it makes the instance. Required with O(state=present).
      - Only a new instance is made of it. A newer image must not replace the way out, so it is never compared.
    type: str
  user_data:
    description:
      - What the instance runs when it starts for the first time, as plain text of 16 KiB at most. Left out, it is not compared.
      - Another one replaces the instance, because an instance runs it once and not again.
    type: str
  wait_timeout:
    description: Seconds until the instance must run, or must be stopped or gone, each.
    type: int
    default: 600
notes:
  - An instance that is replaced is removed once the new one runs. Routes that lead to its network interface lead nowhere until they are
    given RV(nat_instance.network_interface_id).
  - Volumes and network interface get the tags of the instance, but only those of the instance are compared.
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
    description: Shows what changes of the instance, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: NAT instance
  threetier.aws.vpc_nat_instance:
    vpc_id: "{{ network_vpc_id }}"
    name: demo-nat
    subnet_id: "{{ network_public_subnet_ids[0] }}"
    security_group_id: sg-0123456789abcdef0
    instance_type: t3.micro
    image_id: resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64
    user_data: |
      #!/bin/bash
      dnf install -y iptables-services
      sysctl -w net.ipv4.ip_forward=1
      iptables -t nat -A POSTROUTING -o ens5 -j MASQUERADE
    tags:
      "threetier:stack": demo

- name: Remove it
  threetier.aws.vpc_nat_instance:
    vpc_id: "{{ network_vpc_id }}"
    name: demo-nat
    tags:
      "threetier:stack": demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-nat"], "replaced": [], "deleted": [], "unchanged": []}
nat_instance:
  description: The instance as it is after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    instance_id:
      description: Id; in check mode, of an instance that does not exist yet, a text that says so.
      type: str
      sample: i-0123456789abcdef0
    network_interface_id:
      description: Id of its network interface, which routes lead to; in check mode, of one that does not exist yet, a text that says so.
      type: str
      sample: eni-0123456789abcdef0
    tags:
      description: Tags.
      type: dict
      sample: {"Name": "demo-nat", "threetier:stack": "demo"}
"""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import uuid4

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import paginated_query_with_retries
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.transformation import ansible_dict_to_boto3_filter_list
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    is_planned,
    outcome,
    patiently,
    planned,
    selected,
    wait_for,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import (
    carries,
    named_tag_change,
    set_tags,
    tag_specifications,
    tags_of,
    text_tags,
)

USABLE = ["pending", "running", "stopping", "stopped"]
ENDED = ("shutting-down", "terminated")
# What AWS cannot change of an instance, and what an instance acts on but once: a script that is changed while it is stopped does not run.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
REPLACING = {"subnet_id", "user_data"}
METADATA = {"HttpEndpoint": "enabled", "HttpTokens": "required"}
TAGGED = ("instance", "volume", "network-interface")
USER_DATA_BYTES = 16 * 1024
# What AWS answers while a subnet, or a security group, made just now is not known everywhere yet.
NOT_YET = ("InvalidSubnetID.NotFound", "InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound")


def problems_of(params: Mapping[str, Any]) -> Iterator[str]:
    """What AWS would refuse, and a preview would not notice."""
    if not params["image_id"].startswith(("ami-", "resolve:ssm:")):
        yield f"image_id must be the id of an image, such as ami-0123456789abcdef0, or resolve:ssm:PARAMETER, not {params['image_id']!r}"
    if (size := len((params["user_data"] or "").encode())) > USER_DATA_BYTES:
        yield f"user_data has {size} bytes: AWS allows {USER_DATA_BYTES}"


def describe(ec2: Any, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = paginated_query_with_retries(ec2, "describe_instances", Filters=ansible_dict_to_boto3_filter_list(filters))
    return [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]


def find(ec2: Any, params: Mapping[str, Any], states: list[str]) -> list[dict[str, Any]]:
    """The instances of the name in the VPC; none where the VPC is yet to be made."""
    if is_planned(params["vpc_id"]):
        return []
    found = describe(ec2, {"vpc-id": params["vpc_id"], "tag:Name": params["name"], "instance-state-name": states})
    # once more by itself: a filter takes * and ? for wildcards
    return [instance for instance in found if tags_of(instance)["Name"] == params["name"]]


def user_data_of(ec2: Any, instance: Mapping[str, Any]) -> str:
    """The user data, for which AWS wants a request of its own."""
    answer = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData", aws_retry=True)
    return b64decode(answer.get("UserData", {}).get("Value", "")).decode(errors="replace")


def interface_of(instance: Mapping[str, Any]) -> dict[str, Any]:
    """The interface that the instance was made with: routes lead to it, and it takes what goes through the instance."""
    return next(each for each in instance["NetworkInterfaces"] if each["Attachment"]["DeviceIndex"] == 0)


def wanted_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "instance_type": params["instance_type"],
        "subnet_id": params["subnet_id"],
        "security_group_ids": [params["security_group_id"]],
        "source_dest_check": False,
        "http_endpoint": METADATA["HttpEndpoint"],
        "http_tokens": METADATA["HttpTokens"],
        "user_data": params["user_data"],
        "state": "running",
    }


def settings_of(instance: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an instance; one that starts counts as running."""
    interface, state = interface_of(instance), instance["State"]["Name"]
    return {
        "instance_type": instance["InstanceType"],
        "subnet_id": instance["SubnetId"],
        "security_group_ids": sorted(group["GroupId"] for group in interface["Groups"]),
        "source_dest_check": interface["SourceDestCheck"],
        "http_endpoint": instance["MetadataOptions"]["HttpEndpoint"],
        "http_tokens": instance["MetadataOptions"]["HttpTokens"],
        "user_data": instance.get("UserData"),
        "state": "running" if state == "pending" else state,
    }


def wait_until(ec2: Any, instance_id: str, state: str, seconds: float) -> dict[str, Any]:
    """The instance, once it is running or stopped. One made just now may not be known yet, and AWS ends one that it cannot start."""

    def read() -> dict[str, Any]:
        return next(iter(describe(ec2, {"instance-id": instance_id})), {"State": {"Name": "pending"}})

    what = f"that the instance {instance_id} is {state}"
    instance = wait_for(read, lambda found: found["State"]["Name"] in (state, *ENDED), seconds, what)
    if instance["State"]["Name"] in ENDED:
        reason = instance.get("StateReason", {}).get("Message") or "AWS gives no reason"
        raise StateError(f"the instance {instance_id} is {instance['State']['Name']}: {reason}; mend that, and run again")
    return instance


def create(ec2: Any, params: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """Creates the instance and waits until it runs. That it forwards what is not its own can only be said to one that exists."""
    settings = wanted_settings(params)
    request = {
        "ImageId": params["image_id"],
        "InstanceType": settings["instance_type"],
        "MinCount": 1,
        "MaxCount": 1,
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "SubnetId": settings["subnet_id"],
                "Groups": settings["security_group_ids"],
                "AssociatePublicIpAddress": True,
                "DeleteOnTermination": True,
            }
        ],
        "MetadataOptions": METADATA,
        "TagSpecifications": tag_specifications(tags, *TAGGED),
        # This run's own, so that a request that is repeated makes one instance. AWS would answer a token of all runs with an instance that
        # somebody has removed since; what a crash leaves is found by its name instead.
        "ClientToken": str(uuid4()),
    }
    if settings["user_data"]:
        request["UserData"] = settings["user_data"]
    made = patiently(lambda: ec2.run_instances(**request, aws_retry=True)["Instances"][0], NOT_YET)
    instance = wait_until(ec2, made["InstanceId"], "running", params["wait_timeout"])
    mend(ec2, instance, {"source_dest_check": settings["source_dest_check"]}, params["wait_timeout"])
    return instance


def mend(ec2: Any, instance: Mapping[str, Any], change: Mapping[str, Any], seconds: float) -> None:
    """Changes what can be changed of an instance, and waits until it runs."""
    instance_id, interface_id = instance["InstanceId"], interface_of(instance)["NetworkInterfaceId"]
    # AWS takes one attribute a request.
    if "security_group_ids" in change:
        groups = {"NetworkInterfaceId": interface_id, "Groups": change["security_group_ids"]}
        patiently(lambda: ec2.modify_network_interface_attribute(**groups, aws_retry=True), NOT_YET)
    if "source_dest_check" in change:
        check = {"Value": change["source_dest_check"]}
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface_id, SourceDestCheck=check, aws_retry=True)
    if change.keys() & {"http_endpoint", "http_tokens"}:
        ec2.modify_instance_metadata_options(InstanceId=instance_id, **METADATA, aws_retry=True)

    runs = "state" not in change
    if runs and "instance_type" in change:
        wait_until(ec2, instance_id, "running", seconds)  # AWS stops none that still starts
        ec2.stop_instances(InstanceIds=[instance_id], aws_retry=True)
        runs = False
    if not runs:
        wait_until(ec2, instance_id, "stopped", seconds)
        try:
            if "instance_type" in change:
                kind = {"Value": change["instance_type"]}
                ec2.modify_instance_attribute(InstanceId=instance_id, InstanceType=kind, aws_retry=True)
        finally:  # where AWS refuses the type, the old one is a way out at least
            ec2.start_instances(InstanceIds=[instance_id], aws_retry=True)
    if not runs or instance["State"]["Name"] == "pending":
        wait_until(ec2, instance_id, "running", seconds)


def parts_of(instance: Mapping[str, Any]) -> Iterator[str]:
    """All that has the tags. The instance comes last: only its tags are compared, so they must not be new before the others' are."""
    yield from (mapping["Ebs"]["VolumeId"] for mapping in instance.get("BlockDeviceMappings", []) if "Ebs" in mapping)
    yield interface_of(instance)["NetworkInterfaceId"]
    yield instance["InstanceId"]


def terminate(ec2: Any, instances: Iterable[Mapping[str, Any]]) -> None:
    if ids := [instance["InstanceId"] for instance in instances]:
        ec2.terminate_instances(InstanceIds=ids, aws_retry=True)


def removal(instances: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """What goes, as a diff shows it; C(names) that are taken are not given twice."""
    before: dict[str, Any] = {}
    for instance in instances:
        name = tags_of(instance)["Name"]
        before[instance["InstanceId"] if name in before or name in names else name] = {
            "instance_id": instance["InstanceId"],
            "instance_type": instance["InstanceType"],
            "subnet_id": instance["SubnetId"],
            "tags": tags_of(instance),
        }
    return before


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if problems := list(problems_of(params)):
        raise StateError("\n".join(problems))
    name, wanted = params["name"], wanted_settings(params)
    found = find(ec2, params, USABLE)
    if params["user_data"] is not None:
        found = [{**instance, "UserData": user_data_of(ec2, instance)} for instance in found]

    own_tags = text_tags(params["tags"])
    ours = [instance for instance in found if own_tags and carries(instance, own_tags)]

    def rank(instance: Mapping[str, Any]) -> tuple[bool, bool, bool, Any, str]:
        """The best comes first: one of ours, after a crash amid a replacement the new one, otherwise the oldest that runs."""
        change = differences(wanted, settings_of(instance))
        return instance not in ours, bool(REPLACING & change.keys()), "state" in change, instance["LaunchTime"], instance["InstanceId"]

    current = min(found, key=rank, default=None)
    superfluous = [instance for instance in ours if instance is not current]
    tags = named_tag_change(tags_of(current), name, params)
    change = differences(wanted, settings_of(current)) if current else {}
    replaced = bool(REPLACING & change.keys())

    before, after = removal(superfluous, [name]), {}
    if current is None:
        after[name] = {"image_id": params["image_id"], **without_none(wanted), "tags": tags.result}
    elif change or tags:
        before[name], after[name] = selected(change, settings_of(current)) | tags.before, change | tags.after

    instance = None if replaced else current
    if not check_mode:
        if instance is None:
            # nobody but AWS gives tags that begin with aws:
            instance = create(ec2, params, {key: value for key, value in tags.result.items() if not key.startswith("aws:")})
        else:
            mend(ec2, instance, change, params["wait_timeout"])
            for part in parts_of(instance):
                set_tags(ec2, part, tags)
        terminate(ec2, [*superfluous, *([current] if replaced else [])])
    result = {
        "instance_id": instance["InstanceId"] if instance else planned(name),
        "network_interface_id": interface_of(instance)["NetworkInterfaceId"] if instance else planned(name),
        "tags": tags.result,
    }
    return {"nat_instance": result, **outcome(before, after, [name], [name] if replaced else [])}


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    tags = text_tags(params["tags"])
    if not tags:
        raise StateError("tags must not be empty with state=absent: they tell the instance from others of the same name")
    found = [instance for instance in find(ec2, params, [*USABLE, "shutting-down"]) if carries(instance, tags)]
    there = [instance for instance in found if instance["State"]["Name"] in USABLE]
    if found and not check_mode:
        terminate(ec2, there)
        # until then it is in its subnet, and AWS does not let that go
        ids = [instance["InstanceId"] for instance in found]
        left = {"instance-id": ids, "instance-state-name": [*USABLE, "shutting-down"]}
        wait_for(lambda: describe(ec2, left), lambda still: not still, params["wait_timeout"], f"the removal of {', '.join(ids)}")
    return outcome(removal(there, []), {})


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "vpc_id": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "subnet_id": {"type": "str"},
            "security_group_id": {"type": "str"},
            "instance_type": {"type": "str"},
            "image_id": {"type": "str"},
            "user_data": {"type": "str"},
            "wait_timeout": {"type": "int", "default": 600},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[
            ("state", "present", ["subnet_id", "security_group_id", "instance_type", "image_id"]),
            ("state", "absent", ["tags"]),
        ],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the NAT instance {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
