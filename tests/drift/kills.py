"""A run that is killed after one of its writes, and whether the next one leaves what an undisturbed run does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from commands import TIMEOUT, writes
from runs import WRITES_OF_THE_PAGE, Account, Run
from support import ROOT

# What AWS chooses: ids, the random ends of names and ARNs, addresses that the emulator gives.
GENERATED = re.compile(r"\b(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{8,})\b|\b\d+\.\d+\.\d+\.\d+(?::\d+)?\b(?!/)")

# How long the network interface of a task may outlive it.
INTERFACE_SECONDS = 60


@dataclass(frozen=True)
class Undisturbed:
    """What a run makes of an empty account when nobody disturbs it."""

    writes: list[str]
    made: Counter[str]

    @classmethod
    def of(cls, account: Account) -> Undisturbed:
        sent = account.deploy().writes
        while sent[-1] in WRITES_OF_THE_PAGE:
            sent.pop()
        return cls(sent, made(account))


@dataclass
class Verdict:
    """One kill point: the write after which the run was killed, and where the promise was broken, in words."""

    point: int
    operation: str
    promised: list[str] = field(default_factory=list)
    converged: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        return [*self.promised, *self.converged, *self.doubled, *self.unchanged]


def judged(account: Account, point: int, undisturbed: Undisturbed, previewed: bool = True) -> Verdict:
    """Kill the run on an empty account after that write, and repair it as a person would: look, run again, and once more."""
    verdict = Verdict(point, killed_after(account, point))
    preview = account.site("--check", "--diff") if previewed else None
    if preview:
        verdict.promised += [*failure("the preview", preview), *(f"the preview wrote {operation}" for operation in preview.writes)]
    repair = account.site()
    verdict.converged += failure("the next run", repair)
    if preview and not verdict.broken:
        verdict.promised += [
            f"the preview said {preview.resources.get(key, 'nothing')} of {' '.join(key)}, the run {repair.resources.get(key, 'nothing')}"
            for key in sorted(preview.resources.keys() | repair.resources.keys())
            if preview.resources.get(key) != repair.resources.get(key)
        ]
    there, surplus = settled(account, undisturbed)
    verdict.doubled += [f"too much: {thing}" for thing in surplus.elements()]
    verdict.converged += [f"missing: {thing}" for thing in (undisturbed.made - there).elements()]
    verdict.converged += [f"instead: {thing}" for thing in (there - undisturbed.made).elements() if thing.partition(" (")[0] not in surplus]
    again = account.site()
    verdict.unchanged += failure("the run after that", again)
    verdict.unchanged += [f"changed again: {' '.join(key)}" for key in again.resources]
    sent = Counter(again.writes) - Counter(WRITES_OF_THE_PAGE)
    verdict.unchanged += [f"sent again: {operation}" for operation in sent.elements()]
    if not answers(account):
        verdict.unchanged.append("the page does not answer")
    return verdict


def settled(account: Account, undisturbed: Undisturbed) -> tuple[Counter[str], Counter[str]]:
    """What there is, and what of it is too much, once the interfaces of tasks that ECS has replaced are gone: they outlive them for a while."""
    deadline = time.monotonic() + INTERFACE_SECONDS
    while True:
        there = made(account)
        surplus = heads(there) - heads(undisturbed.made)
        if not surplus or not all(thing.startswith("ec2 network-interface") for thing in surplus) or time.monotonic() > deadline:
            return there, surplus
        time.sleep(1)


def failure(what: str, run: Run) -> list[str]:
    return [f"{what} failed: {run.report['error'] or run.finished}"] if run.finished.status else []


def killed_after(account: Account, point: int) -> str:
    """Deploy, and kill all processes of the run once that write has been carried out; tells its operation."""
    before = len(account.requests())
    account.tell("hold", point)
    with (account.directory / "killed.txt").open("w") as output:
        process = subprocess.Popen(
            ["ansible-playbook", "playbooks/site.yml", "--inventory", "inventories/local"],
            cwd=ROOT,
            env=account.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + TIMEOUT
            while not account.own("hold")["held"]:
                assert process.poll() is None, f"the run ended before write {point}, see {output.name}"
                assert time.monotonic() < deadline, f"the run has not come to write {point}, see {output.name}"
                time.sleep(0.1)
        finally:
            kill_all(account.environment)
            process.wait()
    operation = writes([request for request in account.requests()[before:] if request["service"] != "-"])[-1]
    account.tell("hold", None)
    return operation


def kill_all(environment: dict[str, str]) -> None:
    """Kill every process that was started in that environment. Workers and the warm process have process groups of their own."""
    mark = f"\0TMPDIR={environment['TMPDIR']}\0".encode()
    while running := [process for process in processes() if mark in b"\0" + environment_of(process)]:
        for process in running:
            try:
                os.kill(int(process.name), signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)


def processes() -> Iterator[Path]:
    return (path for path in Path("/proc").iterdir() if path.name.isdigit())


def environment_of(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it has ended, or is not ours
        return b""


def answers(account: Account) -> bool:
    """Whether the page comes up."""
    balancers = account.client("elbv2").describe_load_balancers(Names=["demo-public"])["LoadBalancers"]
    with urlopen(f"http://{balancers[0]['DNSName']}/", timeout=30) as page:
        return page.status == 200


def made(account: Account) -> Counter[str]:
    """All that there is, and how often, without what AWS chooses."""
    return Counter(normalised(text) for text in [*entries(account.inventory()), *parts(account)])


def heads(things: Counter[str]) -> Counter[str]:
    """The same without tags: which is doubled, and which only looks different."""
    return Counter(thing.partition(" (")[0] for thing in things.elements())


def normalised(text: str) -> str:
    return GENERATED.sub("*", text)


def entries(inventory: list[dict[str, Any]]) -> Iterator[str]:
    for entry in inventory:
        tags = " ".join(f"{key}={value}" for key, value in sorted(entry["tags"].items()))
        yield f"{entry['service']} {entry['type']} {entry['name'] or ''} ({tags})"


def parts(account: Account) -> Iterator[str]:
    """What is no resource of its own, or is only still listed, and what a crash might double."""
    ec2, ecs, ecr, iam = (account.client(service) for service in ("ec2", "ecs", "ecr", "iam"))
    for template in ec2.describe_launch_templates()["LaunchTemplates"]:
        for version in ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])["LaunchTemplateVersions"]:
            yield f"version {version['VersionNumber']} of launch template {version['LaunchTemplateName']}"
    for gateway in ec2.describe_nat_gateways()["NatGateways"]:
        yield f"NAT gateway that is {gateway['State']}"
    for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
        yield f"endpoint of {endpoint['ServiceName']} that is {endpoint['State']}"
    for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
        yield f"rule {'out of' if rule['IsEgress'] else 'into'} {rule.get('Description')} {rule['IpProtocol']} {rule.get('FromPort')}"
    for table in ec2.describe_route_tables()["RouteTables"]:
        name = {tag["Key"]: tag["Value"] for tag in table["Tags"]}.get("Name")
        yield from (f"association of route table {name}" for association in table["Associations"] if not association["Main"])
        yield from (f"route of route table {name} to {route.get('DestinationCidrBlock')}" for route in table["Routes"])
    for status in ("ACTIVE", "INACTIVE"):
        for arn in ecs.list_task_definitions(status=status)["taskDefinitionArns"]:
            yield f"{status} task definition {arn.rpartition('/')[2]}"
    for repository in ecr.describe_repositories()["repositories"]:
        images = ecr.list_images(repositoryName=repository["repositoryName"])["imageIds"]
        yield from (f"image {image.get('imageTag')} in {repository['repositoryName']}" for image in images)
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        yield from (f"policy {policy} of role {name}" for policy in iam.list_role_policies(RoleName=name)["PolicyNames"])
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            yield f"policy {policy['PolicyName']} attached to role {name}"
    for item in account.client("dynamodb").scan(TableName="demo-items")["Items"]:
        yield f"item {item['id']['S']}"
    yield from ("key" for _ in account.client("kms").list_keys()["Keys"])
