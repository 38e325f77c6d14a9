#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: application_load_balancers
version_added: 0.1.0
short_description: Manage a set of Application Load Balancers with their listeners
description:
  - Creates, changes and deletes Application Load Balancers and their listeners, all with one look-up, and previews what it would do.
  - Rules of listeners are not managed. A listener that stays keeps the rules that others gave it; only its default action is this module's.
  - C(amazon.aws.elb_application_lb) answers in check mode with a message only, takes one load balancer at a time and asks about ten times
    for each, tags no listeners, and does not wait until a new bucket's policy has reached the log delivery.
author:
  - threetier.aws contributors
options:
  state:
    description: Whether the load balancers should exist. Removal deletes their listeners and rules with them.
    type: str
    choices: [present, absent]
    default: present
  load_balancers:
    description: The load balancers. With O(state=absent), only their names count.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name, unique in the region; 1 to 32 letters, digits and inner hyphens, not beginning with C(internal-).
        type: str
        required: true
      scheme:
        description: Whether its addresses are public. Cannot be changed.
        type: str
        choices: [internet-facing, internal]
        default: internet-facing
      subnets:
        description: Ids of subnets in two availability zones at least. Required with O(state=present).
        type: list
        elements: str
      security_groups:
        description: Ids of the security groups. Left out, AWS gives a new one the VPC's default group, and it is left alone later.
        type: list
        elements: str
      ip_address_type:
        description: Kind of its addresses; AWS's own default is V(ipv4).
        type: str
        choices: [ipv4, dualstack, dualstack-without-public-ipv4]
      attributes:
        description:
          - Attributes by the API's own names, such as V(routing.http.drop_invalid_header_fields.enabled). Those left out are left alone.
          - A bucket that is the empty text counts as left out, because AWS refuses it. To end logs, switch them off.
          - "All of them: U(https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html)."
        type: dict
      listeners:
        description: Listeners, one a port. Left out, listeners are left alone.
        type: list
        elements: dict
        suboptions:
          port:
            description: Port that it listens on.
            type: int
            required: true
          protocol:
            description: Protocol that clients speak.
            type: str
            choices: [HTTP, HTTPS]
            default: HTTP
          ssl_policy:
            description: TLS policy of an HTTPS listener. AWS's own default still allows TLS 1.0, so name one.
            type: str
          certificates:
            description:
              - ARNs of all certificates of an HTTPS listener, which needs one at least.
              - The first is the default. The others answer clients that ask for their names.
            type: list
            elements: str
          default_actions:
            description: What is done with a request that meets no rule, one action.
            type: list
            elements: dict
            required: true
            suboptions:
              type:
                description: Kind of the action.
                type: str
                choices: [forward, redirect, fixed-response]
                required: true
              target_group_arn:
                description: Target group that requests are forwarded to.
                type: str
              forward_config:
                description: Several target groups that requests are forwarded to, instead of one.
                type: dict
                suboptions:
                  target_groups:
                    description: The target groups.
                    type: list
                    elements: dict
                    required: true
                    suboptions:
                      target_group_arn:
                        description: ARN.
                        type: str
                        required: true
                      weight:
                        description: Its part of the requests, beside the weights of the others.
                        type: int
                        default: 1
                  target_group_stickiness_config:
                    description: Whether a client stays with a target group.
                    type: dict
                    suboptions:
                      enabled:
                        description: Whether it does.
                        type: bool
                        required: true
                      duration_seconds:
                        description: For how long.
                        type: int
              redirect_config:
                description: Where requests are sent. What is left out stays as in the request.
                type: dict
                suboptions:
                  protocol:
                    description: Protocol.
                    type: str
                  port:
                    description: Port.
                    type: str
                  host:
                    description: Host name.
                    type: str
                  path:
                    description: Path, beginning with a slash.
                    type: str
                  query:
                    description: Query without the question mark.
                    type: str
                  status_code:
                    description: Whether clients may remember it (V(HTTP_301)) or not.
                    type: str
                    choices: [HTTP_301, HTTP_302]
                    required: true
              fixed_response_config:
                description: What is answered.
                type: dict
                suboptions:
                  status_code:
                    description: Status.
                    type: str
                    required: true
                  content_type:
                    description: Content type.
                    type: str
                    default: text/plain
                  message_body:
                    description: Text.
                    type: str
      tags:
        description: Tags of this load balancer and its listeners, beside O(tags).
        type: dict
  purge_listeners:
    description: Whether listeners on other ports are deleted, where O(load_balancers[].listeners) is given. Their rules go with them.
    type: bool
    default: true
  purge_rules:
    description: Whether rules of the listeners are deleted. This module makes none, and one diverts requests from the default action.
    type: bool
    default: true
  wait:
    description:
      - Whether to wait until the load balancers are active, which takes minutes; with O(state=absent), until they are gone.
      - Their network interfaces outlive them by minutes, and hold their security groups and subnets as long.
    type: bool
    default: false
  wait_timeout:
    description: Seconds that the waiting may take.
    type: int
    default: 600
