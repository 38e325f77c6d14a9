#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: warm_up
version_added: 0.1.0
short_description: Make the modules of a play ready in the background
description:
  - The first task of each kind of module costs more than the following ones - Ansible packs the module, and the warm process of the
    connection P(threetier.aws.warm#connection) unpacks it and loads the models of the AWS services that it calls. This task starts a
    process that does so for all modules of the play, in the order of their tasks, while the play goes on.
  - The modules are those named in the play's C(pre_tasks), its roles, C(tasks) and C(post_tasks), and in the task files that they include,
    as far as the name of the file is known from variables of the host, the role or this task. Conditions are not looked at.
  - With another connection, with C(become), or if anything goes wrong, it does nothing; each task then does its part itself, as always.
author:
  - threetier.aws contributors
options:
  modules:
    description: Names of further modules, such as those that action plugins or included roles run.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Works in check mode, too. Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  idempotent:
    description: Changes nothing. However many hosts a play has, it works once.
    support: full
  action:
    description: Runs on the controller.
    support: full
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
notes:
  - The process ends with ansible-playbook. With C(-vvv) the task says why it did nothing.
seealso:
  - plugin: threetier.aws.warm
    plugin_type: connection
"""

EXAMPLES = r"""
- name: Deploy
  hosts: all
  connection: threetier.aws.warm
  pre_tasks:
    - name: Make all modules of this play ready
      threetier.aws.warm_up:
  roles:
    - network
    - service
"""

RETURN = r""" # """
