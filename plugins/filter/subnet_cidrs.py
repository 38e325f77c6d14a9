# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: subnet_cidrs
version_added: 0.1.0
short_description: The address blocks of a stack's subnets
description:
  - Cuts a VPC's address block into sixteen equal parts. The first eight are for public subnets, the last eight for
    private ones, so that a zone can be added later without moving the others.
  - The standard library does it; C(ansible.utils.ipsubnet) would bring netaddr along for one division.
author:
  - threetier.aws contributors
positional: _input, count
options:
  _input:
    description: The VPC's IPv4 block in CIDR notation.
    type: str
    required: true
  count:
    description: How many zones the stack spans, 1 to 8.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Show the blocks of a stack in three zones
  ansible.builtin.debug:
    msg: "{{ '10.0.0.0/16' | threetier.aws.subnet_cidrs(3) }}"
    # public: [10.0.0.0/20, 10.0.16.0/20, 10.0.32.0/20], private: [10.0.128.0/20, 10.0.144.0/20, 10.0.160.0/20]
"""

RETURN = r"""
_value:
  description: The lists C(public) and C(private), a block a zone.
  type: dict
"""

from ipaddress import IPv4Network

PARTS_AS_BITS = 4  # sixteen parts


def subnet_cidrs(cidr: str, count: int) -> dict[str, list[str]]:
    """The public and the private blocks of C(count) zones within C(cidr)."""
    parts = [str(part) for part in IPv4Network(cidr).subnets(prefixlen_diff=PARTS_AS_BITS)]
    half = len(parts) // 2
    return {"public": parts[:count], "private": parts[half : half + count]}


class FilterModule:
    def filters(self):
        return {"subnet_cidrs": subnet_cidrs}
