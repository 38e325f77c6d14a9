#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: target_groups
version_added: 0.1.0
short_description: Manage a set of target groups of Application Load Balancers
description:
  - Creates, changes and deletes target groups by name, all with one look-up, and previews what it would do.
  - Targets are never touched. ECS registers and deregisters its own tasks.
  - C(community.aws.elb_target_group) has no check mode - it is skipped and returns no ARN -, deregisters ECS's tasks unless told otherwise,
    ignores a health check's path without its protocol, and asks about ten times a group.
author:
  - threetier.aws contributors
options:
  state:
    description: Whether the target groups should exist. Removal waits a while for listeners that are being deleted.
    type: str
    choices: [present, absent]
    default: present
  vpc_id:
    description: VPC of the targets. Required with O(state=present).
    type: str
  target_groups:
    description: The target groups. With O(state=absent), only their names count.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name, unique in the region; 1 to 32 letters, digits and inner hyphens.
        type: str
        required: true
      protocol:
        description: How the load balancer speaks to targets. Cannot be changed.
        type: str
        choices: [HTTP, HTTPS]
        default: HTTP
      protocol_version:
        description: Version of the protocol; AWS's own default is V(HTTP1). Cannot be changed.
        type: str
        choices: [HTTP1, HTTP2, GRPC]
      port:
        description: Port of targets that are registered without one. Required with O(state=present). Cannot be changed.
        type: int
      target_type:
        description: What a target is; tasks with a network interface of their own are V(ip). Cannot be changed.
        type: str
        choices: [ip, instance]
        default: ip
      health_check:
        description: How the health of targets is found out. What is left out has AWS's default at creation, and is left alone later.
        type: dict
        suboptions:
          protocol:
            description: Protocol of the check.
            type: str
            choices: [HTTP, HTTPS]
          path:
            description: Path that is asked for.
            type: str
          port:
            description: Port that is asked, or V(traffic-port), the one that gets the requests.
            type: str
          interval:
            description: Seconds between two checks of a target.
            type: int
          timeout:
            description: Seconds after which a check has failed; fewer than O(target_groups[].health_check.interval).
            type: int
          healthy_threshold:
            description: Successes in a row that make a target healthy.
            type: int
          unhealthy_threshold:
            description: Failures in a row that make a target unhealthy.
            type: int
          matcher:
            description: Codes of a healthy answer, such as V(200) or V(200-299); gRPC codes where the version is V(GRPC).
            type: str
      attributes:
        description:
          - Attributes by the API's own names, such as V(deregistration_delay.timeout_seconds). Those that are left out are left alone.
          - "All of them: U(https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html)."
        type: dict
      tags:
        description: Tags of this group, beside O(tags).
        type: dict
notes:
  - A target group of one of the names that does not carry all of O(tags) is somebody else's. It is refused with O(state=present) and left
    alone with O(state=absent). So give as O(tags) what says whose the set is, and what may change as the group's own tags.
  - Names are looked for among all target groups of the region, 400 a request. Asked by name, AWS refuses the whole request for one unknown
    name.
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
    description: Shows the fields that change, before and after, by the group's name.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Target groups of two tiers
  threetier.aws.target_groups:
    vpc_id: "{{ network_vpc_id }}"
    target_groups:
      - name: demo-web
        port: 8080
        health_check: {path: /healthz, interval: 10, timeout: 5, healthy_threshold: 2, unhealthy_threshold: 3, matcher: "200"}
        attributes:
          deregistration_delay.timeout_seconds: 15
          load_balancing.algorithm.type: least_outstanding_requests
        tags: {"threetier:tier": web}
      - name: demo-api
        port: 8080
        tags: {"threetier:tier": api}
    tags: {"threetier:stack": demo}

- name: Remove them
  threetier.aws.target_groups:
    target_groups: [{name: demo-web}, {name: demo-api}]
    tags: {"threetier:stack": demo}
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-web"], "replaced": [], "deleted": [], "unchanged": ["demo-api"]}
target_groups:
  description: The target groups in the order given, with all that AWS says of them; in check mode, as they would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name; also as RV(ignore:target_group_name), as AWS calls it.
      type: str
      sample: demo-web
    target_group_arn:
      description: ARN; in check mode, what stands for it where the group does not exist yet.
      type: str
      sample: arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/demo-web/0123456789abcdef
    load_balancer_arns:
      description: The load balancer that forwards to it, as it was before the run.
      type: list
      elements: str
    attributes:
      description: Attributes by the API's names; of a group that was created in this run, those that were asked for.
      type: dict
      sample: {"deregistration_delay.timeout_seconds": "15"}
    tags:
      description: Tags.
      type: dict
      sample: {"threetier:stack": "demo", "threetier:tier": "web"}
