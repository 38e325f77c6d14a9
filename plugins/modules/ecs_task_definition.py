#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_task_definition
version_added: 0.1.0
short_description: Manage the revisions of an ECS task definition
description:
  - Registers a new revision of a task definition family when, and only when, the wanted definition differs from the newest active one.
  - Revisions cannot be changed, so the module marks each with a checksum of the definition that it was asked for, in the tag
    C(threetier:definition). Comparing checksums is exact and does not depend on what AWS fills in.
  - A revision that somebody else registered has no valid mark, and is followed by a new one.
  - M(community.aws.ecs_taskdefinition) does not notice changed environment values, secrets, commands, mounts, CPU, memory,
    execution roles and architectures, and reads every revision of the family.
author:
  - threetier.aws contributors
options:
  family:
    description: Name of the family.
    type: str
    required: true
  state:
    description:
      - Whether the family should have an active revision.
      - With V(absent), all active revisions are deregistered. Running services keep their tasks.
    type: str
    choices: [present, absent]
    default: present
  containers:
    description:
      - The container definitions, in the words of the ECS API (C(portMappings), C(logConfiguration)).
      - Required with O(state=present).
      - Values of C(environment) are stored in plain and shown in a diff; pass secrets by reference in C(secrets).
    type: list
    elements: dict
  task_role_arn:
    description: Role of the application in the containers.
    type: str
  execution_role_arn:
    description: Role with which ECS pulls images, reads secrets and writes logs.
    type: str
  network_mode:
    description: How containers are connected; Fargate takes only V(awsvpc). AWS's default is V(bridge).
    type: str
    choices: [awsvpc, bridge, host, none]
  requires_compatibilities:
    description: Where the tasks must be able to run; AWS then checks the definition against that.
    type: list
    elements: str
    choices: [EC2, FARGATE]
  cpu:
    description: CPU units of a task; 1024 are one virtual CPU. Fargate requires it.
    type: str
  memory:
    description: Memory of a task in MiB. Fargate requires it.
    type: str
  runtime_platform:
    description: For which machines the images are made.
    type: dict
    suboptions:
      cpu_architecture:
        description: Processor architecture.
        type: str
        choices: [X86_64, ARM64]
      operating_system_family:
        description: Operating system, such as V(LINUX).
        type: str
  volumes:
    description: The volumes, in the words of the ECS API.
    type: list
    elements: dict
  ephemeral_storage_gib:
    description: Temporary storage of a Fargate task in GiB, 21 to 200. AWS's default is 20.
    type: int
  tags:
    description:
      - Tags of the newest revision. A change of tags alone is made on that revision.
      - Left out, tags are left alone.
    type: dict
    aliases: [resource_tags]
  purge_tags:
    description: Whether tags that O(tags) does not have are removed. The module's own tag always stays.
    type: bool
    default: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Predicts the result and writes nothing. The containers are checked against the API's own description.
    support: full
  diff_mode:
    description: Shows the fields that differ from the newest active revision, before and after, by the family's name.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
seealso:
  - module: threetier.aws.ecs_service
  - module: community.aws.ecs_taskdefinition
"""

EXAMPLES = r"""
- name: Have the newest revision describe the web tier
  threetier.aws.ecs_task_definition:
    family: demo-web
    requires_compatibilities: [FARGATE]
    network_mode: awsvpc
    cpu: "256"
    memory: "512"
    runtime_platform:
      cpu_architecture: ARM64
      operating_system_family: LINUX
    task_role_arn: "{{ identity_task_role_arn }}"
    execution_role_arn: "{{ identity_execution_role_arn }}"
    containers:
      - name: web
        image: "{{ image_uri }}"
        portMappings:
          - containerPort: 8080
        environment:
          - name: API_URL
            value: http://api.internal
    tags:
      threetier:stack: demo
  register: web

- name: Deregister all active revisions
  threetier.aws.ecs_task_definition:
    family: demo-web
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-web"], "replaced": [], "deleted": [], "unchanged": []}
task_definition:
  description: The newest active revision as AWS describes it after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    family:
      description: Name of the family.
      type: str
      sample: demo-web
    revision:
      description: Number of the revision; in check mode, the number that a new one would get.
      type: int
      sample: 7
    task_definition_arn:
      description: ARN of the revision; predicted in check mode, too.
      type: str
      sample: arn:aws:ecs:eu-central-1:123456789012:task-definition/demo-web:7
    container_definitions:
      description: Containers, in the words of the ECS API.
      type: list
      elements: dict
    tags:
      description: Tags.
      type: dict
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
    from botocore.validate import ParamValidator
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import snake_dict_to_camel_dict
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_message
from ansible_collections.amazon.aws.plugins.module_utils.iam import get_aws_account_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.ecs import NEW_ROLE_REFUSALS, change_tags, public, tag_dict, tag_list
from ansible_collections.threetier.aws.plugins.module_utils.state import client, outcome_of, patiently, without_none
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change, text_tags

