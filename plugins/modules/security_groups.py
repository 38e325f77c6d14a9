#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: security_groups
version_added: 0.1.0
short_description: Manage the security groups of a VPC, and the rules between them, as one set
description:
  - Creates, changes and deletes a set of security groups. All are created before the first rule, so they may name each other in any order,
    in circles too. One request reads them all, and only what differs is written.
  - The rules are exclusive. What is not listed is revoked, also the rule with which AWS lets a new group send everything to everybody.
  - Rules are added before others are revoked, and a description is changed in place, so that no connection that is allowed before and after
    is refused in between.
  - C(amazon.aws.ec2_security_group) takes one group at a time, so a chain of groups needs a task for each link. It sleeps for three seconds
    after each creation (its function C(create_ec2_security_group)), and knows no id in check mode, so a preview ends at the first new one.
author:
  - threetier.aws contributors
options:
  vpc_id:
    description:
      - Id of the VPC. Required with O(state=present).
      - With O(state=absent), only groups of this VPC are removed; without it, those of all VPCs that match by name and O(tags).
    type: str
  groups:
    description: The groups of the set. Groups that are not listed are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the group, and its tag C(Name).
          - V(default) is the group that each VPC has. Its rules and tags are set; it is never created or deleted.
        type: str
        required: true
      description:
        description: Description of the group, which AWS cannot change later. A new group without one takes its name.
        type: str
      tags:
        description: Tags of this group, added to O(tags).
        type: dict
      ingress:
        description: What may come in; nothing where empty.
        type: list
        elements: dict
        default: []
        suboptions: &rule
          description:
            description: Description of the rule. Where omitted, the one that is there stays.
            type: str
          protocol:
            description: Protocol; V(-1) is all of them.
            type: str
            choices: [tcp, udp, icmp, icmpv6, "-1"]
            default: tcp
          port:
            description: Port; this, or O(groups[].ingress[].from_port) and O(groups[].ingress[].to_port), is required for TCP and UDP.
            type: int
          from_port:
            description: First port, or the ICMP type; all types where omitted.
            type: int
          to_port:
            description: Last port, or the ICMP code; all codes where omitted.
            type: int
          cidrs:
            description: IPv4 and IPv6 blocks at the other end. An empty list opens nothing.
            type: list
            elements: str
          groups:
            description: Groups at the other end, by a name of this set or an id (C(sg-…)).
            type: list
            elements: str
      egress:
        description: What may go out; nothing where empty.
        type: list
        elements: dict
        default: []
        suboptions: *rule
  state:
    description:
      - Whether the groups should exist.
      - V(absent) removes the groups that have one of the names and carry all of O(tags), which are required then. Rules with which these
        groups name one another go first.
    type: str
    choices: [present, absent]
    default: present
  wait_timeout:
    description:
      - Seconds that the removal may take.
      - The network interfaces of a load balancer outlive it by minutes, and hold its groups as long.
    type: int
    default: 600
notes:
  - While rules are exchanged, a group has the old ones and the new ones. AWS counts both against its limit (60 a direction, by default).
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
    description: Shows, by the name of the group, the rules and tags that change, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Internet -> balancer -> web, and nothing else
  threetier.aws.security_groups:
    vpc_id: "{{ network_vpc_id }}"
    groups:
      - name: demo-balancer
        description: Public load balancer
        ingress:
          - {port: 443, cidrs: [0.0.0.0/0, "::/0"], description: from the Internet}
        egress:
          - {port: 8080, groups: [demo-web]}
      - name: demo-web
        description: Tasks of the web tier
        tags: {"threetier:tier": web}
        ingress:
          - {port: 8080, groups: [demo-balancer]}
        egress:
          - {port: 443, cidrs: [0.0.0.0/0]}
    tags:
      "threetier:stack": demo

- name: Close the group that resources get when they name none
  threetier.aws.security_groups:
    vpc_id: "{{ network_vpc_id }}"
    groups: [{name: default}]

