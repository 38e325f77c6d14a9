#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: launch_template
version_added: 0.1.0
short_description: Manage a launch template of EC2
description:
  - Creates a launch template, gives it a new version where the newest one differs from what is wanted, and makes the newest version the
    default one. Versions are never deleted but with their template; AWS keeps 10,000 of each.
  - C(amazon.aws.ec2_launch_template) previews a sentence, shows no difference, and hands out neither id nor version in check mode. It sends
    five requests where nothing changes, this module two. Its removal asks for no tags.
author:
  - threetier.aws contributors
options:
  name:
    description: Name of the template, unique in the region; 3 to 128 letters, digits and C(().-/_).
    type: str
    required: true
  state:
    description:
      - Whether the template should exist.
      - V(absent) removes it with all its versions, but only if it carries all of O(tags), where they are given.
    type: str
    choices: [present, absent]
    default: present
  image_id:
    description: Id of the image, or V(resolve:ssm:PARAMETER), looked up whenever an instance starts. Required with O(state=present).
    type: str
  instance_type:
    description: Type of the instances. Required with O(state=present).
    type: str
  iam_instance_profile:
    description: Name or ARN of the instance profile.
    type: str
  security_group_ids:
    description: Ids of the security groups, in any order.
    type: list
    elements: str
  metadata_options:
    description: The instances' metadata service. What is left out is left to AWS, and is no difference.
    type: dict
    suboptions:
      http_endpoint:
        description: Whether there is one.
        type: str
        choices: [enabled, disabled]
      http_tokens:
        description: Whether it wants a token, as version 2 does.
        type: str
        choices: [required, optional]
      http_put_response_hop_limit:
        description: How many hops away a token may be used, 1 to 64.
        type: int
  block_device_mappings:
    description: The volumes, which are told apart by their device.
    type: list
    elements: dict
    suboptions:
      device_name:
        description: Device.
        type: str
        required: true
      ebs:
        description: The volume. What is left out is left to AWS or the image, and is no difference.
        type: dict
        suboptions:
          volume_type:
            description: Type of the volume.
            type: str
          volume_size:
            description: Size in GiB.
            type: int
          encrypted:
            description: Whether it is encrypted.
            type: bool
          delete_on_termination:
            description: Whether it goes with its instance.
            type: bool
          iops:
            description: Operations a second that are paid for.
            type: int
          throughput:
            description: MiB a second that are paid for.
            type: int
          kms_key_id:
            description: Key of an encrypted volume; without it, the account's default one.
            type: str
  user_data:
    description:
      - User data in base64, as EC2 keeps it; 16 KiB at most before that.
      - It must hold no secret. A difference shows it as text, and so do AWS's console and the instance itself.
    type: str
  tag_specifications:
    description: Tags that the instances, and what is made with them, get.
    type: list
    elements: dict
    suboptions:
      resource_type:
        description: What gets the tags, such as V(instance) or V(volume).
        type: str
        required: true
      tags:
        description: The tags.
        type: dict
        required: true
notes:
  - A setting in the newest version that is not an option's, such as a key pair, is a difference. The new version is without it.
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
    description: Shows the settings and tags that change, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Launch template of container instances
  threetier.aws.launch_template:
    name: demo-instances
    image_id: resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id
    instance_type: t3.medium
    iam_instance_profile: demo-instance
    security_group_ids: [sg-0123456789abcdef0]
    metadata_options: {http_endpoint: enabled, http_tokens: required, http_put_response_hop_limit: 1}
    block_device_mappings:
      - device_name: /dev/xvda
        ebs: {volume_type: gp3, volume_size: 30, encrypted: true, delete_on_termination: true}
    user_data: "{{ user_data | b64encode }}"
    tag_specifications:
      - {resource_type: instance, tags: {Name: demo-instances}}
    tags:
      "threetier:stack": demo

- name: Remove it
  threetier.aws.launch_template:
    name: demo-instances
    tags:
      "threetier:stack": demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-instances"], "replaced": [], "deleted": [], "unchanged": []}
launch_template:
  description: The template as it is after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-instances
    launch_template_id:
      description: Id; in check mode, of a template that does not exist yet, a text that says so.
      type: str
      sample: lt-0123456789abcdef0
    version:
      description: Number of the newest version; in check mode, of one that does not exist yet, a text that says so.
      type: raw
      sample: 2
    tags:
      description: Tags of the template itself.
      type: dict
      sample: {"threetier:stack": "demo"}
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict, snake_dict_to_camel_dict
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    outcome_of,
    patiently,
    planned,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import (
    carries,
    set_tags,
    tag_change,
    tag_specifications,
    tags_of,
    text_tags,
)

NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")
USER_DATA_BYTES = 16 * 1024
# Where AWS fills in what nobody set.
FILLED_IN = ("metadata_options", "block_device_mappings")
# The newest version of a template, in EC2's words.
NEWEST = "$Latest"
# What AWS answers where a template or version made just now is not known everywhere yet.
NOT_YET = ("NotFound",)