MARK = "threetier:definition"
# What tells the things of a list apart. AWS answers with such a list in any order, and with more fields in each.
NAMES = {
    "containerDefinitions": "name",
    "volumes": "name",
    "environment": "name",
    "secrets": "name",
    "portMappings": "containerPort",
    "mountPoints": "containerPath",
}
# What a revision says of itself, and what AWS fills in where nobody gave it.
OF_THE_REVISION = {
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "tags",
}
FILLED_IN = {"essential": True, "networkMode": "bridge"}


def number(arn: str) -> int:
    """The revision in C(...:task-definition/family:7)."""
    return int(arn.rpartition(":")[2])


def describe(ecs: Any, family: str) -> dict[str, Any] | None:
    """The newest active revision with its tags, or None where the family has none.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTaskDefinition.html
    """
    try:
        answer = ecs.describe_task_definition(taskDefinition=family, include=["TAGS"], aws_retry=True)
    except is_boto3_error_message("Unable to describe task definition"):
        return None
    return {**answer["taskDefinition"], "tags": answer.get("tags", [])}


def wanted_definition(params: dict[str, Any]) -> dict[str, Any]:
    """The definition in the API's words, without what nobody asked for."""
    compatibilities, storage = params["requires_compatibilities"], params["ephemeral_storage_gib"]
    return without_none(
        {
            "family": params["family"],
            "containerDefinitions": params["containers"],
            "taskRoleArn": params["task_role_arn"],
            "executionRoleArn": params["execution_role_arn"],
            "networkMode": params["network_mode"],
            "requiresCompatibilities": sorted(compatibilities) if compatibilities else None,
            "cpu": params["cpu"],
            "memory": params["memory"],
            "runtimePlatform": snake_dict_to_camel_dict(params["runtime_platform"] or {}) or None,
            "volumes": params["volumes"],
            "ephemeralStorage": {"sizeInGiB": storage} if storage else None,
        }
    )


def check_against_api(ecs: Any, definition: dict[str, Any]) -> None:
    """Fails on misspelt or mistyped fields as a real registration would, so that check mode finds them, too."""
    shape = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape
    report = ParamValidator().validate(definition, shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())