notes:
  - A load balancer of one of the names that does not carry all of O(tags) is somebody else's. It is refused with O(state=present) and left
    alone with O(state=absent). So give as O(tags) what says whose the set is, and what may change as the load balancer's own tags.
  - Names are looked for among all load balancers of the region, 400 a request. Asked by name, AWS refuses the whole request for one unknown
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
    description: Shows the fields that change, before and after, by the load balancer's name; listeners by their port.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Public and internal load balancer
  threetier.aws.application_load_balancers:
    load_balancers:
      - name: demo-public
        subnets: "{{ network_public_subnet_ids }}"
        security_groups: ["{{ balancer_security_group_ids['public-alb'] }}"]
        attributes:
          routing.http.drop_invalid_header_fields.enabled: true
          access_logs.s3.enabled: true
          access_logs.s3.bucket: demo-logs
          access_logs.s3.prefix: demo-public
        listeners:
          - port: 80
            default_actions: [{type: forward, target_group_arn: "{{ groups.target_groups[0].target_group_arn }}"}]
        tags: {"threetier:tier": web}
      - name: demo-internal
        scheme: internal
        subnets: "{{ network_private_subnet_ids }}"
        security_groups: ["{{ balancer_security_group_ids['internal-alb'] }}"]
        listeners:
          - port: 80
            default_actions: [{type: forward, target_group_arn: "{{ groups.target_groups[1].target_group_arn }}"}]
        tags: {"threetier:tier": api}
    tags: {"threetier:stack": demo}

- name: HTTPS, and HTTP that only redirects
  threetier.aws.application_load_balancers:
    load_balancers:
      - name: demo-public
        subnets: "{{ network_public_subnet_ids }}"
        listeners:
          - port: 443
            protocol: HTTPS
            ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
            certificates: ["{{ certificate_arn }}"]
            default_actions: [{type: forward, target_group_arn: "{{ groups.target_groups[0].target_group_arn }}"}]
          - port: 80
            default_actions: [{type: redirect, redirect_config: {protocol: HTTPS, port: "443", status_code: HTTP_301}}]
    tags: {"threetier:stack": demo}

- name: Remove them
  threetier.aws.application_load_balancers:
    load_balancers: [{name: demo-public}, {name: demo-internal}]
    tags: {"threetier:stack": demo}
    wait: true
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo-public"], "changed": ["demo-internal"], "replaced": [], "deleted": [], "unchanged": []}
load_balancers:
  description: The load balancers in the order given, with all that AWS says of them; in check mode, as they would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name; also as RV(ignore:load_balancer_name), as AWS calls it.
      type: str
      sample: demo-public
    load_balancer_arn:
      description: ARN; in check mode, what stands for it where the load balancer does not exist yet.
      type: str
      sample: arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/demo-public/0123456789abcdef
    dns_name:
      description: Name that it answers at; in check mode, what stands for it where the load balancer does not exist yet.
      type: str
      sample: demo-public-1234567890.eu-central-1.elb.amazonaws.com
    canonical_hosted_zone_id:
      description: Hosted zone for alias records.
      type: str
      returned: when known
    state:
      description: State, RV(ignore:code) and where it is not active RV(ignore:reason).
      type: dict
      returned: when known
      sample: {"code": "active"}
    listeners:
      description: Listeners by port, those of others too where they are not purged.
      type: list
      elements: dict
    attributes:
      description: Attributes by the API's names; of a load balancer that was created in this run, those that were asked for.
      type: dict
      sample: {"deletion_protection.enabled": "false"}
    tags:
      description: Tags.
      type: dict
      sample: {"threetier:stack": "demo", "threetier:tier": "web"}
