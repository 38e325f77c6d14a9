#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: iam_users
version_added: 0.1.0
short_description: Manage the IAM users of a path as a set
description:
  - Creates and updates IAM users, and deletes those under the same path that the set lacks, with their credentials.
  - What a user may do is exactly what its entry says. A policy or a group that somebody added by hand is taken away, and the difference
    shows it.
  - C(amazon.aws.iam_user) knows no inline policies and no groups, so that a set is three tasks with C(amazon.aws.iam_user_info) and
    C(amazon.aws.iam_policy). None of them shows a difference; C(iam_user) moves a user of the name from another path to this one, and its
    removal fails for a user with service-specific credentials, which it deletes as SSH keys, and leaves virtual MFA devices behind.
  - A user of the same name under another path is somebody else's, and refused.
author:
  - threetier.aws contributors
options:
  path:
    description:
      - Path of the users, such as V(/threetier/demo/). The set has it for itself, so it cannot be V(/).
      - Users under other paths are never touched, not even under one that begins like it.
    type: str
    required: true
  users:
    description: The users. An empty list with O(purge=true) removes all of the path.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the user, unique in the account whatever its case, up to 64 letters, digits and any of V(_+=,.@-).
        type: str
        required: true
      inline_policies:
        description: The user's inline policies, documents by policy name. Others are deleted.
        type: dict
        default: {}
      tags:
        description: Tags of this user, in addition to O(tags).
        type: dict
  purge:
    description:
      - Whether users under O(path) that O(users) does not list are removed, with their password, access keys, SSH keys, service-specific
        credentials, signing certificates, MFA devices, policies and memberships.
    type: bool
    default: true
notes:
  - No credentials are made, and those of a user who stays are left alone. So are permissions boundaries.
  - Policies are compared by what they say. Their order and their white space do not matter.
  - The list of the path is one request, which an empty path costs alone. An unchanged user costs four more, and one for each inline policy.
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
    description: Shows what changes of each user, by its name, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Who may look at the stack, and nobody else
  threetier.aws.iam_users:
    path: /threetier/demo/
    users:
      - name: demo-ada
        tags: {expires: "2030-01-31T18:00:00Z"}
        inline_policies:
          read-only-until:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: ["ecs:Describe*", "ecs:List*"]
                Resource: "*"
                Condition:
                  DateLessThan: {"aws:CurrentTime": "2030-01-31T18:00:00Z"}
    tags: {"threetier:stack": demo}

- name: Remove them all, with their credentials
  threetier.aws.iam_users:
    path: /threetier/demo/
    users: []
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo-ada"], "changed": [], "replaced": [], "deleted": ["demo-bob"], "unchanged": []}
users:
  description: The users in the order of O(users), as they are after the run; in check mode, as they would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-ada
    user_arn:
      description: ARN; in check mode, words that say so where the user does not exist yet.
      type: str
      sample: arn:aws:iam::123456789012:user/threetier/demo/demo-ada
    inline_policies:
      description: Documents of the inline policies by policy name.
      type: dict
    tags:
      description: Tags.
      type: dict
      sample: {"expires": "2030-01-31T18:00:00Z", "threetier:stack": "demo"}
"""

import json
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
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
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change, tags_of

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MOST_INLINE_CHARACTERS = 2048
# A password that has just been made cannot go at once, and what has just gone still hangs on its user somewhere.
STILL_BUSY = ("EntityTemporarilyUnmodifiable", "ConcurrentModification", "DeleteConflict")


def input_problems(params: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the input, in sentences."""
    if params["path"] == "/" or not PATH.fullmatch(params["path"]):
        yield f"path {params['path']!r} must begin and end with a slash and have a name in between, such as /threetier/demo/"
    yield from name_problems("user", [user["name"] for user in params["users"]])
    for user in params["users"]:
        yield from policy_problems(f"user {user['name']}", user["inline_policies"], MOST_INLINE_CHARACTERS)


def names_under(iam: Any, path: str) -> list[str]:
    """Names of the users under exactly this path: AWS takes it for a prefix."""
    pages = iam.get_paginator("list_users").paginate(PathPrefix=path)
    return [user["UserName"] for user in pages.build_full_result()["Users"] if user["Path"] == path]


