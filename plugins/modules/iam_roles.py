#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: iam_roles
version_added: 0.1.0
short_description: Manage a set of IAM roles with all that they may do
description:
  - Creates, updates and deletes IAM roles, each with its trust policy, inline policies, managed policies and, if wanted, instance profile.
  - What a role may do is exactly what its entry says. A policy that somebody attached by hand is removed, and the difference shows it.
  - C(amazon.aws.iam_role) knows no inline policies, so that a role is three tasks with C(amazon.aws.iam_policy) and
    C(amazon.aws.iam_instance_profile), of about eight requests. None of them shows a difference; C(iam_role) leaves inline policies
    alone that somebody added, only warns when a path cannot change, and adopts any role of the name.
  - A role of the same name that does not carry O(tags) is somebody else's. It is refused, and left alone where O(state=absent).
author:
  - threetier.aws contributors
options:
  roles:
    description: The roles. With O(state=absent), only their names count.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the role, unique in the account whatever its case, up to 64 letters, digits and any of V(_+=,.@-).
        type: str
        required: true
      description:
        description: What the role is for. Left as it is where not given.
        type: str
      path:
        description: Path of the role and its instance profile. AWS cannot change it later; the module fails when the role has another one.
        type: str
        default: /
      assume_role_policy:
        description: Trust policy, which says who may take the role; required with O(state=present).
        type: dict
      inline_policies:
        description: The role's inline policies, documents by policy name. Others are deleted.
        type: dict
        default: {}
      managed_policies:
        description: ARNs of the managed policies that the role has. Others are detached.
        type: list
        elements: str
        default: []
      instance_profile:
        description:
          - Whether there is an instance profile of the role's name, with the role in it.
          - V(false) does not look for one; O(state=absent) deletes it in any case.
        type: bool
        default: false
      tags:
        description: Tags of this role and its instance profile, in addition to O(tags).
        type: dict
        default: {}
  state:
    description: Whether the roles should exist.
    type: str
    choices: [present, absent]
    default: present
  tags:
    description:
      - Tags of all roles and instance profiles. They say whose a role is, so they should be few and never change;
        others belong into O(roles[].tags).
      - Required with O(state=absent).
    type: dict
    aliases: [resource_tags]
notes:
  - Policies are compared by what they say. Their order and their white space do not matter.
  - An unchanged role costs three requests, one more for each inline policy and one for an instance profile. IAM's only batch,
    C(GetAccountAuthorizationDetails), reads all roles of the account, needs the permission to do so, and leaves out descriptions.
  - Permissions boundaries and session durations are left as they are.
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
    description: Shows the fields that change, before and after, by the role's name.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Roles of the instances and of a task
  threetier.aws.iam_roles:
    roles:
      - name: demo-instance
        description: What the ECS agent on an instance may do
        assume_role_policy:
          Version: "2012-10-17"
          Statement:
            - {Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}
        managed_policies: ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]
        instance_profile: true
      - name: demo-api-task
        description: What the api tier's code may do
        assume_role_policy:
          Version: "2012-10-17"
          Statement:
            - {Effect: Allow, Principal: {Service: ecs-tasks.amazonaws.com}, Action: "sts:AssumeRole"}
        inline_policies:
          least-privilege:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: ["dynamodb:GetItem", "dynamodb:PutItem"]
                Resource: arn:aws:dynamodb:eu-central-1:123456789012:table/demo
        tags: {"threetier:tier": api}
    tags: {"threetier:stack": demo}