"""

from collections.abc import Iterator
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict, snake_dict_to_camel_dict
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
    wait_for,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change

# What AWS answers while something that was made just now is not known everywhere yet.
NETWORK_NOT_YET = ["SubnetNotFound", "InvalidSecurityGroup", "has no internet gateway", "LoadBalancerNotFound"]
LISTENER_NOT_YET = ["LoadBalancerNotFound", "ListenerNotFound", "TargetGroupNotFound", "CertificateNotFound"]
ATTRIBUTES_NOT_YET = ["LoadBalancerNotFound", "Access Denied for bucket"]

# What an action of each kind is described by.
ACTION_CONFIGS = {
    "forward": ("target_group_arn", "forward_config"),
    "redirect": ("redirect_config",),
    "fixed-response": ("fixed_response_config",),
}
# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RedirectActionConfig.html
REDIRECT = {"Protocol": "#{protocol}", "Port": "#{port}", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}


# What is wanted, in the API's words


def wanted_settings(balancer: dict[str, Any]) -> dict[str, Any]:
    """What can be changed in place; sets, as AWS gives them back in any order."""
    return without_none(
        {
            "Subnets": sorted(balancer["subnets"]),
            "SecurityGroups": None if balancer["security_groups"] is None else sorted(balancer["security_groups"]),
            "IpAddressType": balancer["ip_address_type"],
        }
    )


def settings_of(balancer: dict[str, Any]) -> dict[str, Any]:
    return {
        "Subnets": sorted(zone["SubnetId"] for zone in balancer["AvailabilityZones"]),
        "SecurityGroups": sorted(balancer.get("SecurityGroups", [])),
        "IpAddressType": balancer["IpAddressType"],
    }


def wanted_attributes(balancer: dict[str, Any]) -> dict[str, str]:
    """Without empty buckets, which AWS shows but does not take: https://github.com/terraform-aws-modules/terraform-aws-alb/issues/7."""
    return {name: value for name, value in texts(balancer["attributes"]).items() if value or not name.endswith(".s3.bucket")}


def wanted_listener(listener: dict[str, Any]) -> dict[str, Any]:
    """A listener as CreateListener takes it, but with all its certificates."""
    return without_none(
        {
            "Port": listener["port"],
            "Protocol": listener["protocol"],
            "SslPolicy": listener["ssl_policy"],
            "Certificates": [{"CertificateArn": arn} for arn in listener["certificates"] or []] or None,
            "DefaultActions": snake_dict_to_camel_dict(without_none(listener["default_actions"]), capitalize_first=True),
        }
    )


def comparable_listener(listener: dict[str, Any]) -> dict[str, Any]:
    """A listener, wanted or found, in the one form that its differences are told in."""
    default, *others = [certificate["CertificateArn"] for certificate in listener.get("Certificates", [])] or [None]
    actions = sorted(listener["DefaultActions"], key=lambda action: action.get("Order", 1))
    return {
        "Protocol": listener["Protocol"],
        "SslPolicy": listener.get("SslPolicy"),
        "Certificates": [default, *sorted(others)] if default else None,
        "DefaultActions": [comparable_action(action) for action in actions],
    }


def comparable_action(action: dict[str, Any]) -> dict[str, Any]:
    """An action without what AWS adds: the long form of a forward, the parts of an address that a redirect keeps."""
    kind = action["Type"]
    if kind == "forward":
        config = action.get("ForwardConfig") or {"TargetGroups": [action]}
        groups = {group["TargetGroupArn"]: group.get("Weight", 1) for group in config["TargetGroups"]}
        stickiness = config.get("TargetGroupStickinessConfig") or {}
        return {
            "Type": kind,
            "TargetGroups": groups if len(groups) > 1 else dict.fromkeys(groups, 1),
            "StickinessSeconds": stickiness.get("DurationSeconds") if stickiness.get("Enabled") else 0,
        }
    if kind == "redirect":
        return {"Type": kind, **REDIRECT, **action["RedirectConfig"]}
    if kind == "fixed-response":
        return {"Type": kind, "MessageBody": "", **action["FixedResponseConfig"]}
    return action