# A field's place in the data of a version, such as ("metadata_options", "http_tokens").
Path = tuple[str, ...]


def problems_of(params: Mapping[str, Any]) -> Iterator[str]:
    """What AWS would refuse, or take for something else."""
    if not NAME.fullmatch(params["name"]):
        yield f"name must be 3 to 128 letters, digits and ().-/_, not {params['name']!r}"
    if params["user_data"]:
        try:
            size = len(b64decode(params["user_data"], validate=True))
        except ValueError:
            yield "user_data must be base64: give it through the filter b64encode"
        else:
            if size > USER_DATA_BYTES:
                yield f"user_data has {size} bytes before it is encoded: AWS allows {USER_DATA_BYTES}"
    for option, key in (("block_device_mappings", "device_name"), ("tag_specifications", "resource_type")):
        named = [entry[key] for entry in params[option] or []]
        for name in sorted({name for name in named if named.count(name) > 1}):
            yield f"{option} has the {key} {name} {named.count(name)} times: give it once"


def data_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted version's data, all of it, as EC2 takes it."""
    profile = params["iam_instance_profile"]
    specifications = [
        {"ResourceType": entry["resource_type"], "Tags": ansible_dict_to_boto3_tag_list(text_tags(entry["tags"]))}
        for entry in params["tag_specifications"] or []
        if entry["tags"]
    ]
    given = {
        "ImageId": params["image_id"],
        "InstanceType": params["instance_type"],
        "IamInstanceProfile": {"Arn" if profile.startswith("arn:") else "Name": profile} if profile else None,
        "SecurityGroupIds": params["security_group_ids"] or None,
        "MetadataOptions": snake_dict_to_camel_dict(without_none(params["metadata_options"] or {}), capitalize_first=True) or None,
        "BlockDeviceMappings": [
            snake_dict_to_camel_dict(without_none(mapping), capitalize_first=True) for mapping in params["block_device_mappings"] or []
        ]
        or None,
        "UserData": params["user_data"] or None,
        "TagSpecifications": specifications or None,
    }
    return without_none(given)


def fields_of(data: Mapping[str, Any]) -> dict[Path, Any]:
    """A version's data field by field, in the options' words."""
    return dict(fields(data))


