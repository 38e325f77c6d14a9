"""The inventory of a fleet: many stacks, wave by wave. Only the layer registry is made: it is quick, and it is what waves are about."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from commands import Finished, environment_for, run
from support import CREDENTIALS

REGIONS = ["eu-central-1", "eu-west-1", "us-east-1"]


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="threetier-") as directory:
        yield Path(directory)


def deploy(endpoint: str, directory: Path, *arguments: str) -> Finished:
    command = ["ansible-playbook", "playbooks/site.yml", "--inventory", "inventories/fleet", "--forks", "10", "--tags", "registry", *arguments]
    return run(command, environment_for(endpoint, directory) | {"ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0"})


def stacks(endpoint: str) -> set[str]:
    """Names of the stacks that have repositories in one of the regions."""
    credentials = {name.lower(): value for name, value in CREDENTIALS.items()}
    clients = [boto3.client("ecr", region_name=region, endpoint_url=endpoint, **credentials) for region in REGIONS]
    names = [repository["repositoryName"] for ecr in clients for repository in ecr.describe_repositories()["repositories"]]
    return {name.partition("/")[0] for name in names if name.startswith("shop-")}


def test_a_stack_that_fails_stops_the_wave_and_is_named(endpoint: str, directory: Path, tmp_path: Path) -> None:
    # The canary and two more; then four, one of which asks for more zones than its region has; the last three are not begun.
    (tmp_path / "broken.yml").write_text("network_az_count: \"{{ 6 if inventory_hostname == 'shop-de-1' else 3 }}\"\n")
    finished = deploy(endpoint, directory, "-e", '{"waves": [1, 2, 4, 3]}', "-e", f"@{tmp_path / 'broken.yml'}")
    assert finished.status != 0
    recap = dict(re.findall(r"^(shop-\S+)\s+: .*?failed=(\d)", finished.output, re.MULTILINE))
    assert {name for name, failed in recap.items() if failed != "0"} == {"shop-de-1"}
    assert "eu-central-1 offers this account 3 availability zones" in finished.output
    assert stacks(endpoint) == {"shop-ie-1", "shop-ie-2", "shop-ie-3"}


def test_ten_stacks_in_three_regions_are_made_side_by_side(endpoint: str, directory: Path) -> None:
    finished = deploy(endpoint, directory)
    assert finished.status == 0, str(finished)
    assert len(stacks(endpoint)) == 10