- name: Remove the groups
  threetier.aws.security_groups:
    groups: [{name: demo-balancer}, {name: demo-web}]
    tags:
      "threetier:stack": demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-web"], "replaced": [], "deleted": [], "unchanged": ["demo-balancer"]}
security_groups:
  description: The groups in the order given.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-web
    group_id:
      description: Id; in check mode, a text in its place for a group that does not exist yet.
      type: str
      sample: sg-0123456789abcdef0
    description:
      description: Description.
      type: str
      sample: Tasks of the web tier
    vpc_id:
      description: Id of the VPC.
      type: str
      sample: vpc-0123456789abcdef0
    tags:
      description: Tags.
      type: dict
      sample: {"Name": "demo-web", "threetier:stack": "demo"}
group_ids:
  description: The groups' ids by name.
  returned: when O(state=present)
  type: dict
  sample: {"demo-web": "sg-0123456789abcdef0"}
"""

import re
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any, NamedTuple

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code, paginated_query_with_retries
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    is_planned,
    outcome,
    patiently,
    planned,
    wait_for,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import (
    TagChange,
    carries,
    set_tags,
    tag_change,
    tag_specifications,
    tags_of,
    text_tags,
)

DEFAULT = "default"
ALL = "-1"
PORTS = ("tcp", "udp")
LAST_PORT = 65535
# Where DescribeSecurityGroups holds the rules of a direction.
DIRECTIONS = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}
# How a rule of a direction names its other end.
TOWARDS = {"ingress": "from", "egress": "to"}
# The kinds of other ends that an IpPermission lists, and the field that tells one.
PEERS = {"IpRanges": "CidrIp", "Ipv6Ranges": "CidrIpv6", "PrefixListIds": "PrefixListId", "UserIdGroupPairs": "GroupId"}
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html, API_IpRange.html
TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
# What AWS answers where a group or VPC that was made just now is not known everywhere yet; a mistyped id gets the same answer.
NOT_YET = ("does not exist",)
NOT_YET_SECONDS = 60
# By a network interface, or by another group's rule.
IN_USE = ["DependencyViolation", "InvalidGroup.InUse"]


class Rule(NamedTuple):
    """What AWS tells rules of a group and direction apart by."""

    protocol: str
    from_port: int | None  # ICMP type
    to_port: int | None  # ICMP code
    kind: str  # key of PEERS
    peer: str  # address block or id; ACCOUNT/ID for a group of another account

    def text(self, direction: str) -> str:
        first, last = self.from_port, self.to_port
        ports = "" if first in (None, -1) else f" {first}" if first == last else f" {first}-{last}"
        return f"{direction} {'all' if self.protocol == ALL else self.protocol}{ports} {TOWARDS[direction]} {self.peer}"


Rules = Mapping[Rule, str | None]  # with their descriptions


class RuleChange(NamedTuple):
    """What has to happen to the rules of one direction."""

    authorize: Rules
    revoke: Rules
    describe: Rules


class Plan(NamedTuple):
    """What has to happen to a group that exists."""

    rules: dict[str, RuleChange]
    tags: TagChange

    def __bool__(self) -> bool:
        return bool(self.tags) or any(any(change) for change in self.rules.values())


def describe(ec2: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups that have one of the names, in the VPC if one is given."""
    if is_planned(params["vpc_id"]) or not params["groups"]:
        return []
    names = [group["name"] for group in params["groups"]]
    filters = {"group-name": names} | ({"vpc-id": [params["vpc_id"]]} if params["vpc_id"] else {})
    query = [{"Name": name, "Values": values} for name, values in filters.items()]
    found = paginated_query_with_retries(ec2, "describe_security_groups", Filters=query)["SecurityGroups"]
    return [group for group in found if group["GroupName"] in names]  # a filter takes * and ? for wildcards