def read_user(iam: Any, name: str) -> dict[str, Any] | None:
    """A user with all that it may do, None where there is none. The list of users leaves tags out."""
    if (answer := found(lambda: iam.get_user(UserName=name, aws_retry=True))) is None:
        return None
    user = answer["User"]

    def listed(operation: str, field: str) -> list[Any]:
        return iam.get_paginator(operation).paginate(UserName=name).build_full_result()[field]

    return {
        "name": user["UserName"],
        "user_arn": user["Arn"],
        "path": user["Path"],
        "inline_policies": {
            policy: iam.get_user_policy(UserName=name, PolicyName=policy, aws_retry=True)["PolicyDocument"]
            for policy in listed("list_user_policies", "PolicyNames")
        },
        "attached_policies": sorted(policy["PolicyArn"] for policy in listed("list_attached_user_policies", "AttachedPolicies")),
        "groups": sorted(group["GroupName"] for group in listed("list_groups_for_user", "Groups")),
        "tags": tags_of(user),
    }


def read_all(iam: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """Those of the users that exist, by the names that they were asked for."""
    with ThreadPoolExecutor(READERS) as readers:
        users = readers.map(lambda name: read_user(iam, name), names)
        return {name: user for name, user in zip(names, users) if user}


def refusals(params: dict[str, Any], everybody: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Why users that exist cannot become the wanted ones."""
    for wanted in params["users"]:
        name = wanted["name"]
        user = everybody.get(name)
        if user and user["path"] != params["path"]:
            yield (
                f"user {name} has the path {user['path']}, not {params['path']}, so it is somebody else's; choose another name, "
                "or move it with UpdateUser to hand it over"
            )
        for other in sorted({user["name"] for user in everybody.values()}):
            if other != name and other.lower() == name.lower():
                yield f"user {name} exists as {other}, and AWS does not tell names apart by case; write it like that"


def new_user(name: str, path: str) -> dict[str, Any]:
    """A user that may do nothing yet."""
    return {
        "name": name,
        "user_arn": planned(name),
        "path": path,
        "inline_policies": {},
        "attached_policies": [],
        "groups": [],
        "tags": {},
    }


def fields(user: dict[str, Any]) -> dict[str, Any]:
    """What a difference shows of a whole user."""
    return {
        "path": user["path"],
        **{f"policy {name}": statements(document) for name, document in user["inline_policies"].items()},
        "attached policies": user["attached_policies"],
        "groups": user["groups"],
        **{f"tag {key}": value for key, value in user["tags"].items()},
    }


def difference(user: dict[str, Any], wanted: dict[str, Any], tags: TagChange) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a user that have to change, before and after."""
    before, after = dict(tags.before), dict(tags.after)
    old, new = user["inline_policies"], wanted["inline_policies"]
    for policy in [*differing_policies(new, old), *(policy for policy in old if policy not in new)]:
        before[f"policy {policy}"], after[f"policy {policy}"] = statements(old.get(policy)), statements(new.get(policy))
    for field in ("attached_policies", "groups"):
        if user[field]:
            shown = field.replace("_", " ")
            before[shown], after[shown] = user[field], []
    return before, after


def create(iam: Any, name: str, path: str, tags: dict[str, str]) -> dict[str, Any]:
    """Makes a user with its tags, and returns it as C(read_user) does."""
    answer = iam.create_user(UserName=name, Path=path, Tags=ansible_dict_to_boto3_tag_list(tags), aws_retry=True)
    return {**new_user(name, path), "user_arn": answer["User"]["Arn"], "tags": tags}


def update(iam: Any, user: dict[str, Any], wanted: dict[str, Any], tags: TagChange) -> None:
    """Makes a user what it should be. What it may no longer do goes first."""

    def call(operation: Callable[..., Any], **request: Any) -> None:
        patiently(lambda: operation(UserName=user["name"], **request, aws_retry=True), NEW_PARENT)

    take_permissions(iam, user, wanted["inline_policies"])
    for policy, document in differing_policies(wanted["inline_policies"], user["inline_policies"]).items():
        call(iam.put_user_policy, PolicyName=policy, PolicyDocument=json.dumps(document))
    # In this order: IAM does not tell the keys of tags apart by case.
    if tags.to_remove:
        call(iam.untag_user, TagKeys=tags.to_remove)
    if tags.to_set:
        call(iam.tag_user, Tags=ansible_dict_to_boto3_tag_list(tags.to_set))


def take(operation: Callable[..., Any], **request: Any) -> None:
    """Removes what somebody else may have removed meanwhile."""
    found(lambda: patiently(lambda: operation(**request, aws_retry=True), STILL_BUSY))


def take_permissions(iam: Any, user: dict[str, Any], kept_policies: Container[str] = ()) -> None:
    name = user["name"]
    for group in user["groups"]:
        take(iam.remove_user_from_group, UserName=name, GroupName=group)
    for arn in user["attached_policies"]:
        take(iam.detach_user_policy, UserName=name, PolicyArn=arn)
    for policy in user["inline_policies"]:
        if policy not in kept_policies:
            take(iam.delete_user_policy, UserName=name, PolicyName=policy)


def take_credentials(iam: Any, name: str) -> None:
    """Locks a user out. AWS allows so few of each kind that a page holds them; the MFA devices protect the others, and go last."""
    take(iam.delete_login_profile, UserName=name)
    for key in iam.list_access_keys(UserName=name, aws_retry=True)["AccessKeyMetadata"]:
        take(iam.delete_access_key, UserName=name, AccessKeyId=key["AccessKeyId"])
    for key in iam.list_ssh_public_keys(UserName=name, aws_retry=True)["SSHPublicKeys"]:
        take(iam.delete_ssh_public_key, UserName=name, SSHPublicKeyId=key["SSHPublicKeyId"])
    for each in iam.list_service_specific_credentials(UserName=name, aws_retry=True)["ServiceSpecificCredentials"]:
        take(iam.delete_service_specific_credential, UserName=name, ServiceSpecificCredentialId=each["ServiceSpecificCredentialId"])
    for certificate in iam.list_signing_certificates(UserName=name, aws_retry=True)["Certificates"]:
        take(iam.delete_signing_certificate, UserName=name, CertificateId=certificate["CertificateId"])
    for device in iam.list_mfa_devices(UserName=name, aws_retry=True)["MFADevices"]:
        serial = device["SerialNumber"]
        take(iam.deactivate_mfa_device, UserName=name, SerialNumber=serial)
        if ":mfa/" in serial:  # a virtual one, which would stay behind; keys of hardware have other numbers
            take(iam.delete_virtual_mfa_device, SerialNumber=serial)


def delete(iam: Any, user: dict[str, Any]) -> None:
    """Deletes a user and first, as AWS wants it, what hangs on it: its credentials before policies, which may be what denies.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html
    """
    take_credentials(iam, user["name"])
    take_permissions(iam, user)
    take(iam.delete_user, UserName=user["name"])


def wanted_tags(user: dict[str, Any], params: dict[str, Any]) -> dict[str, Any] | None:
    """The tags of one user; None where nobody has an opinion."""
    if params["tags"] is None and user["tags"] is None:
        return None
    return {**(params["tags"] or {}), **(user["tags"] or {})}


def ensure(iam: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if problems := list(input_problems(params)):
        raise StateError("\n".join(problems))
    path, names = params["path"], [user["name"] for user in params["users"]]
    surplus = [name for name in names_under(iam, path) if name not in names] if params["purge"] else []
    everybody = read_all(iam, names + surplus)
    if problems := list(refusals(params, everybody)):
        raise StateError("\n".join(problems))

    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    results = []
    # Those whose time is over go first, whatever happens to the others.
    for name in surplus:
        if user := everybody.get(name):
            before[name] = fields(user)
            if not check_mode:
                delete(iam, user)
    for wanted in params["users"]:
        name = wanted["name"]
        user = everybody.get(name) or new_user(name, path)
        tags = tag_change(user["tags"], wanted_tags(wanted, params), params["purge_tags"])
        result = {**user, "inline_policies": wanted["inline_policies"], "attached_policies": [], "groups": [], "tags": tags.result}
        old, new = difference(user, wanted, tags)
        if name not in everybody:
            after[name] = fields(result)
            if not check_mode:
                user = create(iam, name, path, tags.result)
                result["user_arn"] = user["user_arn"]
                update(iam, user, wanted, tag_change(user["tags"], None, False))
        elif old:
            before[name], after[name] = old, new
            if not check_mode:
                update(iam, user, wanted, tags)
        results.append({field: result[field] for field in ("name", "user_arn", "inline_policies", "tags")})
    return {"users": results, **outcome(before, after, names)}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "path": {"type": "str", "required": True},
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "inline_policies": {"type": "dict", "default": {}},
                    "tags": {"type": "dict"},
                },
            },
            "purge": {"type": "bool", "default": True},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        result = ensure(client(module, "iam"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the users under {module.params['path']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