- name: Remove them, with all that hangs on them
  threetier.aws.iam_roles:
    roles: [{name: demo-instance}, {name: demo-api-task}]
    tags: {"threetier:stack": demo}
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-api-task"], "replaced": [], "deleted": [], "unchanged": ["demo-instance"]}
roles:
  description: The roles in the order given, as they are after the run; in check mode, as they would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-instance
    role_arn:
      description: ARN; in check mode, words that say so where the role does not exist yet.
      type: str
      sample: arn:aws:iam::123456789012:role/demo-instance
    path:
      description: Path.
      type: str
      sample: /
    description:
      description: Description.
      type: str
      sample: What the ECS agent on an instance may do
    assume_role_policy:
      description: Trust policy.
      type: dict
    inline_policies:
      description: Documents of the inline policies by policy name.
      type: dict
    managed_policies:
      description: ARNs of the managed policies, sorted.
      type: list
      elements: str
      sample: ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]
    instance_profile_arn:
      description: ARN of the instance profile, as RV(roles[].role_arn) where there is none yet; null where none is wanted.
      type: str
      sample: arn:aws:iam::123456789012:instance-profile/demo-instance
    tags:
      description: Tags.
      type: dict
      sample: {"threetier:stack": "demo"}
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.threetier.aws.plugins.module_utils.iam import (
    NEW_PARENT,
    PATH,
    READERS,
    differing_policies,
    found,
    name_problems,
    policy_problems,
    statements,
)
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, client, outcome, patiently, planned
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change, tags_of, text_tags

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MOST_INLINE_CHARACTERS = 10240
# Who is named in a trust policy may be so new that IAM does not know of it everywhere.
# https://github.com/hashicorp/terraform-provider-aws/pull/12436
NEW_PRINCIPAL = ("Invalid principal in policy", "ConcurrentModification")


def problems(roles: list[dict[str, Any]], state: str) -> Iterator[str]:
    """What is wrong with the input, in sentences."""
    yield from name_problems("role", [role["name"] for role in roles])
    for role in roles if state == "present" else []:
        name = role["name"]
        if not PATH.fullmatch(role["path"]):
            yield f"role {name}: path {role['path']!r} must begin and end with a slash"
        if not (role["assume_role_policy"] or {}).get("Statement"):
            yield f"role {name}: assume_role_policy needs a Statement that says who may take the role"
        yield from policy_problems(f"role {name}", role["inline_policies"], MOST_INLINE_CHARACTERS)
        for arn in role["managed_policies"]:
            if not arn.startswith("arn:"):
                yield f"role {name}: managed policy {arn!r} must be given by its ARN"


def read_role(iam: Any, name: str, with_profile: bool) -> dict[str, Any]:
    """What IAM knows under a name: C(role), with all that it may do, and C(profile); None where there is none."""
    answer = found(lambda: iam.get_role(RoleName=name, aws_retry=True))
    profile = found(lambda: iam.get_instance_profile(InstanceProfileName=name, aws_retry=True)) if with_profile else None
    return {"role": answer and role_of(iam, answer["Role"]), "profile": profile and profile_of(profile["InstanceProfile"])}


def role_of(iam: Any, role: dict[str, Any]) -> dict[str, Any]:
    name = role["RoleName"]
    inline = iam.get_paginator("list_role_policies").paginate(RoleName=name).build_full_result()["PolicyNames"]
    attached = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name).build_full_result()["AttachedPolicies"]
    return {
        "name": name,
        "role_arn": role["Arn"],
        "path": role["Path"],
        "description": role.get("Description", ""),
        "max_session_duration": role["MaxSessionDuration"],
        "assume_role_policy": role["AssumeRolePolicyDocument"],
        "inline_policies": {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy, aws_retry=True)["PolicyDocument"] for policy in inline
        },
        "managed_policies": sorted(policy["PolicyArn"] for policy in attached),
        "tags": tags_of(role),
    }


def profile_of(profile: dict[str, Any]) -> dict[str, Any]:
    return {
        "arn": profile["Arn"],
        "roles": [role["RoleName"] for role in profile["Roles"]],
        "tags": tags_of(profile),
    }


def read_all(iam: Any, roles: list[dict[str, Any]], profiles_too: bool) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(READERS) as readers:
        return list(readers.map(lambda role: read_role(iam, role["name"], profiles_too or role["instance_profile"]), roles))