def comparable_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as a diff shows it: when, in the API's words, and what then."""
    conditions = [{field: value for field, value in condition.items() if not field.endswith("Config")} for condition in rule["Conditions"]]
    return {"Conditions": conditions, "Actions": [comparable_action(action) for action in rule["Actions"]]}


# What is there


def find(elb: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """The load balancers of these names that exist, by name."""
    pages = elb.get_paginator("describe_load_balancers").paginate(PageSize=PAGE)
    balancers = (balancer for page in pages for balancer in page["LoadBalancers"])
    return {balancer["LoadBalancerName"]: balancer for balancer in balancers if balancer["LoadBalancerName"] in names}


def add_listeners(elb: Any, balancer: dict[str, Any]) -> None:
    """The listeners of an Application Load Balancer, with all their certificates."""
    pages = elb.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer["LoadBalancerArn"])
    balancer["Listeners"] = sorted((listener for page in pages for listener in page["Listeners"]), key=lambda listener: listener["Port"])
    for listener in balancer["Listeners"]:
        if listener["Protocol"] == "HTTPS":
            # The listener's own description holds its default certificate only.
            pages = elb.get_paginator("describe_listener_certificates").paginate(ListenerArn=listener["ListenerArn"])
            arns = [certificate["CertificateArn"] for page in pages for certificate in page["Certificates"]]
            default = listener["Certificates"][:1]
            listener["Certificates"] = default + [{"CertificateArn": arn} for arn in arns if arn != default[0]["CertificateArn"]]


def add_rules(elb: Any, listener: dict[str, Any]) -> None:
    """The rules that are asked before the default action, in their order."""
    pages = elb.get_paginator("describe_rules").paginate(ListenerArn=listener["ListenerArn"])
    rules = (rule for page in pages for rule in page["Rules"] if not rule["IsDefault"])
    listener["Rules"] = sorted(rules, key=lambda rule: int(rule["Priority"]))


def add_tags(elb: Any, balancers: list[dict[str, Any]]) -> None:
    """The tags of load balancers and of those listeners that are known."""
    parts = [*balancers, *(listener for balancer in balancers for listener in balancer.get("Listeners", []))]
    arns = [part.get("ListenerArn") or part["LoadBalancerArn"] for part in parts]
    tags = tags_of(elb, arns)
    for part, arn in zip(parts, arns, strict=True):
        part["Tags"] = tags[arn]


def add_attributes(elb: Any, balancer: dict[str, Any]) -> None:
    answer = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"], aws_retry=True)
    balancer["Attributes"] = attribute_dict(answer)


# What is wrong, before the first write


def input_problems(params: dict[str, Any]) -> Iterator[str]:
    balancers = params["load_balancers"]
    yield from name_problems([balancer["name"] for balancer in balancers], "load balancer")
    if params["state"] == "absent":
        if not params["tags"]:
            yield "tags is empty: removal needs the tags that tell the set from the load balancers of others"
        return
    for balancer in balancers:
        what = f"load balancer {balancer['name']!r}"
        if balancer["name"].startswith("internal-"):
            yield f"{what}: AWS allows no name that begins with internal-"
        if len(set(balancer["subnets"] or [])) < 2:
            yield f"{what} has {len(set(balancer['subnets'] or []))} subnet(s): give two at least, in different availability zones"
        ports = [listener["port"] for listener in balancer["listeners"] or []]
        for port in sorted({port for port in ports if ports.count(port) > 1}):
            yield f"{what} has {ports.count(port)} listeners on port {port}: give one"
        for listener in balancer["listeners"] or []:
            yield from listener_problems(f"{what}, listener {listener['port']}", listener)