"""

from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.threetier.aws.plugins.module_utils.elbv2 import (
    JUST_MADE_SECONDS,
    PAGE,
    all_tags,
    attribute_dict,
    attribute_list,
    is_ours,
    name_problems,
    not_ours,
    set_tags,
    tags_of,
    texts,
)
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    outcome,
    patiently,
    planned,
    selected,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change

HEALTH_CHECK = {
    "protocol": "HealthCheckProtocol",
    "path": "HealthCheckPath",
    "port": "HealthCheckPort",
    "interval": "HealthCheckIntervalSeconds",
    "timeout": "HealthCheckTimeoutSeconds",
    "healthy_threshold": "HealthyThresholdCount",
    "unhealthy_threshold": "UnhealthyThresholdCount",
}
# "The VPC ID 'vpc-…' is not found": a ValidationError, so only the words tell it from others.
NOT_YET = ["The VPC ID", "TargetGroupNotFound"]


def find(elb: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """The target groups of these names that exist, with their tags, by name."""
    pages = elb.get_paginator("describe_target_groups").paginate(PageSize=PAGE)
    groups = (group for page in pages for group in page["TargetGroups"])
    found = {group["TargetGroupName"]: group for group in groups if group["TargetGroupName"] in names}
    tags = tags_of(elb, [group["TargetGroupArn"] for group in found.values()])
    return {name: {**group, "Tags": tags[group["TargetGroupArn"]]} for name, group in found.items()}


def fixed_settings(params: dict[str, Any], group: dict[str, Any]) -> dict[str, Any]:
    """What AWS takes at creation only."""
    return without_none(
        {
            "Protocol": group["protocol"],
            "ProtocolVersion": group["protocol_version"],
            "Port": group["port"],
            "VpcId": params["vpc_id"],
            "TargetType": group["target_type"],
        }
    )


def health_check(group: dict[str, Any]) -> dict[str, Any]:
    """The health check in the API's words, as far as it is given."""
    given = without_none(group["health_check"] or {})
    matcher = {"GrpcCode" if group["protocol_version"] == "GRPC" else "HttpCode": given.pop("matcher", None)}
    return {HEALTH_CHECK[field]: value for field, value in given.items()} | ({"Matcher": matcher} if any(matcher.values()) else {})


def input_problems(params: dict[str, Any]) -> list[str]:
    groups = params["target_groups"]
    found = list(name_problems([group["name"] for group in groups], "target group"))
    if params["state"] == "absent" and not params["tags"]:
        found.append("tags is empty: removal needs the tags that tell the set from the target groups of others")
    for group in groups if params["state"] == "present" else []:
        what = f"target group {group['name']!r}"
        if group["port"] is None or not 1 <= group["port"] <= 65535:
            found.append(f"{what} has port {group['port']}: give one from 1 to 65535")
        check = without_none(group["health_check"] or {})
        if "interval" in check and check.get("timeout", 0) >= check["interval"]:
            found.append(f"{what} has a health check with timeout {check['timeout']}: give less than its interval, {check['interval']}")
    return found


def refusals(params: dict[str, Any], found: dict[str, dict[str, Any]]) -> list[str]:
    """Why existing groups cannot become the wanted ones, a sentence each."""
    sentences = []
    for group in params["target_groups"]:
        if (current := found.get(group["name"])) is None:
            continue
        what = f"target group {group['name']!r}"
        if not is_ours(current["Tags"], params["tags"]):
            sentences.append(not_ours(what, current["Tags"], params["tags"]))
            continue
        for field, value in differences(fixed_settings(params, group), current).items():
            sentences.append(
                f"{what} has {field} {current.get(field)}, not {value}, and AWS cannot change that: give the new group another name and "
                "let the listener forward to it, or remove this one with state: absent, its listener first"
            )
    return sentences


def create(elb: Any, params: dict[str, Any], group: dict[str, Any], tags: dict[str, str] | None) -> dict[str, Any]:
    request = {"Name": group["name"], **fixed_settings(params, group), **health_check(group)}
    if tags:
        request["Tags"] = ansible_dict_to_boto3_tag_list(tags)
    answer = patiently(lambda: elb.create_target_group(**request, aws_retry=True), NOT_YET, JUST_MADE_SECONDS)
    created = answer["TargetGroups"][0]
    if group["attributes"]:
        set_attributes(elb, created, texts(group["attributes"]))
    return created