def current_rules(group: dict[str, Any], direction: str) -> Rules:
    rules = {}
    for permission in group.get(DIRECTIONS[direction], []):
        for kind, field in PEERS.items():
            for peer in permission.get(kind, []):
                account = peer.get("UserId", group["OwnerId"])
                peer_id = peer[field] if account == group["OwnerId"] else f"{account}/{peer[field]}"
                rule = Rule(permission["IpProtocol"], permission.get("FromPort"), permission.get("ToPort"), kind, peer_id)
                rules[rule] = peer.get("Description")
    return rules


def ports(rule: dict[str, Any]) -> tuple[int | None, int | None]:
    """Both ports as AWS stores them; without any, ICMP is open for all types and codes."""
    if rule["protocol"] == ALL:
        return None, None
    if rule["port"] is not None:
        return rule["port"], rule["port"]
    first, last = rule["from_port"], rule["to_port"]
    return (first, last) if rule["protocol"] in PORTS else (-1 if first is None else first, -1 if last is None else last)


def each_peer(rule: dict[str, Any], ids: Mapping[str, str]) -> Iterator[Rule]:
    """A rule of the options as AWS counts them: one for each other end. C(ids) are those of the set's groups by name."""
    for cidr in rule["cidrs"] or []:
        network = ip_network(cidr, strict=False)
        yield Rule(rule["protocol"], *ports(rule), "IpRanges" if network.version == 4 else "Ipv6Ranges", str(network))
    for group in rule["groups"] or []:
        yield Rule(rule["protocol"], *ports(rule), "UserIdGroupPairs", ids.get(group, group))


def wanted_rules(group: dict[str, Any], direction: str, ids: Mapping[str, str]) -> Rules:
    return {each: rule["description"] for rule in group[direction] for each in each_peer(rule, ids)}


def permissions(rules: Rules) -> list[dict[str, Any]]:
    """The rules in the API's words."""
    result = []
    for rule, description in rules.items():
        account, _, peer_id = rule.peer.rpartition("/") if rule.kind == "UserIdGroupPairs" else ("", "", rule.peer)
        peer = without_none({PEERS[rule.kind]: peer_id, "UserId": account or None, "Description": description or None})
        result.append(without_none({"IpProtocol": rule.protocol, "FromPort": rule.from_port, "ToPort": rule.to_port, rule.kind: [peer]}))
    return result


def rule_change(wanted: Rules, current: Rules) -> RuleChange:
    return RuleChange(
        authorize={rule: text for rule, text in wanted.items() if rule not in current},
        revoke={rule: text for rule, text in current.items() if rule not in wanted},
        describe={rule: text for rule, text in wanted.items() if rule in current and text and text != current[rule]},
    )


def wanted_tags(group: dict[str, Any], params: dict[str, Any]) -> dict[str, str]:
    return text_tags({"Name": group["name"], **(params["tags"] or {}), **(group["tags"] or {})})


def plan(group: dict[str, Any], current: dict[str, Any], ids: Mapping[str, str], params: dict[str, Any]) -> Plan:
    rules = {}
    for direction in DIRECTIONS:
        rules[direction] = rule_change(wanted_rules(group, direction, ids), current_rules(current, direction))
    # without tags there is no opinion about tags other than the name
    return Plan(rules, tag_change(tags_of(current), wanted_tags(group, params), params["purge_tags"] and params["tags"] is not None))