def listener_problems(what: str, listener: dict[str, Any]) -> Iterator[str]:
    if not 1 <= listener["port"] <= 65535:
        yield f"{what}: allowed are ports 1 to 65535"
    if listener["protocol"] == "HTTPS" and not listener["certificates"]:
        yield f"{what} is HTTPS without certificates: give the ARN of one at least"
    if listener["protocol"] == "HTTP" and (listener["certificates"] or listener["ssl_policy"]):
        yield f"{what} is HTTP with certificates or ssl_policy: leave them out, or make it HTTPS"
    if len(listener["default_actions"]) != 1:
        yield f"{what} has {len(listener['default_actions'])} default_actions: give one"
    for action in listener["default_actions"]:
        kind, allowed = action["type"], ACTION_CONFIGS[action["type"]]
        given = [field for fields in ACTION_CONFIGS.values() for field in fields if action[field] is not None]
        if len(given) != 1 or given[0] not in allowed:
            yield f"{what} has a default action {kind} with {' and '.join(given) or 'nothing'}: give {' or '.join(allowed)} alone"


def refusals(params: dict[str, Any], found: dict[str, dict[str, Any]]) -> list[str]:
    """Why existing load balancers cannot become the wanted ones, a sentence each."""
    sentences = []
    for balancer in params["load_balancers"]:
        if (current := found.get(balancer["name"])) is None:
            continue
        what = f"load balancer {balancer['name']!r}"
        if not is_ours(current["Tags"], params["tags"]):
            sentences.append(not_ours(what, current["Tags"], params["tags"]))
        elif current["Type"] != "application":
            sentences.append(f"{what} is of the type {current['Type']}: choose another name, or remove it by hand")
        elif current["Scheme"] != balancer["scheme"]:
            sentences.append(
                f"{what} is {current['Scheme']}, not {balancer['scheme']}, and AWS cannot change that: make the new one under another "
                "name, or remove this one first (state: absent); its address changes either way"
            )
        elif current["State"]["Code"] == "failed":
            sentences.append(failure(current))
    return sentences


def failure(balancer: dict[str, Any]) -> str:
    what, reason = f"load balancer {balancer['LoadBalancerName']!r}", balancer["State"].get("Reason", "AWS gives no reason")
    return f"{what} could not be set up ({reason}): remove it (state: absent), mend the cause and run again"


# What is done


def set_settings(elb: Any, arn: str, change: dict[str, Any]) -> None:
    calls = {"Subnets": elb.set_subnets, "SecurityGroups": elb.set_security_groups, "IpAddressType": elb.set_ip_address_type}
    for field, value in change.items():  # subnets first: another kind of addresses may need the new ones
        request = {"LoadBalancerArn": arn, field: value, "aws_retry": True}
        patiently(lambda call=calls[field], request=request: call(**request), NETWORK_NOT_YET, JUST_MADE_SECONDS)


def set_attributes(elb: Any, arn: str, attributes: dict[str, str]) -> None:
    request = {"LoadBalancerArn": arn, "Attributes": attribute_list(attributes)}
    # A new policy of the bucket can take longer than other things that were just made.
    patiently(lambda: elb.modify_load_balancer_attributes(**request, aws_retry=True), ATTRIBUTES_NOT_YET)