def is_ours(thing: dict[str, Any], tags: dict[str, str]) -> bool:
    return tags.items() <= thing["tags"].items()


def refusals(wanted: dict[str, Any], there: dict[str, Any], ours: dict[str, str]) -> Iterator[str]:
    """Why what is there cannot become what is wanted."""
    name, role, profile = wanted["name"], there["role"], there["profile"]
    remedy = f"does not carry the tags {ours}, so it is somebody else's; choose another name, or give it these tags to hand it over"
    if role and not is_ours(role, ours):
        yield f"role {name} {remedy}"
    elif role and role["path"] != wanted["path"]:
        yield (
            f"role {name} has the path {role['path']}, and AWS cannot move it to {wanted['path']}; "
            "keep its path, or delete it (state: absent) and run again"
        )
    if profile and not is_ours(profile, ours):
        yield f"instance profile {name} {remedy}"


def difference(wanted: dict[str, Any], there: dict[str, Any], purge_tags: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of an existing role that have to change, before and after."""
    role, before, after = there["role"], {}, {}
    if wanted["description"] not in (None, role["description"]):
        before["description"], after["description"] = role["description"], wanted["description"]
    if compare_policies(role["assume_role_policy"], wanted["assume_role_policy"]):
        before["assume_role_policy"] = statements(role["assume_role_policy"])
        after["assume_role_policy"] = statements(wanted["assume_role_policy"])
    old = policies(role | {"inline_policies": differing_policies(role["inline_policies"], wanted["inline_policies"])})
    new = policies(wanted | {"inline_policies": differing_policies(wanted["inline_policies"], role["inline_policies"])})
    for field in [field for field in {**old, **new} if old.get(field) != new.get(field)]:
        before[field], after[field] = old.get(field), new.get(field)
    tags = tag_change(role["tags"], wanted["tags"], purge_tags)
    before |= tags.before
    after |= tags.after
    if wanted["instance_profile"]:
        old_profile, new_profile = profile_difference(wanted, there["profile"], purge_tags)
        if old_profile != new_profile:
            before["instance_profile"], after["instance_profile"] = old_profile, new_profile
    return before, after


def profile_difference(
    wanted: dict[str, Any], profile: dict[str, Any] | None, purge_tags: bool
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What has to change in the instance profile, before (None: it does not exist) and after."""
    if profile is None:
        return None, {"roles": [wanted["name"]], "tags": wanted["tags"]}
    tags = tag_change(profile["tags"], wanted["tags"], purge_tags)
    if profile["roles"] == [wanted["name"]]:
        return tags.before, tags.after
    return {"roles": profile["roles"], **tags.before}, {"roles": [wanted["name"]], **tags.after}


def policies(role: dict[str, Any]) -> dict[str, Any]:
    """The policies of a role as a diff shows them."""
    return {
        **{f"policy {name}": statements(document) for name, document in role["inline_policies"].items()},
        **{f"managed_policy {arn}": "attached" for arn in role["managed_policies"]},
    }


def fields(role: dict[str, Any]) -> dict[str, Any]:
    """What a diff shows of a whole role."""
    shown = {"path": role["path"], "description": role["description"] or "", "assume_role_policy": statements(role["assume_role_policy"])}
    if role.get("instance_profile"):
        shown["instance_profile"] = {"roles": [role["name"]], "tags": role["tags"]}
    return {**shown, **policies(role), "tags": role["tags"]}


def create_role(iam: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Makes the role with its trust, description and tags, and returns it as C(role_of) does: without a policy."""
    request = {
        "RoleName": wanted["name"],
        "Path": wanted["path"],
        "Description": wanted["description"] or "",
        "AssumeRolePolicyDocument": json.dumps(wanted["assume_role_policy"]),
        "Tags": ansible_dict_to_boto3_tag_list(wanted["tags"]),
    }
    made = patiently(lambda: iam.create_role(**request, aws_retry=True), NEW_PRINCIPAL)["Role"]
    return {**wanted, "description": request["Description"], "role_arn": made["Arn"], "inline_policies": {}, "managed_policies": []}


def update_role(iam: Any, wanted: dict[str, Any], role: dict[str, Any], purge_tags: bool) -> None:
    """Makes an existing role what it should be. What it may no longer do goes first."""
    name = wanted["name"]

    def call(operation: Callable[..., Any], **request: Any) -> None:
        patiently(lambda: operation(RoleName=name, **request, aws_retry=True), NEW_PARENT)

    for policy in role["inline_policies"].keys() - wanted["inline_policies"].keys():
        call(iam.delete_role_policy, PolicyName=policy)
    for arn in set(role["managed_policies"]) - set(wanted["managed_policies"]):
        call(iam.detach_role_policy, PolicyArn=arn)
    if compare_policies(role["assume_role_policy"], wanted["assume_role_policy"]):
        trust = {"RoleName": name, "PolicyDocument": json.dumps(wanted["assume_role_policy"])}
        patiently(lambda: iam.update_assume_role_policy(**trust, aws_retry=True), NEW_PRINCIPAL)
    if wanted["description"] not in (None, role["description"]):
        # UpdateRole sets the duration to an hour where it is not given.
        # https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html
        call(iam.update_role, Description=wanted["description"], MaxSessionDuration=role["max_session_duration"])
    for policy, document in differing_policies(wanted["inline_policies"], role["inline_policies"]).items():
        call(iam.put_role_policy, PolicyName=policy, PolicyDocument=json.dumps(document))
    for arn in set(wanted["managed_policies"]) - set(role["managed_policies"]):
        call(iam.attach_role_policy, PolicyArn=arn)
    tags = tag_change(role["tags"], wanted["tags"], purge_tags)
    if tags.to_set:
        call(iam.tag_role, Tags=ansible_dict_to_boto3_tag_list(tags.to_set))
    if tags.to_remove:
        call(iam.untag_role, TagKeys=tags.to_remove)


def write_profile(iam: Any, wanted: dict[str, Any], profile: dict[str, Any] | None, purge_tags: bool) -> str:
    """Makes the instance profile what it should be, and returns its ARN. AWS allows one role in it."""
    name = wanted["name"]

    def call(operation: Callable[..., Any], **request: Any) -> Any:
        return patiently(lambda: operation(InstanceProfileName=name, **request, aws_retry=True), NEW_PARENT)

    if profile is None:
        tags = ansible_dict_to_boto3_tag_list(wanted["tags"])
        profile = profile_of(call(iam.create_instance_profile, Path=wanted["path"], Tags=tags)["InstanceProfile"])
        profile["tags"] = wanted["tags"]
    if profile["roles"] != [name]:
        for role in profile["roles"]:
            call(iam.remove_role_from_instance_profile, RoleName=role)
        call(iam.add_role_to_instance_profile, RoleName=name)
    change = tag_change(profile["tags"], wanted["tags"], purge_tags)
    if change.to_set:
        call(iam.tag_instance_profile, Tags=ansible_dict_to_boto3_tag_list(change.to_set))
    if change.to_remove:
        call(iam.untag_instance_profile, TagKeys=change.to_remove)
    return profile["arn"]


def public(wanted: dict[str, Any], there: dict[str, Any], role_arn: str, profile_arn: str | None, purge_tags: bool) -> dict[str, Any]:
    """A role as it is once all is done."""
    role = there["role"] or {"description": "", "tags": {}}
    return {
        **{field: wanted[field] for field in ("name", "path", "assume_role_policy", "inline_policies", "managed_policies")},
        "description": role["description"] if wanted["description"] is None else wanted["description"],
        "role_arn": role_arn,
        "instance_profile_arn": profile_arn,
        "tags": tag_change(role["tags"], wanted["tags"], purge_tags).result,
    }


def wanted_role(role: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    return {
        **role,
        "managed_policies": sorted(set(role["managed_policies"])),
        "tags": text_tags({**tags, **role["tags"]}),
    }


def ensure_present(iam: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    ours, purge = text_tags(params["tags"]), params["purge_tags"]
    roles = [wanted_role(role, ours) for role in params["roles"]]
    everything = read_all(iam, roles, profiles_too=False)
    if refused := [sentence for wanted, there in zip(roles, everything) for sentence in refusals(wanted, there, ours)]:
        raise StateError("; ".join(refused))

    before, after, results = {}, {}, []
    for wanted, there in zip(roles, everything):
        name, role, profile = wanted["name"], there["role"], there["profile"]
        if role:
            old, new = difference(wanted, there, purge)
            if old != new:
                before[name], after[name] = old, new
        else:
            after[name] = fields(wanted)
        role_arn = role["role_arn"] if role else planned(name)
        profile_arn = (profile["arn"] if profile else planned(name)) if wanted["instance_profile"] else None
        if name in after and not check_mode:
            role = role or create_role(iam, wanted)
            role_arn = role["role_arn"]
            update_role(iam, wanted, role, purge)
            if wanted["instance_profile"]:
                profile_arn = write_profile(iam, wanted, profile, purge)
        results.append(public(wanted, there, role_arn, profile_arn, purge))
    return {"roles": results, **outcome(before, after, [role["name"] for role in roles])}


def delete(iam: Any, name: str, there: dict[str, Any]) -> None:
    """Deletes what is ours under a name: first what hangs on it, as AWS wants it."""
    role, profile = there["role"], there["profile"]
    if role:
        profiles = iam.get_paginator("list_instance_profiles_for_role").paginate(RoleName=name).build_full_result()["InstanceProfiles"]
        for each in profiles:
            iam.remove_role_from_instance_profile(InstanceProfileName=each["InstanceProfileName"], RoleName=name, aws_retry=True)
    if profile:
        patiently(lambda: iam.delete_instance_profile(InstanceProfileName=name, aws_retry=True), ("DeleteConflict",))
    if role:
        for policy in role["inline_policies"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy, aws_retry=True)
        for arn in role["managed_policies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=arn, aws_retry=True)
        patiently(lambda: iam.delete_role(RoleName=name, aws_retry=True), ("DeleteConflict",))


def ensure_absent(iam: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    ours, before, foreign = text_tags(params["tags"]), {}, []
    for wanted, there in zip(params["roles"], read_all(iam, params["roles"], profiles_too=True)):
        name = wanted["name"]
        left = [kind for kind, thing in there.items() if thing and not is_ours(thing, ours)]
        foreign += [f"the {kind} {name} does not carry the tags {ours} and stays" for kind in left]
        mine = {kind: None if kind in left else thing for kind, thing in there.items()}
        if mine["role"] or mine["profile"]:
            profile = {"instance_profile": {"roles": mine["profile"]["roles"]}} if mine["profile"] else {}
            before[name] = (fields(mine["role"]) if mine["role"] else {}) | profile
            if not check_mode:
                delete(iam, name, mine)
    return outcome(before, {}) | {"foreign": foreign}


def build_argument_spec() -> dict[str, Any]:
    return {
        "roles": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "name": {"type": "str", "required": True},
                "description": {"type": "str"},
                "path": {"type": "str", "default": "/"},
                "assume_role_policy": {"type": "dict"},
                "inline_policies": {"type": "dict", "default": {}},
                "managed_policies": {"type": "list", "elements": "str", "default": []},
                "instance_profile": {"type": "bool", "default": False},
                "tags": {"type": "dict", "default": {}},
            },
        },
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=build_argument_spec(), supports_check_mode=True)
    params = module.params
    wrong = list(problems(params["roles"], params["state"]))
    if params["state"] == "absent" and not params["tags"]:
        wrong.append("state: absent needs tags, which say whose roles may be deleted")
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    ensure = ensure_present if params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "iam"), params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the roles {', '.join(role['name'] for role in params['roles'])}")
    for sentence in result.pop("foreign", []):
        module.warn(sentence)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
