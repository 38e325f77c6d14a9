# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks all variables of a stack at once. Documented in plugins/modules/stack_variables.py.

An action plugin, because only the controller sees the variables and the roles' argument specs.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.threetier.aws.plugins.module_utils.stack_rules import problems

ROLES = Path(__file__).parents[2] / "roles"

# Facts that the roles export: variables with a role's name in front that nobody has to know about beforehand.
FACTS = {
    "alarms_names",
    "alarms_of_deployments",
    "balancer_internal",
    "balancer_public",
    "balancer_security_group_ids",
    "image_references",
    "network_exits",
    "network_internet_gateway_id",
    "network_nat_gateway_ids",
    "network_private_cidrs",
    "network_private_subnet_ids",
    "network_public_subnet_ids",
    "network_vpc_id",
    "preflight_availability_zones",
    "preflight_aws",
    "service_scaling",
    "service_task_definitions",
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset({"roles"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"roles": {"type": "list", "elements": "str", "required": True}})
        variables = task_vars or {}
        specs = {role: options(role) for role in arguments["roles"]}

        found = unknown(variables, specs)
        values: dict[str, Any] = {}
        for spec in specs.values():
            for name in sorted(spec.keys() & variables.keys()):
                try:
                    given = self._templar.template(variables[name])
                except AnsibleError as error:
                    found.append(f"{name} cannot be worked out: {error}")
                    continue
                errors, values[name] = checked(name, spec[name], given)
                found.extend(errors)
        found.extend(problems({name: value for name, value in values.items() if value is not None}))

        if found:
            lines = [f"  {number}. {message}" for number, message in enumerate(found, 1)]
            stack = variables.get("inventory_hostname")
            count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
            result.update(failed=True, msg="\n".join([f"{count} with the variables of stack {stack}; nothing was changed:", *lines]))
        else:
            result["changed"] = False
        return result


def options(role: str) -> dict[str, Any]:
    """A role's options as its argument spec has them, none of them required: the facts that one layer hands on are not there yet."""
    spec = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    return {name: {key: value for key, value in option.items() if key not in ("required", "default")} for name, option in spec["argument_specs"]["main"]["options"].items()}


def checked(name: str, option: dict[str, Any], value: Any) -> tuple[list[str], Any]:
    """What is wrong with a value by its argument spec, and the value as the role will see it: without its wrong parts, None where it is wrong as a whole."""
    if not (isinstance(value, Mapping) and "options" in option):
        validated = ArgumentSpecValidator({name: option}).validate({name: value})
        return validated.error_messages, None if validated.error_messages else validated.validated_parameters[name]
    errors: list[str] = []
    parts: dict[str, Any] = {}
    for key, part in value.items():
        if key in option["options"]:
            part_errors, parts[key] = checked(f"{name}.{key}", option["options"][key], part)
            errors.extend(part_errors)
        else:
            close = get_close_matches(key, option["options"], n=1)
            errors.append(f"{name}.{key} is no option: " + (f"did you mean {close[0]}?" if close else f"allowed are {', '.join(sorted(option['options']))}"))
    return errors, parts


def unknown(variables: dict[str, Any], specs: dict[str, dict[str, Any]]) -> list[str]:
    """Sentences about variables that carry a role's name but that no role knows: misspelt options would be ignored without a word."""
    known = {name for spec in specs.values() for name in spec}
    sentences = []
    for name in sorted(variables):
        role = name.partition("_")[0]
        if role in specs and "_" in name and name not in known | FACTS:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the role's options are: {', '.join(sorted(specs[role]))}"
            sentences.append(f"{name} is no option of the role {role}: {hint}")
    return sentences