def problems(params: dict[str, Any]) -> Iterator[str]:
    """All that AWS would refuse later, and all that cannot be meant."""
    names = [group["name"] for group in params["groups"]]
    yield from (f"{name} is listed {names.count(name)} times" for name in dict.fromkeys(names) if names.count(name) > 1)
    for group in params["groups"]:
        texts = [("name", group["name"]), ("description", group["description"])]
        texts += [("description of a rule", rule["description"]) for direction in DIRECTIONS for rule in group[direction]]
        for what, text in texts:
            if text and not TEXT.fullmatch(text):
                allowed = "1 to 255 letters (a-z, A-Z), digits, spaces and ._-:/()#,@[]+=&;{}!$*"
                yield f"{group['name']}: {what} {text!r} must consist of {allowed}"
        if group["name"].startswith("sg-"):
            yield f"{group['name']}: a name must not begin with sg-, which stands for ids"
        for direction in DIRECTIONS:
            seen: dict[Rule, str | None] = {}
            for index, rule in enumerate(group[direction]):
                found = list(rule_problems(rule, names))
                yield from (f"{group['name']}: {direction}[{index}] {problem}" for problem in found)
                for each in each_peer(rule, {}) if not found else []:
                    if seen.setdefault(each, rule["description"]) != rule["description"]:
                        yield f"{group['name']}: {each.text(direction)} is there twice, with different descriptions"


def rule_problems(rule: dict[str, Any], names: list[str]) -> Iterator[str]:
    first, last = ports(rule)
    given = [rule["port"], rule["from_port"], rule["to_port"]]
    if rule["protocol"] == ALL:
        if given != [None, None, None]:
            yield "has a port and protocol -1, which is all ports of all protocols"
    elif rule["protocol"] not in PORTS:
        if rule["port"] is not None:
            yield f"has a port, which {rule['protocol']} does not know; from_port is its type, to_port its code"
    elif first is None or last is None:
        yield f"needs port, or from_port and to_port, for {rule['protocol']}"
    elif not 0 <= first <= last <= LAST_PORT:
        yield f"has ports {first} to {last}; they go from 0 to {LAST_PORT}, the first not above the last"
    for cidr in rule["cidrs"] or []:
        try:
            ip_network(cidr, strict=False)
        except ValueError:
            yield f"has the block {cidr!r}, which is neither IPv4 (10.0.0.0/16) nor IPv6 (2001:db8::/32)"
    for name in rule["groups"] or []:
        if name not in names and not name.startswith("sg-") and not is_planned(name):
            yield f"names the group {name!r}, which is neither one of this set ({', '.join(names)}) nor an id (sg-…)"


def changed_descriptions(groups: list[dict[str, Any]], found: Mapping[str, Any]) -> Iterator[str]:
    for group in groups:
        current = found.get(group["name"])
        if current and group["description"] and current["Description"] != group["description"]:
            yield (
                f"{group['name']} ({current['GroupId']}) has the description {current['Description']!r}, which AWS cannot change to "
                f"{group['description']!r}; keep the old one, or give the group another name and delete the old group once nothing uses it"
            )


