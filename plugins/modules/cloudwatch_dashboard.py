#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch_dashboard
version_added: 0.1.0
short_description: Manage the CloudWatch dashboard that shows a list of alarms
description:
  - Makes a dashboard of the list of alarms that M(threetier.aws.cloudwatch_alarm_set) makes. On top is the status of all alarms, those in
    alarm first, and below it a graph for each, in the order of the list, of what the alarm watches and of its threshold or band. A
    composite alarm has a status and no graph.
  - The dashboard names the alarms and repeats nothing of them, so a changed threshold or metric shows without a change to the dashboard.
  - It begins with a text that says what made it. A dashboard of the same name without that text is somebody else's, and is left alone.
  - Neither amazon.aws nor community.aws has a module for dashboards.
author:
  - threetier.aws contributors
options:
  name:
    description:
      - Name of the dashboard, of 1 to 255 letters (C(A-Z), C(a-z)), digits, C(-) and C(_).
      - Dashboards are global, and the name is unique in the account, not in the region. Stacks of the same name in two regions need
        dashboards of different names.
    type: str
    required: true
  state:
    description: Whether the dashboard should exist.
    type: str
    choices: [present, absent]
    default: present
  alarms:
    description:
      - The alarms, as in O(threetier.aws.cloudwatch_alarm_set#module:alarms); required with O(state=present), ignored with V(absent).
      - Of each, only the C(name) is read, and whether it has an C(alarm_rule), which makes it a composite alarm.
      - They are alarms of the module's account and region. They need not exist yet; AWS does not look.
      - AWS takes 500 widgets in a dashboard. That is enough for 494 alarms with a graph.
    type: list
    elements: dict
  adopt:
    description:
      - Whether a dashboard of that name that this module did not make from alarms in its region is taken over, or deleted with
        O(state=absent).
      - With V(false), such a dashboard is an error, and nothing is written.
    type: bool
    default: false
notes:
  - O(tags) need boto3 1.43.2 or newer, the first that knows tags of dashboards. An older one leaves them out, and the module warns.
  - The graphs keep the period of their alarms, whatever time the dashboard shows. A sum over a longer period would cross the threshold
    while the alarm is rightly silent.
  - AWS charges for each dashboard that is not among the few free ones of an account.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
seealso:
  - module: threetier.aws.cloudwatch_alarm_set
  - name: Dashboard body structure and syntax
    description: What AWS takes as a dashboard.
    link: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
attributes:
  check_mode:
    description: Predicts the result and writes nothing.
    support: full
  diff_mode:
    description: Shows the widgets that differ, by their titles, before and after, and their positions where nothing else differs.
    support: full
  idempotent:
    description: A second run with the same options changes nothing. What was changed by hand, positions included, is set right.
    support: full
"""

EXAMPLES = r"""
- name: The alarms of the stack
  threetier.aws.cloudwatch_alarm_set:
    name: demo
    alarms: "{{ alarms }}"

- name: The dashboard that shows them
  threetier.aws.cloudwatch_dashboard:
    name: demo
    alarms: "{{ alarms }}"
    tags:
      "threetier:stack": demo

- name: Remove the dashboard
  threetier.aws.cloudwatch_dashboard:
    name: demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo"], "changed": [], "replaced": [], "deleted": [], "unchanged": []}
dashboard:
  description: The dashboard after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo
    arn:
      description: ARN, which has no region.
      type: str
      sample: arn:aws:cloudwatch::123456789012:dashboard/demo
    body:
      description: The body as AWS takes it, parsed.
      type: dict
      sample: {"periodOverride": "inherit", "widgets": []}
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.iam import get_aws_account_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.threetier.aws.plugins.module_utils.cloudwatch import list_tags, set_tags
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, client, outcome_of
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change

DASHBOARD_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
ALARM_NAME_LENGTH = 255
MOST_WIDGETS = 500
ALARMS_A_WIDGET = 100
# In units of the dashboard's grid, which has 24 columns.
COLUMNS = 24
TEXT_HEIGHT = 2
HEIGHT = 6
GRAPHS_A_ROW = 3
PLACE = ("x", "y", "width", "height")


def in_batches(names: list[str]) -> list[list[str]]:
    return [names[start : start + ALARMS_A_WIDGET] for start in range(0, len(names), ALARMS_A_WIDGET)]


def is_composite(alarm: Mapping[str, Any]) -> bool:
    return alarm.get("alarm_rule") is not None


def problems_of(params: Mapping[str, Any]) -> list[str]:
    """All that AWS would refuse."""
    problems = []
    if not DASHBOARD_NAME.fullmatch(params["name"]):
        problems.append(f"name: must be 1 to 255 letters (A-Z, a-z), digits, - and _, not {params['name']!r}")
    if params["state"] == "absent":
        return problems
    seen: set[str] = set()
    for number, alarm in enumerate(params["alarms"]):
        name = alarm.get("name")
        if not name or not isinstance(name, str):
            problems.append(f"alarms[{number}]: name: must be a string of 1 to {ALARM_NAME_LENGTH} characters, not {name!r}")
            continue
        if len(name) > ALARM_NAME_LENGTH:
            problems.append(f"alarms[{number}]: name: must be at most {ALARM_NAME_LENGTH} characters, not {len(name)}")
        if name in seen:
            problems.append(f"alarms[{number}]: name: another alarm of the list has the same, {name!r}")
        seen.add(name)
    graphs = sum(not is_composite(alarm) for alarm in params["alarms"])
    widgets = 1 + -(-len(params["alarms"]) // ALARMS_A_WIDGET) + graphs
    if widgets > MOST_WIDGETS:
        problems.append(
            f"alarms: make {widgets} widgets (a text, {widgets - graphs - 1} of status, {graphs} graphs), and AWS takes {MOST_WIDGETS} "
            "in a dashboard; divide the list between two dashboards"
        )
    return problems


def mark(region: str) -> str:
    """The words by which the module knows its dashboards. A stack of the same name in another region is not this one."""
    return f"Made by `threetier.aws.cloudwatch_dashboard` from alarms in `{region}`"


def widget(kind: str, place: tuple[int, int, int, int], properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, **dict(zip(PLACE, place)), "properties": dict(properties)}


def wanted_body(alarms: list[dict[str, Any]], region: str, alarm_arn_prefix: str) -> dict[str, Any]:
    """The dashboard of the alarms.

    A metric widget with the ARN of an alarm and no metrics draws what that alarm watches, be it a metric, an expression or an anomaly
    band, with the threshold. It can draw no composite alarm.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    """
    graphs = [alarm["name"] for alarm in alarms if not is_composite(alarm)]
    composites = [alarm["name"] for alarm in alarms if is_composite(alarm)]
    text = f"{mark(region)}. Change the alarms and run it again: what is changed here, the next run undoes."
    widgets = [widget("text", (0, 0, COLUMNS, TEXT_HEIGHT), {"markdown": text})]
    top = TEXT_HEIGHT
    for names in in_batches(composites + graphs):
        # AWS sorts within a widget; the order decides which widget an alarm is in.
        properties = {"title": "Alarms", "alarms": [alarm_arn_prefix + name for name in names], "sortBy": "stateUpdatedTimestamp"}
        widgets.append(widget("alarm", (0, top, COLUMNS, HEIGHT), properties))
        top += HEIGHT
    width = COLUMNS // GRAPHS_A_ROW
    for number, name in enumerate(graphs):
        row, column = divmod(number, GRAPHS_A_ROW)
        properties = {"title": name, "view": "timeSeries", "region": region, "annotations": {"alarms": [alarm_arn_prefix + name]}}
        widgets.append(widget("metric", (column * width, top + row * HEIGHT, width, HEIGHT), properties))
    return {"periodOverride": "inherit", "widgets": widgets}


def can_tag(cloudwatch: Any) -> bool:
    """Whether the installed boto3 knows tags of dashboards."""
    return "Tags" in cloudwatch.meta.service_model.operation_model("PutDashboard").input_shape.members


def read(cloudwatch: Any, name: str) -> tuple[dict[str, Any] | None, str | None]:
    """The body of the dashboard, parsed, for AWS keeps neither blanks nor the order of keys for sure; and its ARN. None where there is none."""
    try:
        answer = cloudwatch.get_dashboard(DashboardName=name, aws_retry=True)
    except is_boto3_error_code(["ResourceNotFound", "DashboardNotFoundError"]):
        return None, None
    return json.loads(answer["DashboardBody"]), answer["DashboardArn"]


def arn_of(module: AnsibleAWSModule, name: str) -> str:
    """The ARN that the dashboard will have."""
    account, partition = get_aws_account_info(module)
    return f"arn:{partition}:cloudwatch::{account}:dashboard/{name}"


def refuse_foreign(body: Mapping[str, Any], params: Mapping[str, Any], region: str) -> None:
    """Raises a StateError where the dashboard is somebody else's and is not to be adopted."""
    texts = [found.get("properties", {}).get("markdown", "") for found in body.get("widgets", [])]
    if params["adopt"] or any(mark(region) in text for text in texts):
        return
    what_to_do = "delete" if params["state"] == "absent" else "replace"
    raise StateError(
        f"a dashboard of that name exists that this module did not make from alarms in {region}, and dashboards are global in an account; "
        f"choose another name, or give adopt: true to {what_to_do} it"
    )


def shown(body: Mapping[str, Any], with_places: bool = False) -> dict[str, Any]:
    """The body as a diff shows it, field by field: each widget by its title, and by a number where several have the same."""
    fields, titles = {key: value for key, value in body.items() if key != "widgets"}, Counter()
    for found in body.get("widgets", []):
        title = f"widget {found.get('properties', {}).get('title') or found['type']}"
        titles[title] += 1
        name = title if titles[title] == 1 else f"{title} ({titles[title]})"
        fields[name] = {key: value for key, value in found.items() if with_places or key not in PLACE}
    return fields


def body_diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that differ, before and after.

    A new alarm moves all that follow, so places are shown only where nothing else differs; they would hide what does. What differs by
    the order of widgets alone looks the same, and is.
    """
    only_places = shown(before) == shown(after)
    old, new = shown(before, only_places), shown(after, only_places)
    differing = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return {key: old.get(key) for key in differing}, {key: new.get(key) for key in differing}


def put(module: AnsibleAWSModule, cloudwatch: Any, body: Mapping[str, Any], new_tags: Mapping[str, str]) -> None:
    """Writes the dashboard. AWS takes tags only with a new one, and ignores them with another."""
    request = {"DashboardName": module.params["name"], "DashboardBody": json.dumps(body)}
    if new_tags:
        request["Tags"] = ansible_dict_to_boto3_tag_list(new_tags)
    for message in cloudwatch.put_dashboard(**request, aws_retry=True).get("DashboardValidationMessages", []):
        module.warn(f"AWS about the dashboard {module.params['name']}: {message.get('DataPath', '')} {message.get('Message', '')}")


def ensure_present(module: AnsibleAWSModule, cloudwatch: Any) -> dict[str, Any]:
    params, region = module.params, cloudwatch.meta.region_name
    current, current_arn = read(cloudwatch, params["name"])
    arn = current_arn or arn_of(module, params["name"])
    _, partition, _, _, account, _ = arn.split(":")
    body = wanted_body(params["alarms"], region, f"arn:{partition}:cloudwatch:{region}:{account}:alarm:")
    current_tags: dict[str, str] = {}
    if current is not None:
        refuse_foreign(current, params, region)
        if params["tags"] is not None:
            current_tags = list_tags(cloudwatch, arn)
    tags = tag_change(current_tags, params["tags"], params["purge_tags"])
    dashboard = {"name": params["name"], "arn": arn, "body": body}
    if current is None:
        if not module.check_mode:
            put(module, cloudwatch, body, tags.result)
        return {"dashboard": dashboard, **outcome_of(params["name"], None, {**shown(body), "tags": tags.result})}

    before, after = body_diff(current, body)
    if not module.check_mode:
        if after:
            put(module, cloudwatch, body, {})
        set_tags(cloudwatch, arn, tags)
    return {"dashboard": dashboard, **outcome_of(params["name"], before | tags.before, after | tags.after)}


def ensure_absent(module: AnsibleAWSModule, cloudwatch: Any) -> dict[str, Any]:
    name = module.params["name"]
    current, _ = read(cloudwatch, name)
    if current is None:
        return outcome_of(name, None, None)
    refuse_foreign(current, module.params, cloudwatch.meta.region_name)
    if not module.check_mode:
        cloudwatch.delete_dashboards(DashboardNames=[name], aws_retry=True)
    return outcome_of(name, shown(current), None)


def ensure(module: AnsibleAWSModule) -> dict[str, Any]:
    cloudwatch = client(module, "cloudwatch")
    if problems := problems_of(module.params):
        raise StateError("\n".join(problems))
    if module.params["tags"] is not None and not can_tag(cloudwatch):
        module.warn("the dashboard gets no tags: these need boto3 1.43.2 or newer")
        module.params["tags"] = None
    return ensure_present(module, cloudwatch) if module.params["state"] == "present" else ensure_absent(module, cloudwatch)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "alarms": {"type": "list", "elements": "dict"},
            "adopt": {"type": "bool", "default": False},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ["alarms"])],
        supports_check_mode=True,
    )
    name = module.params["name"]
    try:
        result = ensure(module)
    except StateError as error:
        module.fail_json(msg=f"The dashboard {name} cannot be managed, and nothing was written:\n{error}")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the dashboard {name}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
