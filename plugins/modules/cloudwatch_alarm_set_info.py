#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch_alarm_set_info
version_added: 0.1.0
short_description: Read CloudWatch alarms in the form that the alarm set takes
description:
  - Returns alarms, of a set or others, in the very form of the option O(threetier.aws.cloudwatch_alarm_set#module:alarms), so that they
    can be written into an inventory or taken over.
  - What AWS takes for a field that is not given is left out.
  - C(amazon.aws.cloudwatch_metric_alarm_info) returns metric alarms in the form of the API, which no module takes, and no composite alarms.
author:
  - threetier.aws contributors
options:
  name:
    description:
      - Name of a set, as of M(threetier.aws.cloudwatch_alarm_set).
      - Its alarms are found by their tags, which AWS takes some seconds to index.
    type: str
  name_prefix:
    description: Beginning of the alarms' names. An empty string is all alarms of the region.
    type: str
  alarm_names:
    description: Names of the alarms. Those that do not exist are left out.
    type: list
    elements: str
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  idempotent:
    description: Only reads.
    support: full
notes:
  - Exactly one of O(name), O(name_prefix) and O(alarm_names) is needed.
  - It needs C(cloudwatch:DescribeAlarms), C(cloudwatch:ListTagsForResource) and C(tag:GetResources).
seealso:
  - module: threetier.aws.cloudwatch_alarm_set
"""

EXAMPLES = r"""
- name: Read all alarms whose names begin alike
  threetier.aws.cloudwatch_alarm_set_info:
    name_prefix: legacy-
  register: legacy

- name: Write them down
  ansible.builtin.copy:
    content: "{{ {'legacy_alarms': legacy.alarms} | to_nice_yaml(indent=2) }}"
    dest: legacy-alarms.yml
    mode: "0644"

- name: Which alarms of the stack ring now
  threetier.aws.cloudwatch_alarm_set_info:
    name: demo
  register: demo

- name: Say it
  ansible.builtin.debug:
    msg: "{{ demo.states | dict2items | selectattr('value', 'equalto', 'ALARM') | map(attribute='key') }}"
"""

RETURN = r"""
alarms:
  description: The alarms by name, in the form that M(threetier.aws.cloudwatch_alarm_set) takes.
  returned: always
  type: list
  elements: dict
  sample:
    - name: demo-web-cpu-utilization-high
      namespace: AWS/ECS
      metric_name: CPUUtilization
      dimensions: {ClusterName: demo, ServiceName: web}
      statistic: Average
      period: 300
      evaluation_periods: 1
      threshold: 80.0
      comparison_operator: GreaterThanThreshold
states:
  description: The state of each alarm by its name, V(OK), V(ALARM) or V(INSUFFICIENT_DATA).
  returned: always
  type: dict
  sample: {"demo-web-cpu-utilization-high": "OK"}
tags:
  description: The tags of each alarm by its name.
  returned: always
  type: dict
  sample: {"demo-web-cpu-utilization-high": {"threetier:alarm-set": "demo"}}
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.alarm_set import as_written
from ansible_collections.threetier.aws.plugins.module_utils.cloudwatch import (
    WORKERS,
    describe,
    describe_names,
    indexed_tags,
    list_tags,
    reader,
    tagging_reader,
)


def read(module: AnsibleAWSModule) -> dict[str, Any]:
    params, cloudwatch = module.params, reader(module)
    tags: dict[str, dict[str, str]] = {}
    if params["name"] is not None:
        tags = indexed_tags(tagging_reader(module), params["name"])
        found = describe_names(cloudwatch, tags)
    elif params["name_prefix"]:
        found = describe(cloudwatch, AlarmNamePrefix=params["name_prefix"])
    elif params["name_prefix"] is not None:
        found = describe(cloudwatch)
    else:
        found = describe_names(cloudwatch, set(params["alarm_names"]))
    unknown = [name for name in found if name not in tags]
    with ThreadPoolExecutor(WORKERS) as pool:
        tags |= dict(zip(unknown, pool.map(lambda name: list_tags(cloudwatch, found[name].arn), unknown)))
    names = sorted(found)
    return {
        "alarms": [as_written(found[name]) for name in names],
        "states": {name: found[name].state for name in names},
        "tags": {name: tags[name] for name in names},
    }


def main() -> None:
    ways = ["name", "name_prefix", "alarm_names"]
    module = AnsibleAWSModule(
        argument_spec={"name": {"type": "str"}, "name_prefix": {"type": "str"}, "alarm_names": {"type": "list", "elements": "str"}},
        mutually_exclusive=[ways],
        required_one_of=[ways],
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, **read(module))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="Unable to read alarms")


if __name__ == "__main__":
    main()