def fresh_default(params: dict[str, Any]) -> dict[str, Any]:
    """The default group of a VPC that does not exist yet, or does not show it yet: it lets in its members, and everything out."""
    group_id = planned(DEFAULT)
    return {
        "GroupName": DEFAULT,
        "GroupId": group_id,
        "OwnerId": "",
        "VpcId": params["vpc_id"],
        "Description": "default VPC security group",
        "IpPermissions": [{"IpProtocol": ALL, "UserIdGroupPairs": [{"GroupId": group_id}]}],
        "IpPermissionsEgress": [{"IpProtocol": ALL, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    }


def create(ec2: Any, group: dict[str, Any], params: dict[str, Any]) -> bool:
    """Creates the group; False where somebody else, or an earlier run whose group was not shown yet, has."""
    request = {
        "GroupName": group["name"],
        "Description": group["description"] or group["name"],
        "VpcId": params["vpc_id"],
        "TagSpecifications": tag_specifications(wanted_tags(group, params), "security-group"),
    }
    try:
        patiently(lambda: ec2.create_security_group(**request, aws_retry=True), NOT_YET, NOT_YET_SECONDS)
    except is_boto3_error_code("InvalidGroup.Duplicate"):
        return False
    return True


def create_missing(ec2: Any, params: dict[str, Any], missing: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Creates the groups, then reads the set: what AWS lets a new group send differs with the VPC (IPv6), and must be revoked by name."""
    created = [group["name"] for group in missing if group["name"] != DEFAULT and create(ec2, group, params)]
    names = {group["name"] for group in params["groups"]}

    def complete(groups: dict[str, dict[str, Any]]) -> bool:
        return names <= set(groups) and all(groups[name]["IpPermissionsEgress"] for name in created)

    what = f"the appearance of the new security groups {', '.join(group['name'] for group in missing)}"
    return wait_for(lambda: by_name(describe(ec2, params)), complete, NOT_YET_SECONDS, what)


def by_name(groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {group["GroupName"]: group for group in groups}


def apply(ec2: Any, plans: Mapping[str, Plan]) -> None:
    """Carries out the plans, by the groups' ids. All that is new comes before the first revocation."""
    for group_id, each in plans.items():
        for direction, change in each.rules.items():
            call_with_rules(ec2, f"authorize_security_group_{direction}", group_id, change.authorize)
            call_with_rules(ec2, f"update_security_group_rule_descriptions_{direction}", group_id, change.describe)
        set_tags(ec2, group_id, each.tags)
    for group_id, each in plans.items():
        for direction, change in each.rules.items():
            call_with_rules(ec2, f"revoke_security_group_{direction}", group_id, change.revoke)


def call_with_rules(ec2: Any, operation: str, group_id: str, rules: Rules) -> None:
    if rules:
        call = getattr(ec2, operation)
        patiently(lambda: call(GroupId=group_id, IpPermissions=permissions(rules), aws_retry=True), NOT_YET, NOT_YET_SECONDS)


def shown(rules: Rules, direction: str, names: Mapping[str, str]) -> dict[str, str]:
    """Rules as a diff shows them: groups of the set by their names."""
    return {
        rule._replace(peer=names.get(rule.peer, rule.peer)).text(direction): f"allowed ({text})" if text else "allowed"
        for rule, text in rules.items()
    }


def difference(each: Plan, current: dict[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    before, after = {}, {}
    for direction, change in each.rules.items():
        rules = current_rules(current, direction)
        old = shown({rule: rules[rule] for rule in [*change.describe, *change.revoke]}, direction, names)
        new = shown({**change.authorize, **change.describe}, direction, names)
        before |= dict.fromkeys(new) | old
        after |= dict.fromkeys(old) | new
    return before | each.tags.before, after | each.tags.after


def creation(group: dict[str, Any], params: dict[str, Any], ids: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    """A group that does not exist yet, as a diff shows it."""
    ingress, egress = (shown(wanted_rules(group, direction, ids), direction, names) for direction in DIRECTIONS)
    return {"description": group["description"] or group["name"], **ingress, **egress, "tags": wanted_tags(group, params)}


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    groups = params["groups"]
    found = by_name(describe(ec2, params))
    if refused := [*problems(params), *changed_descriptions(groups, found)]:
        raise StateError("; ".join(refused))

    missing = [group for group in groups if group["name"] not in found]
    if DEFAULT in [group["name"] for group in missing]:
        found[DEFAULT] = fresh_default(params)

    def group_ids() -> dict[str, str]:
        return {group["name"]: found[group["name"]]["GroupId"] if group["name"] in found else planned(group["name"]) for group in groups}

    ids = group_ids()
    names = {group_id: name for name, group_id in ids.items()}
    diff: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    for group in groups:
        if (current := found.get(group["name"])) is None:
            diff["after"][group["name"]] = creation(group, params, ids, names)
        elif each := plan(group, current, ids, params):
            diff["before"][group["name"]], diff["after"][group["name"]] = difference(each, current, names)
    if not check_mode:
        if missing:
            found = create_missing(ec2, params, missing)
            ids = group_ids()
        apply(ec2, {ids[group["name"]]: plan(group, found[group["name"]], ids, params) for group in groups})
    return {
        "security_groups": [public(group, found.get(group["name"]), ids, params) for group in groups],
        "group_ids": ids,
        **outcome(diff["before"], diff["after"], ids),
    }


def public(group: dict[str, Any], current: dict[str, Any] | None, ids: Mapping[str, str], params: dict[str, Any]) -> dict[str, Any]:
    """The group as it is after the run."""
    return {
        "name": group["name"],
        "group_id": ids[group["name"]],
        "description": current["Description"] if current else group["description"] or group["name"],
        "vpc_id": params["vpc_id"],
        "tags": plan(group, current, ids, params).tags.result if current else wanted_tags(group, params),
    }


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    tags = text_tags(params["tags"])
    if not tags:
        raise StateError("tags must name at least one tag of the groups to remove: by name alone they may be somebody else's")
    found = [group for group in describe(ec2, params) if carries(group, tags)]
    names = {group["GroupId"]: group["GroupName"] for group in found if group["GroupName"] != DEFAULT}
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for group in found:
        label = group["GroupId"] if group["GroupName"] in before else group["GroupName"]  # the same name in another VPC
        if group["GroupId"] in names:
            before[label] = {"group_id": group["GroupId"], "description": group["Description"], "tags": tags_of(group)}
        elif held := {text: what for each in DIRECTIONS for text, what in shown(references(group, each, names), each, names).items()}:
            before[label], after[label] = held, dict.fromkeys(held)
    if not check_mode:
        for group in found:
            for direction in DIRECTIONS:
                call_with_rules(ec2, f"revoke_security_group_{direction}", group["GroupId"], references(group, direction, names))
        deadline = time.monotonic() + params["wait_timeout"]
        for group in found:
            if group["GroupId"] in names:
                delete(ec2, group, deadline)
    return outcome(before, after)


def references(group: dict[str, Any], direction: str, doomed: Mapping[str, str]) -> Rules:
    """The rules that name one of the C(doomed) groups in another group: AWS deletes no group that is named so."""
    return {rule: text for rule, text in current_rules(group, direction).items() if rule.peer in doomed and rule.peer != group["GroupId"]}


def delete(ec2: Any, group: dict[str, Any], deadline: float) -> None:
    """Deletes the group once nothing uses it any more."""
    try:
        patiently(
            lambda: ec2.delete_security_group(GroupId=group["GroupId"], aws_retry=True),
            IN_USE,
            max(0.0, deadline - time.monotonic()),
        )
    except is_boto3_error_code("InvalidGroup.NotFound"):
        pass
    except is_boto3_error_code(IN_USE) as error:  # pylint: disable=duplicate-except
        raise StateError(
            f"{group['GroupName']} ({group['GroupId']}) is still in use, by a network interface or by a rule of a group outside this set; "
            "remove what uses it (the console's page of the group lists both), and run again"
        ) from error


def main() -> None:
    rule = {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "description": {"type": "str"},
            "protocol": {"type": "str", "choices": ["tcp", "udp", "icmp", "icmpv6", "-1"], "default": "tcp"},
            "port": {"type": "int"},
            "from_port": {"type": "int"},
            "to_port": {"type": "int"},
            "cidrs": {"type": "list", "elements": "str"},
            "groups": {"type": "list", "elements": "str"},
        },
        "mutually_exclusive": [("port", "from_port"), ("port", "to_port")],
        "required_one_of": [("cidrs", "groups")],
    }
    module = AnsibleAWSModule(
        argument_spec={
            "vpc_id": {"type": "str"},
            "groups": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "description": {"type": "str"},
                    "tags": {"type": "dict"},
                    "ingress": rule,
                    "egress": rule,
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait_timeout": {"type": "int", "default": 600},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ["vpc_id"]), ("state", "absent", ["tags"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        names = ", ".join(group["name"] for group in module.params["groups"])
        module.fail_json_aws(error, msg=f"Unable to manage the security groups {names}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
