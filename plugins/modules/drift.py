#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: drift
version_added: 0.1.0
short_description: Fail where the preview of this run found a difference
description:
  - Ends a playbook that has previewed a stack. It fails for a stack that is not as its variables describe it, so that C(ansible-playbook)
    ends with status 2, and returns what differs.
  - What the preview found is known from the callback P(threetier.aws.change_summary#callback), which must be enabled; it also writes the
    reports.
author:
  - threetier.aws contributors
options: {}
attributes:
  check_mode:
    description: Works in check mode, too. Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show that the preview has not shown.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
  action:
    description: Runs on the controller.
    support: full
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
seealso:
  - plugin: threetier.aws.change_summary
    plugin_type: callback
"""

EXAMPLES = r"""
- name: Preview the stack
  ansible.builtin.import_playbook: threetier.aws.site
  vars:
    site_preview: true

- name: Compare the stack with its description
  hosts: all
  gather_facts: false
  tasks:
    - name: Fail if anything differs
      threetier.aws.drift:
"""

RETURN = r"""
report:
  description: What differs, as the callback writes it to C(STACK.json).
  returned: when the callback is enabled
  type: dict
  contains:
    stack:
      description: Name of the stack.
      type: str
      sample: demo
    status:
      description: Whether the stack is as described.
      type: str
      sample: drift
    layers:
      description: How many resources of each layer differ, and how long it took, in seconds.
      type: list
      elements: dict
    changes:
      description: The resources that a run would create, change, replace or delete.
      type: list
      elements: dict
      contains:
        layer:
          description: Role that looks after the resource.
          type: str
          sample: network
        kind:
          description: Module that looks after the resource.
          type: str
          sample: vpc_subnets
        name:
          description: Name of the resource.
          type: str
          sample: demo-public-a
        action:
          description: What a run would do, V(create), V(change), V(replace) or V(delete).
          type: str
          sample: change
        affects:
          description: Who notices the difference.
          type: str
          sample: "both tiers: their addresses and their way out"
        repair:
          description: Command that repairs the layer alone.
          type: str
          sample: ansible-playbook playbooks/site.yml --limit demo --tags network
        fields:
          description: The fields that differ, each with C(field), its path, and its values C(before) and C(after).
          type: list
          elements: dict
          sample: [{"field": "tag Name", "before": "changed by hand", "after": "demo-public-a"}]
"""