def checksum(definition: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def mark(definition: dict[str, Any], revision: int) -> str:
    """The value of the tag. It names the revision, because the AWS console copies the tags when somebody edits one into a new one."""
    return f"{revision}:{checksum(definition)}"


class Complete(dict[str, Any]):
    """A mapping to which AWS adds nothing but what is C(FILLED_IN): anything else that is not wanted is a difference."""


def readable(definition: Mapping[str, Any]) -> Complete:
    """A definition, or a container, with its lists of named things as mappings, so that a diff shows only what differs."""
    fields = {field: value for field, value in definition.items() if field not in OF_THE_REVISION}
    return Complete({field: by_name(field, value) if field in NAMES and value else value for field, value in fields.items()})


def by_name(field: str, items: list[dict[str, Any]]) -> Complete:
    def named(item: dict[str, Any]) -> Any:
        if field in ("environment", "secrets"):
            return item.get("value", item.get("valueFrom"))
        rest = {key: value for key, value in item.items() if key != NAMES[field]}
        return readable(rest) if field == "containerDefinitions" else rest

    return Complete({str(item.get(NAMES[field], "")): named(item) for item in items})


def contrast(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that differ, before and after."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    superfluous = [field for field, value in current.items() if field not in wanted and value and FILLED_IN.get(field) != value]
    for field in [*wanted, *(superfluous if isinstance(current, Complete) else [])]:
        old, new = current.get(field), wanted.get(field)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            old, new = contrast(old, new)
        if old != new and (old or new):
            before[field], after[field] = old, new
    return before, after


def ensure_present(module: AnsibleAWSModule, ecs: Any) -> dict[str, Any]:
    params = module.params
    family = params["family"]
    definition = wanted_definition(params)
    check_against_api(ecs, definition)
    current = describe(ecs, family)
    current_tags = tag_dict(current or {})
    wanted_tags = text_tags(params["tags"])
    if current and current_tags.get(MARK) == mark(definition, current["revision"]):
        return retag(module, ecs, current)

    tags = tag_change(current_tags, params["tags"], params["purge_tags"]).result if current else wanted_tags
    tags = {key: value for key, value in tags.items() if key != MARK and not key.startswith("aws:")}
    # The mark is there from the first moment: after a crash, a revision without it would be followed by another one.
    revision = next_revision(ecs, family, current)
    tags[MARK] = mark(definition, revision)
    if module.check_mode:
        arn = f"{arn_of_family(module, current)}:{revision}"
        registered = {**definition, "taskDefinitionArn": arn, "revision": revision, "status": "ACTIVE"}
    else:
        request = {**definition, "tags": tag_list(tags)}
        registered = patiently(lambda: ecs.register_task_definition(**request, aws_retry=True), NEW_ROLE_REFUSALS)["taskDefinition"]
        if registered["revision"] != revision:  # somebody else has registered one, or one was deleted
            tags[MARK] = mark(definition, registered["revision"])
            ecs.tag_resource(resourceArn=registered["taskDefinitionArn"], tags=tag_list({MARK: tags[MARK]}), aws_retry=True)

    result = {"task_definition": described({**registered, "tags": tag_list(tags)})}
    if current is None:
        return result | outcome_of(family, None, {**readable(definition), "revision": registered["revision"], "tags": tags})
    before, after = contrast(readable(current), readable(definition))
    retagged = tag_change(current_tags, tags, purge=True)
    before |= {"revision": current["revision"]} | retagged.before
    after |= {"revision": registered["revision"]} | retagged.after
    return result | outcome_of(family, before, after)


def retag(module: AnsibleAWSModule, ecs: Any, current: dict[str, Any]) -> dict[str, Any]:
    """Repairs the tags of a revision that is as wanted."""
    tags = tag_dict(current)
    wanted = None if module.params["tags"] is None else {**module.params["tags"], MARK: tags[MARK]}
    change = tag_change(tags, wanted, module.params["purge_tags"])
    if not module.check_mode:
        change_tags(ecs, current["taskDefinitionArn"], change)
    return {
        "task_definition": described({**current, "tags": tag_list(change.result)}),
        **outcome_of(module.params["family"], change.before, change.after),
    }


def described(revision: dict[str, Any]) -> dict[str, Any]:
    return public(revision, raw=("containerDefinitions", "volumes"))


def next_revision(ecs: Any, family: str, current: dict[str, Any] | None) -> int:
    """The number that the next revision gets; AWS goes on counting where deregistered revisions stopped."""
    inactive = ecs.list_task_definitions(familyPrefix=family, status="INACTIVE", sort="DESC", aws_retry=True)["taskDefinitionArns"]
    return max([current["revision"] if current else 0, *map(number, inactive)]) + 1


def arn_of_family(module: AnsibleAWSModule, current: dict[str, Any] | None) -> str:
    """The ARN of the family's revisions, without their numbers."""
    if current:
        return str(current["taskDefinitionArn"].rpartition(":")[0])
    account, partition = get_aws_account_info(module)
    return f"arn:{partition}:ecs:{module.region}:{account}:task-definition/{module.params['family']}"


def ensure_absent(module: AnsibleAWSModule, ecs: Any) -> dict[str, Any]:
    family = module.params["family"]
    pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE")
    arns = [arn for page in pages for arn in page["taskDefinitionArns"]]
    if not module.check_mode:
        for arn in arns:
            ecs.deregister_task_definition(taskDefinition=arn, aws_retry=True)
    return outcome_of(family, {"revisions": sorted(number(arn) for arn in arns)} if arns else None, None)


def build_argument_spec() -> dict[str, Any]:
    return {
        "family": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "containers": {"type": "list", "elements": "dict"},
        "task_role_arn": {"type": "str"},
        "execution_role_arn": {"type": "str"},
        "network_mode": {"type": "str", "choices": ["awsvpc", "bridge", "host", "none"]},
        "requires_compatibilities": {"type": "list", "elements": "str", "choices": ["EC2", "FARGATE"]},
        "cpu": {"type": "str"},
        "memory": {"type": "str"},
        "runtime_platform": {
            "type": "dict",
            "options": {
                "cpu_architecture": {"type": "str", "choices": ["X86_64", "ARM64"]},
                "operating_system_family": {"type": "str"},
            },
        },
        "volumes": {"type": "list", "elements": "dict"},
        "ephemeral_storage_gib": {"type": "int"},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_if=[("state", "present", ["containers"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(module, client(module, "ecs"))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the task definition {module.params['family']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
