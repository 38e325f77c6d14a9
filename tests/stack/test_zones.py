"""The availability zones that the role preflight picks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from commands import Finished, environment_for, run

ROLE = {"role": "threetier.aws.preflight"}
SHOW = {"ansible.builtin.debug": {"msg": "picked {{ preflight_availability_zones | join(' ') }};"}}


def preflight(endpoint: str, directory: Path, **variables: Any) -> Finished:
    (directory / "zones.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": [ROLE], "tasks": [SHOW]}]))
    command = ["ansible-playbook", f"{directory}/zones.yml", "--inventory", "inventories/local", "--extra-vars", json.dumps(variables)]
    return run(command, {**environment_for(endpoint, directory), "AWS_REGION": "eu-central-1"})


def test_the_first_zones_by_name_unless_others_are_named(endpoint: str, tmp_path: Path) -> None:
    for zones, picked in (([], "eu-central-1a eu-central-1b"), (["euc1-az3", "eu-central-1a", "eu-central-1b"], "eu-central-1c eu-central-1a")):
        finished = preflight(endpoint, tmp_path, preflight_zones=zones, preflight_zone_count=2)
        assert re.findall(r"picked (.*);", finished.output) == [picked], str(finished)


def test_a_zone_that_the_region_does_not_have_is_refused(endpoint: str, tmp_path: Path) -> None:
    for others in ([], ["eu-central-1b"]):  # another one does not take its place
        zones = ["eu-central-1a", "eu-central-1z", *others]
        finished = preflight(endpoint, tmp_path, preflight_zones=zones, preflight_zone_count=2)
        said = " ".join(finished.output.split())
        assert "(eu-central-1a, eu-central-1b, eu-central-1c), preflight_zones names 1 that it has, and the stack asks for 2" in said, str(finished)