def fields(data: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for option, value in data.items():
        path = tuple(camel_dict_to_snake_dict({option: None}))
        if value in ("", [], {}):
            continue
        if option == "IamInstanceProfile":
            # a name is unique in its account, whatever its path, and AWS keeps a name or an ARN, as it was given
            yield path, (value.get("Name") or value.get("Arn", "")).rpartition("/")[2]
        elif option == "SecurityGroupIds":
            yield path, sorted(value)
        elif option == "UserData":
            yield path, text_of(value)
        elif option == "TagSpecifications":
            yield from (((*path, each["ResourceType"], tag["Key"]), tag["Value"]) for each in value for tag in each["Tags"])
        elif option == "BlockDeviceMappings":
            for mapping in camel_dict_to_snake_dict({"mappings": value})["mappings"]:
                device, volume = mapping.pop("device_name"), mapping.pop("ebs", {})
                yield from (((*path, device, field), setting) for field, setting in {**mapping, **volume}.items())
        elif option == "MetadataOptions":
            yield from (((*path, field), setting) for field, setting in camel_dict_to_snake_dict(value).items())
        else:
            yield path, value


def text_of(user_data: str) -> str:
    """User data as people write it; what is no text stays encoded."""
    try:
        return b64decode(user_data).decode()
    except ValueError:
        return user_data


def changes_of(current: Mapping[Path, Any], wanted: Mapping[Path, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two versions: by the field's name, its value in each."""
    settled = {path[:-1] for path in wanted if path[0] in FILLED_IN}
    paths = [path for path in {**wanted, **current} if path in wanted or path[:-1] not in settled]
    return {".".join(path): (current.get(path), wanted.get(path)) for path in paths if current.get(path) != wanted.get(path)}


def find(ec2: Any, name: str) -> dict[str, Any] | None:
    """The template; a filter, because AWS errs where a template that it is asked for by its name is not there."""
    pages = ec2.get_paginator("describe_launch_templates").paginate(Filters=[{"Name": "launch-template-name", "Values": [name]}])
    return next((found for found in pages.build_full_result()["LaunchTemplates"] if found["LaunchTemplateName"] == name), None)


def newest_data(ec2: Any, template_id: str) -> dict[str, Any]:
    answer = ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=[NEWEST], aws_retry=True)
    return answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def create(ec2: Any, name: str, data: dict[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    request: dict[str, Any] = {"LaunchTemplateName": name, "LaunchTemplateData": data}
    if tags:
        request["TagSpecifications"] = tag_specifications(tags, "launch-template")
    return ec2.create_launch_template(**request, aws_retry=True)


def create_version(ec2: Any, template_id: str, data: dict[str, Any]) -> dict[str, Any]:
    return ec2.create_launch_template_version(LaunchTemplateId=template_id, LaunchTemplateData=data, aws_retry=True)


def set_default_version(ec2: Any, template_id: str, version: int) -> None:
    """Makes the version what is taken where nobody names one."""
    request = {"LaunchTemplateId": template_id, "DefaultVersion": str(version)}
    patiently(lambda: ec2.modify_launch_template(**request, aws_retry=True), NOT_YET)


def complaints(answer: Mapping[str, Any]) -> list[str]:
    """What EC2 thinks wrong of a version that it took all the same: no instance can be started from it."""
    return [f"{error['Code']}: {error['Message']}" for error in answer.get("Warning", {}).get("Errors", [])]


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool, warn: Callable[[str], None]) -> dict[str, Any]:
    if problems := list(problems_of(params)):
        raise StateError("\n".join(problems))
    name, data = params["name"], data_of(params)
    template = find(ec2, name)
    tags = tag_change(tags_of(template), params["tags"], params["purge_tags"])
    before: dict[str, Any] | None = None
    answer: dict[str, Any] = {}
    if template is None:
        changes = changes_of({}, fields_of(data))
        template_id, version = planned(name), planned(f"the first version of {name}")
        after = {field: wanted for field, (current, wanted) in changes.items()} | {"tags": tags.result}
        if not check_mode:
            answer = create(ec2, name, data, tags.result)
            template_id, version = answer["LaunchTemplate"]["LaunchTemplateId"], answer["LaunchTemplate"]["LatestVersionNumber"]
    else:
        template_id, version, default = template["LaunchTemplateId"], template["LatestVersionNumber"], template["DefaultVersionNumber"]
        changes = changes_of(fields_of(newest_data(ec2, template_id)), fields_of(data))
        if default != version:
            changes["default_version"] = (default, NEWEST)
        before = {field: current for field, (current, wanted) in changes.items()} | tags.before
        after = {field: wanted for field, (current, wanted) in changes.items()} | tags.after
        if changes.keys() - {"default_version"}:
            version = planned(f"the new version of {name}")
            if not check_mode:
                answer = create_version(ec2, template_id, data)
                version = answer["LaunchTemplateVersion"]["VersionNumber"]
        if not check_mode:
            if changes:
                set_default_version(ec2, template_id, version)
            set_tags(ec2, template_id, tags)
    for complaint in complaints(answer):
        warn(f"EC2 took the new version of {name}, but cannot start an instance from it: {complaint}")
    result = {"name": name, "launch_template_id": template_id, "version": version, "tags": tags.result}
    return {"launch_template": result, **outcome_of(name, before, after)}


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool, warn: Callable[[str], None]) -> dict[str, Any]:
    name, template = params["name"], find(ec2, params["name"])
    if template is None or not carries(template, text_tags(params["tags"])):
        return outcome_of(name, None, None)
    if not check_mode:
        try:
            ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"], aws_retry=True)
        except is_boto3_error_code("InvalidLaunchTemplateId.NotFound"):
            pass  # somebody was faster
    return outcome_of(name, {"launch_template_id": template["LaunchTemplateId"], "version": template["LatestVersionNumber"]}, None)


def build_argument_spec() -> dict[str, Any]:
    ebs = {
        "volume_type": {"type": "str"},
        "volume_size": {"type": "int"},
        "encrypted": {"type": "bool"},
        "delete_on_termination": {"type": "bool"},
        "iops": {"type": "int"},
        "throughput": {"type": "int"},
        "kms_key_id": {"type": "str", "no_log": False},
    }
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "image_id": {"type": "str"},
        "instance_type": {"type": "str"},
        "iam_instance_profile": {"type": "str"},
        "security_group_ids": {"type": "list", "elements": "str"},
        "metadata_options": {
            "type": "dict",
            "options": {
                "http_endpoint": {"type": "str", "choices": ["enabled", "disabled"]},
                "http_tokens": {"type": "str", "choices": ["required", "optional"]},
                "http_put_response_hop_limit": {"type": "int"},
            },
        },
        "block_device_mappings": {
            "type": "list",
            "elements": "dict",
            "options": {"device_name": {"type": "str", "required": True}, "ebs": {"type": "dict", "options": ebs}},
        },
        "user_data": {"type": "str"},
        "tag_specifications": {
            "type": "list",
            "elements": "dict",
            "options": {"resource_type": {"type": "str", "required": True}, "tags": {"type": "dict", "required": True}},
        },
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_if=[("state", "present", ["image_id", "instance_type"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), module.params, module.check_mode, module.warn)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the launch template {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