def create_balancer(elb: Any, balancer: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    request = {"Name": balancer["name"], "Scheme": balancer["scheme"], **wanted_settings(balancer)}
    if tags:
        request["Tags"] = ansible_dict_to_boto3_tag_list(tags)
    answer = patiently(lambda: elb.create_load_balancer(**request, aws_retry=True), NETWORK_NOT_YET, JUST_MADE_SECONDS)
    return answer["LoadBalancers"][0]


def create_listener(elb: Any, balancer_arn: str, wanted: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    request = {"LoadBalancerArn": balancer_arn, **with_default_certificate(wanted)}
    if tags:
        request["Tags"] = ansible_dict_to_boto3_tag_list(tags)
    answer = patiently(lambda: elb.create_listener(**request, aws_retry=True), LISTENER_NOT_YET, JUST_MADE_SECONDS)
    listener = answer["Listeners"][0]
    set_other_certificates(elb, listener, wanted)
    return {**listener, **wanted}


def change_listener(elb: Any, current: dict[str, Any], wanted: dict[str, Any], change: dict[str, Any]) -> None:
    request = {"ListenerArn": current["ListenerArn"], **with_default_certificate({field: wanted[field] for field in change})}
    patiently(lambda: elb.modify_listener(**request, aws_retry=True), LISTENER_NOT_YET, JUST_MADE_SECONDS)
    set_other_certificates(elb, current, wanted)


def delete_rules(elb: Any, listener: dict[str, Any]) -> None:
    for rule in listener["Rules"]:
        elb.delete_rule(RuleArn=rule["RuleArn"], aws_retry=True)


def with_default_certificate(listener: dict[str, Any]) -> dict[str, Any]:
    """CreateListener and ModifyListener take one certificate; there are calls of their own for the others."""
    return {**listener, "Certificates": listener["Certificates"][:1]} if "Certificates" in listener else listener


def set_other_certificates(elb: Any, current: dict[str, Any], wanted: dict[str, Any]) -> None:
    there = [certificate["CertificateArn"] for certificate in current.get("Certificates", [])[1:]]
    arns = [certificate["CertificateArn"] for certificate in wanted.get("Certificates", [])]
    for call, certificates in (
        (elb.add_listener_certificates, [arn for arn in arns[1:] if arn not in there]),
        (elb.remove_listener_certificates, [arn for arn in there if arn not in arns] if arns else []),
    ):
        if certificates:
            call(ListenerArn=current["ListenerArn"], Certificates=[{"CertificateArn": arn} for arn in certificates], aws_retry=True)


def ensure_listeners(
    elb: Any, params: dict[str, Any], balancer: dict[str, Any], current: dict[str, Any], tags: dict[str, str] | None, check_mode: bool
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """The listeners as they are then, and what differs, before and after."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if balancer["listeners"] is None:
        return current["Listeners"], before, after
    superfluous = {listener["Port"]: listener for listener in current["Listeners"]}
    results = []
    for wanted in map(wanted_listener, balancer["listeners"]):
        key = f"listener {wanted['Port']}"
        if (there := superfluous.pop(wanted["Port"], None)) is None:
            before[key], after[key] = None, without_none(comparable_listener(wanted))
            listener = wanted if check_mode else create_listener(elb, current["LoadBalancerArn"], wanted, tags or {})
            results.append({**listener, "Tags": tags or {}})
            continue
        comparable = comparable_listener(there)
        change = differences(comparable_listener(wanted), comparable)
        rules = {f"rule {rule['Priority']}": comparable_rule(rule) for rule in there["Rules"]} if params["purge_rules"] else {}
        tag = tag_change(there["Tags"], tags, params["purge_tags"])
        if change or tag or rules:
            before[key], after[key] = selected(change, comparable) | rules | tag.before, change | dict.fromkeys(rules) | tag.after
        if not check_mode:
            if change:
                change_listener(elb, there, wanted, change)
            if rules:
                delete_rules(elb, there)
            set_tags(elb, there["ListenerArn"], tag)
        results.append({**there, **wanted, "Tags": tag.result})
    for port, listener in superfluous.items():
        if not params["purge_listeners"]:
            results.append(listener)
            continue
        before[f"listener {port}"], after[f"listener {port}"] = without_none(comparable_listener(listener)), None
        if not check_mode:
            elb.delete_listener(ListenerArn=listener["ListenerArn"], aws_retry=True)
    return sorted(results, key=lambda listener: listener["Port"]), before, after


def ensure_new(
    elb: Any, params: dict[str, Any], balancer: dict[str, Any], check_mode: bool
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A load balancer that does not exist yet as it is then, and what differs, before and after."""
    name, tags, attributes = balancer["name"], all_tags(params["tags"], balancer["tags"]) or {}, wanted_attributes(balancer)
    settings = wanted_settings(balancer)
    if check_mode:
        made = {"LoadBalancerName": name, "LoadBalancerArn": planned(name), "DNSName": planned(name), "Scheme": balancer["scheme"]}
        made |= described(settings, [])
    else:
        made = create_balancer(elb, balancer, tags)
    listeners, _unused, listeners_after = ensure_listeners(elb, params, balancer, {**made, "Listeners": []}, tags, check_mode)
    # last, as they may wait for a bucket's policy
    if attributes and not check_mode:
        set_attributes(elb, made["LoadBalancerArn"], attributes)
    after = {"Scheme": balancer["scheme"], **settings, **attributes, **listeners_after, "tags": tags}
    return {**made, "Listeners": listeners, "Attributes": attributes, "Tags": tags}, {}, after


def ensure_existing(
    elb: Any, params: dict[str, Any], balancer: dict[str, Any], current: dict[str, Any], check_mode: bool
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A load balancer that exists as it is then, and what differs, before and after."""
    arn, settings, attributes = current["LoadBalancerArn"], settings_of(current), wanted_attributes(balancer)
    tags = all_tags(params["tags"], balancer["tags"])
    tag = tag_change(current["Tags"], tags, params["purge_tags"])
    change, attribute_change = differences(wanted_settings(balancer), settings), differences(attributes, current["Attributes"])
    if not check_mode:
        set_settings(elb, arn, change)
    listeners, listeners_before, listeners_after = ensure_listeners(elb, params, balancer, current, tags, check_mode)
    if not check_mode:
        set_tags(elb, arn, tag)
        # last, as they may wait for a bucket's policy
        if attribute_change:
            set_attributes(elb, arn, attribute_change)
    result = current | described(change, current["AvailabilityZones"])
    return (
        result | {"Listeners": listeners, "Attributes": current["Attributes"] | attributes, "Tags": tag.result},
        selected(change, settings) | selected(attribute_change, current["Attributes"]) | listeners_before | tag.before,
        change | attribute_change | listeners_after | tag.after,
    )


def described(settings: dict[str, Any], zones: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings as DescribeLoadBalancers has them; of a new subnet's zone nothing else is known yet."""
    known = {zone["SubnetId"]: zone for zone in zones}
    fields = {field: value for field, value in settings.items() if field != "Subnets"}
    if "Subnets" in settings:
        fields["AvailabilityZones"] = [known.get(subnet, {"SubnetId": subnet}) for subnet in settings["Subnets"]]
    return fields


def wait_until_active(elb: Any, balancers: list[dict[str, Any]], seconds: float) -> None:
    """Notes the state that each load balancer comes to. Raises a StateError where it could not be set up, or takes too long."""
    names = [balancer["LoadBalancerName"] for balancer in balancers]

    def settled(found: dict[str, dict[str, Any]]) -> bool:
        if failures := [failure(balancer) for balancer in found.values() if balancer["State"]["Code"] == "failed"]:
            raise StateError("\n".join(failures))
        return len(found) == len(names) and all(is_active(balancer) for balancer in found.values())

    found = wait_for(lambda: find(elb, names), settled, seconds, "the activation of the load balancers")
    for balancer in balancers:
        balancer["State"] = found[balancer["LoadBalancerName"]]["State"]


def is_active(balancer: dict[str, Any]) -> bool:
    return balancer["State"]["Code"] in ("active", "active_impaired")


def ensure_present(elb: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    found = find(elb, [balancer["name"] for balancer in params["load_balancers"]])
    for current in found.values():
        if current["Type"] == "application":
            add_listeners(elb, current)
            for listener in current["Listeners"] if params["purge_rules"] else []:
                add_rules(elb, listener)
    add_tags(elb, list(found.values()))
    if problems := refusals(params, found):
        raise StateError("\n".join(problems))
    for current in found.values():
        add_attributes(elb, current)

    results = []
    diff: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    for balancer in params["load_balancers"]:
        if current := found.get(balancer["name"]):
            result, before, after = ensure_existing(elb, params, balancer, current, check_mode)
        else:
            result, before, after = ensure_new(elb, params, balancer, check_mode)
        results.append(result)
        if after:
            diff["after"][balancer["name"]] = after
            if current:
                diff["before"][balancer["name"]] = before
    if params["wait"] and not check_mode and (waiting := [balancer for balancer in results if not is_active(balancer)]):
        wait_until_active(elb, waiting, params["wait_timeout"])
    names = [balancer["name"] for balancer in params["load_balancers"]]
    return {"load_balancers": [public(balancer) for balancer in results], **outcome(diff["before"], diff["after"], names)}


def ensure_absent(elb: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    found = find(elb, [balancer["name"] for balancer in params["load_balancers"]])
    add_tags(elb, list(found.values()))
    ours = {name: balancer for name, balancer in found.items() if is_ours(balancer["Tags"], params["tags"])}
    for balancer in ours.values():
        add_attributes(elb, balancer)
    if protected := [name for name, balancer in ours.items() if balancer["Attributes"].get("deletion_protection.enabled") == "true"]:
        raise StateError(
            f"load balancer(s) {', '.join(protected)} must not be deleted, deletion protection is on: set the attribute "
            "deletion_protection.enabled to false first (state: present), then remove them"
        )
    if not check_mode:
        for balancer in ours.values():
            elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"], aws_retry=True)
        if ours and params["wait"]:
            wait_for(lambda: find(elb, list(ours)), lambda left: not left, params["wait_timeout"], "the removal of the load balancers")
    return outcome({name: {"Scheme": balancer["Scheme"], **settings_of(balancer)} for name, balancer in ours.items()}, {})


def public(balancer: dict[str, Any]) -> dict[str, Any]:
    """The load balancer in the collection's snake_case, tags and attributes as dictionaries."""
    facts = {field: value for field, value in balancer.items() if field not in ("Attributes", "Listeners", "Tags")}
    listeners = [camel_dict_to_snake_dict(listener, ignore_list=["Tags"]) for listener in balancer["Listeners"]]
    return {
        "name": balancer["LoadBalancerName"],
        **camel_dict_to_snake_dict(facts),
        "listeners": listeners,
        "attributes": balancer["Attributes"],
        "tags": balancer["Tags"],
    }


def build_argument_spec() -> dict[str, Any]:
    group = {"target_group_arn": {"type": "str", "required": True}, "weight": {"type": "int", "default": 1}}
    stickiness = {"enabled": {"type": "bool", "required": True}, "duration_seconds": {"type": "int"}}
    forward = {
        "target_groups": {"type": "list", "elements": "dict", "required": True, "options": group},
        "target_group_stickiness_config": {"type": "dict", "options": stickiness},
    }
    redirect = {
        **{part: {"type": "str"} for part in ("protocol", "port", "host", "path", "query")},
        "status_code": {"type": "str", "choices": ["HTTP_301", "HTTP_302"], "required": True},
    }
    fixed_response = {
        "status_code": {"type": "str", "required": True},
        "content_type": {"type": "str", "default": "text/plain"},
        "message_body": {"type": "str"},
    }
    action = {
        "type": {"type": "str", "choices": list(ACTION_CONFIGS), "required": True},
        "target_group_arn": {"type": "str"},
        "forward_config": {"type": "dict", "options": forward},
        "redirect_config": {"type": "dict", "options": redirect},
        "fixed_response_config": {"type": "dict", "options": fixed_response},
    }
    listener = {
        "port": {"type": "int", "required": True},
        "protocol": {"type": "str", "choices": ["HTTP", "HTTPS"], "default": "HTTP"},
        "ssl_policy": {"type": "str"},
        "certificates": {"type": "list", "elements": "str"},
        "default_actions": {"type": "list", "elements": "dict", "required": True, "options": action},
    }
    balancer = {
        "name": {"type": "str", "required": True},
        "scheme": {"type": "str", "choices": ["internet-facing", "internal"], "default": "internet-facing"},
        "subnets": {"type": "list", "elements": "str"},
        "security_groups": {"type": "list", "elements": "str"},
        "ip_address_type": {"type": "str", "choices": ["ipv4", "dualstack", "dualstack-without-public-ipv4"]},
        "attributes": {"type": "dict"},
        "listeners": {"type": "list", "elements": "dict", "options": listener},
        "tags": {"type": "dict"},
    }
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "load_balancers": {"type": "list", "elements": "dict", "required": True, "options": balancer},
        "purge_listeners": {"type": "bool", "default": True},
        "purge_rules": {"type": "bool", "default": True},
        "wait": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 600},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=build_argument_spec(), supports_check_mode=True)
    params = module.params
    if problems := list(input_problems(params)):
        module.fail_json(msg="\n".join(problems))
    ensure = ensure_present if params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "elbv2"), params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        names = ", ".join(balancer["name"] for balancer in params["load_balancers"])
        module.fail_json_aws(error, msg=f"Unable to manage the load balancers {names}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
