#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_variables
version_added: 0.1.0
short_description: Check all variables of a stack at once
description:
  - Checks the variables of the host against the argument specs of the given roles and against the rules between them, and
    reports every problem in one error, before anything is written.
  - Ansible itself checks a role's arguments when it reaches the role and stops at the first bad one, half a stack later.
author:
  - threetier.aws contributors
options:
  roles:
    description: Names of the collection's roles whose variables are checked.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Writes nothing at all.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
  action:
    description: Runs on the controller.
    support: full
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
notes:
  - A variable whose name begins with a role's name and an underscore belongs to that role; one that the role does not know is reported.
"""

EXAMPLES = r"""
- name: Check every variable of the stack
  threetier.aws.stack_variables:
    roles: [network, service]
"""

RETURN = r""" # """
