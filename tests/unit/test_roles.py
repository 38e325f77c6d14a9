"""The roles' contracts: what is written in two places must agree."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
import yaml
from ansible_collections.threetier.aws.plugins.action.stack_variables import FACTS
from ansible_collections.threetier.aws.plugins.plugin_utils.change_ledger import Change

from support import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def options(role: str) -> dict:
    return yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("role", ROLES)
def test_documented_defaults_are_the_defaults(role):
    defaults = ROOT / "roles" / role / "defaults" / "main.yml"
    documented = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert documented == (yaml.safe_load(defaults.read_text()) if defaults.exists() else {})


@pytest.mark.parametrize("role", [role for role in ROLES if role != "preflight"])  # preflight tells people about all roles' variables
def test_a_role_reads_only_its_own_variables(role):
    foreign = {name for other in ROLES if other != role for name in options(other)} | {fact for fact in FACTS if not fact.startswith(f"{role}_")}
    for path in (ROOT / "roles" / role).rglob("*"):
        if path.parent.name in ("tasks", "vars", "defaults", "templates"):
            read = set(re.findall(r"(?<![\w.'/-])[a-z]\w+(?!\w*:)", path.read_text()))
            assert not read & foreign, path.relative_to(ROOT)


def exported(tasks: list) -> set[str]:
    """Names that tasks export by set_fact; those that begin with an underscore are the role's own business."""
    found: set[str] = set()
    for task in tasks:
        found |= {name for name in task.get("ansible.builtin.set_fact", {}) if not name.startswith("_")}
        found |= exported(task.get("block", []))
    return found


def test_exported_facts_are_known_to_the_preflight():
    facts = {fact for path in (ROOT / "roles").glob("*/tasks/*.yml") for fact in exported(yaml.safe_load(path.read_text()))}
    facts |= {name for path in (ROOT / "roles").glob("*/vars/*.yml") for name in yaml.safe_load(path.read_text()) if not name.startswith("_")}
    assert facts == FACTS


@pytest.mark.parametrize("fact", sorted(FACTS))
def test_each_fact_is_in_the_readme_of_its_role(fact):
    assert f"`{fact}`" in (ROOT / "roles" / fact.partition("_")[0] / "README.md").read_text()


def site_layers() -> dict[str, set[str]]:
    """The roles of the site playbook, each with the tags that have it do its work."""
    (play,) = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
    tags: dict[str, set[str]] = {}
    for role in play["roles"]:
        tags.setdefault(role["role"].rpartition(".")[2], set()).update(role["tags"])
    return tags


@pytest.mark.parametrize("layer", sorted(site_layers().keys() - {"preflight", "verify"}))  # these two make nothing
def test_a_report_says_who_is_affected_by_a_layer_and_which_tag_repairs_it(layer):
    report = Change(layer, "kind", "name", "changed").as_data("demo")
    assert report["affects"]
    assert report["repair"].rpartition(" ")[2] in site_layers()[layer]


def test_a_nat_instance_that_boots_before_its_route_becomes_one(tmp_path):
    (task,) = [each for each in yaml.safe_load((ROOT / "roles/network/tasks/nat_instance.yml").read_text()) if each["name"] == "NAT instance"]
    script = task["threetier.aws.vpc_nat_instance"]["user_data"].replace("/etc/", f"{tmp_path}/")
    for directory in ("bin", "sysctl.d", "sysconfig"):
        (tmp_path / directory).mkdir()
    # What the script calls only notes that it was called; the first two times, dnf reaches nobody.
    stub = '#!/bin/bash\necho "${0##*/} $@" >> calls\n[ ${0##*/} != dnf ] || [ $(grep -c ^dnf calls) -gt 2 ]\n'
    for command in ("dnf", "systemctl", "sysctl", "ip", "iptables", "iptables-save", "sleep"):
        (tmp_path / "bin" / command).write_text(stub)
        (tmp_path / "bin" / command).chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env={"PATH": path}, check=True, timeout=10)
    assert "MASQUERADE" in (tmp_path / "calls").read_text()


def test_module_defaults_reach_every_module_that_talks_to_aws():
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if "AnsibleAWSModule" in path.read_text()}
    assert modules == set(yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]["aws"])