def set_attributes(elb: Any, group: dict[str, Any], attributes: dict[str, str]) -> None:
    request = {"TargetGroupArn": group["TargetGroupArn"], "Attributes": attribute_list(attributes)}
    patiently(lambda: elb.modify_target_group_attributes(**request, aws_retry=True), NOT_YET, JUST_MADE_SECONDS)


def ensure_present(elb: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    found = find(elb, [group["name"] for group in params["target_groups"]])
    if problems := refusals(params, found):
        raise StateError("\n".join(problems))
    for group in found.values():
        answer = elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"], aws_retry=True)
        group["Attributes"] = attribute_dict(answer)

    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    results = []
    for group in params["target_groups"]:
        name, health, attributes = group["name"], health_check(group), texts(group["attributes"])
        tags = all_tags(params["tags"], group["tags"])
        if (current := found.get(name)) is None:
            settings = {**fixed_settings(params, group), **health}
            after[name] = {**settings, **attributes, "tags": tags or {}}
            made = {"TargetGroupName": name, "TargetGroupArn": planned(name), **settings, "LoadBalancerArns": []}
            if not check_mode:
                made = create(elb, params, group, tags)
            results.append(public({**made, "Attributes": attributes, "Tags": tags or {}}))
            continue

        health_change = differences(health, current)
        attribute_change = differences(attributes, current["Attributes"])
        tag = tag_change(current["Tags"], tags, params["purge_tags"])
        if health_change or attribute_change or tag:
            before[name] = selected(health_change, current) | selected(attribute_change, current["Attributes"]) | tag.before
            after[name] = health_change | attribute_change | tag.after
        if not check_mode:
            if health_change:
                elb.modify_target_group(TargetGroupArn=current["TargetGroupArn"], **health_change, aws_retry=True)
            if attribute_change:
                set_attributes(elb, current, attribute_change)
            set_tags(elb, current["TargetGroupArn"], tag)
        results.append(public({**current, **health, "Attributes": current["Attributes"] | attributes, "Tags": tag.result}))
    return {"target_groups": results, **outcome(before, after, [group["name"] for group in params["target_groups"]])}


def ensure_absent(elb: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    found = find(elb, [group["name"] for group in params["target_groups"]])
    ours = {name: group for name, group in found.items() if is_ours(group["Tags"], params["tags"])}
    for group in ours.values() if not check_mode else []:
        # The listener of a load balancer that was deleted just now still counts for a while.
        patiently(lambda arn=group["TargetGroupArn"]: elb.delete_target_group(TargetGroupArn=arn, aws_retry=True), ["ResourceInUse"])
    return outcome({name: {"TargetGroupArn": group["TargetGroupArn"], "tags": group["Tags"]} for name, group in ours.items()}, {})


def public(group: dict[str, Any]) -> dict[str, Any]:
    """The group in the collection's snake_case, tags and attributes as dictionaries."""
    facts = {field: value for field, value in group.items() if field not in ("Attributes", "Tags")}
    return {"name": group["TargetGroupName"], **camel_dict_to_snake_dict(facts), "attributes": group["Attributes"], "tags": group["Tags"]}


def build_argument_spec() -> dict[str, Any]:
    check = {
        "protocol": {"type": "str", "choices": ["HTTP", "HTTPS"]},
        "path": {"type": "str"},
        "port": {"type": "str"},
        "interval": {"type": "int"},
        "timeout": {"type": "int"},
        "healthy_threshold": {"type": "int"},
        "unhealthy_threshold": {"type": "int"},
        "matcher": {"type": "str"},
    }
    group = {
        "name": {"type": "str", "required": True},
        "protocol": {"type": "str", "choices": ["HTTP", "HTTPS"], "default": "HTTP"},
        "protocol_version": {"type": "str", "choices": ["HTTP1", "HTTP2", "GRPC"]},
        "port": {"type": "int"},
        "target_type": {"type": "str", "choices": ["ip", "instance"], "default": "ip"},
        "health_check": {"type": "dict", "options": check},
        "attributes": {"type": "dict"},
        "tags": {"type": "dict"},
    }
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "vpc_id": {"type": "str"},
        "target_groups": {"type": "list", "elements": "dict", "required": True, "options": group},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_if=[("state", "present", ["vpc_id"])],
        supports_check_mode=True,
    )
    params = module.params
    if problems := input_problems(params):
        module.fail_json(msg="\n".join(problems))
    ensure = ensure_present if params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "elbv2"), params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        names = ", ".join(group["name"] for group in params["target_groups"])
        module.fail_json_aws(error, msg=f"Unable to manage the target groups {names}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
