"""What each variable of the inventory decides: a new value of it, and what a preview must name and a run must do because of it.

The variables that do not touch each other are changed together, in batches. A batch is a preview, a run and a run after: the preview must
name what is expected here and nothing else, the run must do exactly that, and the run after must find nothing to do.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import yaml
from runs import WRITES_OF_THE_PAGE, Account, Run
from support import ROOT

VERBS = CREATE, DELETE, REPLACE = "create", "delete", "replace"


class Line(NamedTuple):
    """One thing that happens: to a resource (`what` is one of the verbs), or to a field of one (its path). With * in it, a pattern."""

    layer: str
    kind: str
    name: str
    what: str

    def covers(self, other: Line) -> bool:
        return all(fnmatchcase(value, pattern) for value, pattern in zip(other, self, strict=True))

    def __str__(self) -> str:
        return f"{self.layer}: {self.kind} {self.name}: {self.what}"


def lines(run: Run) -> set[Line]:
    """A run's report in these words. A replaced resource is named by its fields, too."""
    found = set()
    for each in run.report["changes"]:
        resource = each["layer"], each["kind"], each["name"]
        if each["action"] in VERBS:
            found.add(Line(*resource, each["action"]))
        if each["action"] not in (CREATE, DELETE):
            found |= {Line(*resource, changed["field"]) for changed in each["fields"]}
    return found


@dataclass(frozen=True, eq=False)
class Try:
    """A new value of a variable. A setting within one, such as `service_web.cpu`, counts as a variable.

    `changes` is what this variable alone decides, each of which must be found; `with_it`, what may happen because of that.
    `needs` are values of others without which it decides nothing. `refused` is a part of the message, where AWS cannot change it.
    """

    variable: str
    value: Any
    changes: tuple[Line, ...] = ()
    with_it: tuple[Line, ...] = ()
    needs: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False  # it changes much, or AWS takes long over it
    refused: str = ""

    @property
    def written(self) -> str:
        if isinstance(self.value, str):
            return self.value
        return yaml.safe_dump(self.value, default_flow_style=True, width=1000).removesuffix("...\n").strip()

    def touches(self, other: Try) -> bool:
        """Whether nobody could tell, with both changed at once, which of them did what."""
        shared = self.needs.keys() & other.needs.keys()
        return (
            self.variable == other.variable
            or self.variable in other.needs
            or other.variable in self.needs
            or any(self.needs[name] != other.needs[name] for name in shared)
            or any(mine.covers(theirs) or theirs.covers(mine) for mine in self.changes for theirs in other.changes)
        )


@dataclass(frozen=True)
class Fixed:
    """A variable of which no other value is tried, and why."""

    variable: str
    why: str


# Words that many of the lines below have in common.

def tiers(layer: str, kind: str, name: str, what: str) -> tuple[Line, ...]:
    """The same line for both tiers; `{}` in the name is the tier."""
    return tuple(Line(layer, kind, name.format(tier), what) for tier in ("web", "api"))


def definition(tier: str, what: str) -> Line:
    return Line("service", "ecs_task_definition", f"demo-{tier}", what)


def service(tier: str, what: str) -> Line:
    return Line("service", "ecs_service", tier, what)


def scaling(tier: str, what: str) -> Line:
    return Line("scaling", "application_autoscaling", f"service/demo/{tier}", what)


def capacity(kind: str, what: str) -> Line:
    return Line("database", "application_autoscaling", f"table/demo-items {kind}", what)


def revised(tier: str) -> tuple[Line, ...]:
    """A task definition that is other than before is a new revision, and the service takes it."""
    return (*(definition(tier, what) for what in ("revision", "tag threetier:definition", "tags*")), service(tier, "taskDefinition"))


TABLE = ("database", "dynamodb_table", "demo-items")
GROUP = ("cluster", "auto_scaling_group", "demo-instances")
TEMPLATE = ("cluster", "launch_template", "demo-instances")
PROVIDER = ("cluster", "ecs_capacity_provider", "demo-instances")
GATEWAYS = ("network", "vpc_nat_gateways")
NAT_ALARM = ("alarms", "cloudwatch_alarm_set", "demo-nat-port-allocation-errors")
DASHBOARD = Line("alarms", "cloudwatch_dashboard", "demo-*", "*")
PROVISIONED = {"database_billing_mode": "PROVISIONED"}
BALANCERS = tuple(("balancer", "application_load_balancers", f"demo-{name}") for name in ("public", "internal"))

FLOW_LOG = (
    ("network", "vpc_flow_log", "demo"),
    ("network", "iam_roles", "demo-flow-logs"),
)
ENDPOINTS = tuple(f"demo-{name}" for name in ("ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "logs"))

INVENTORY = yaml.safe_load((ROOT / "inventories" / "local" / "hosts.yml").read_text())["all"]["hosts"]["demo"]
SEEDS = [
    *INVENTORY["database_seed_items"],
    {"id": "0000000000003000-00000003", "text": "One more"},
]
# Made by prepare() as somebody's own.
KEY = "alias/of-somebody"

NETWORK = (
    Try("network_cidr", "10.1.0.0/16", refused="has the block 10.0.0.0/16, and AWS cannot change it to 10.1.0.0/16"),
    # One gateway in place of three: what nothing leads to any more goes, or it would be paid for.
    Try(
        "network_egress",
        "nat_gateway",
        (
            *(Line("routes", "vpc_route_tables", f"demo-private-{zone}", "route 0.0.0.0/0") for zone in "bc"),
            *(Line("routes", "vpc_nat_gateways", f"demo-{zone}", DELETE) for zone in "bc"),
            Line(*NAT_ALARM, "metrics*"),
        ),
        (DASHBOARD,),
        alone=True,
    ),
    Try(
        "network_egress",
        "none",
        (
            *(Line("routes", "vpc_route_tables", f"demo-private-{zone}", "route 0.0.0.0/0") for zone in "abc"),
            *(Line("routes", "vpc_endpoints", name, CREATE) for name in ENDPOINTS),
            Line("routes", "security_groups", "demo-endpoints", CREATE),
            Line("routes", "vpc_nat_gateways", "demo-a", DELETE),
            Line(*NAT_ALARM, DELETE),
        ),
        (DASHBOARD,),
        alone=True,
    ),
    Try(
        "network_egress",
        "nat_instance",
        (
            Line("network", "security_groups", "demo-nat", CREATE),
            Line("network", "vpc_nat_instance", "demo-nat", CREATE),
            *(Line("routes", "vpc_route_tables", f"demo-private-{zone}", "route 0.0.0.0/0") for zone in "abc"),
            *(Line("routes", "vpc_endpoints", name, DELETE) for name in ENDPOINTS),
            Line("routes", "security_groups", "demo-endpoints", DELETE),
        ),
        (DASHBOARD,),
        alone=True,
    ),
    Try(
        "network_nat_instance_type",
        "t3.small",
        (Line("network", "vpc_nat_instance", "demo-nat", "instance_type"),),
        needs={"network_egress": "nat_instance"},
        alone=True,
    ),
    Try(
        "network_egress",
        "nat_gateway_per_az",
        (
            *(Line(*GATEWAYS, f"demo-{zone}", CREATE) for zone in "abc"),
            *(Line("routes", "vpc_route_tables", f"demo-private-{zone}", "route 0.0.0.0/0") for zone in "abc"),
            Line(*NAT_ALARM, CREATE),
            Line("routes", "vpc_nat_instance", "demo-nat", DELETE),
            Line("routes", "security_groups", "demo-nat", DELETE),
        ),
        (DASHBOARD,),
        alone=True,
    ),
    # The zone's subnets and route table stay: they cost nothing and lead nowhere, and are taken again.
    Try(
        "network_az_count",
        2,
        (
            *(Line(*balancer, "Subnets") for balancer in BALANCERS),
            *(Line("balancer", "security_groups", f"demo-{name}", "egress*") for name in ("public-alb", "web", "internal-alb")),
            Line(*GROUP, "VPCZoneIdentifier"),
            *(Line("routes", "vpc_endpoints", f"demo-{name}", "route_table_ids") for name in ("dynamodb", "s3")),
            Line("routes", "vpc_nat_gateways", "demo-c", DELETE),
            *(service(tier, "networkConfiguration.subnets") for tier in ("web", "api")),
            Line(*NAT_ALARM, "metrics*"),
        ),
        (Line("routes", "vpc_route_tables", "demo-public", "subnet *"), DASHBOARD),
        alone=True,
    ),
    Try(
        "network_az_count",
        3,
        (
            *(Line(*balancer, "Subnets") for balancer in BALANCERS),
            *(Line("balancer", "security_groups", f"demo-{name}", "egress*") for name in ("public-alb", "web", "internal-alb")),
            Line(*GROUP, "VPCZoneIdentifier"),
            *(Line("routes", "vpc_endpoints", f"demo-{name}", "route_table_ids") for name in ("dynamodb", "s3")),
            Line(*GATEWAYS, "demo-c", CREATE),
            *(service(tier, "networkConfiguration.subnets") for tier in ("web", "api")),
            Line(*NAT_ALARM, "metrics*"),
        ),
        (
            Line("routes", "vpc_route_tables", "demo-public", "subnet *"),
            Line("routes", "vpc_route_tables", "demo-private-c", "route 0.0.0.0/0"),
            DASHBOARD,
        ),
        alone=True,
    ),
    Try("network_flow_log_retention_days", 30, (Line("network", "log_groups", "/threetier/demo/flow-logs", "retention_in_days"),)),
    # What was logged stays until it expires.
    Try("network_flow_logs", False, tuple(Line(*resource, DELETE) for resource in FLOW_LOG), alone=True),
    Try("network_flow_logs", True, tuple(Line(*resource, CREATE) for resource in FLOW_LOG), alone=True),
)

BALANCER = (
    Try("balancer_web_port", 8081, refused="target group 'demo-web' has Port 8080, not 8081, and AWS cannot change that"),
    Try("balancer_api_port", 8082, refused="target group 'demo-api' has Port 8080, not 8082, and AWS cannot change that"),
    Try("balancer_allowed_cidrs", ["127.0.0.0/8", "203.0.113.0/24"], (Line("balancer", "security_groups", "demo-public-alb", "ingress*"),)),
    Try("balancer_health_check_path", "/healthz?by=balancer", tiers("balancer", "target_groups", "demo-{}", "HealthCheckPath")),
    Try("balancer_health_check_interval", 15, tiers("balancer", "target_groups", "demo-{}", "HealthCheckIntervalSeconds")),
    Try("balancer_deregistration_delay", 20, tiers("balancer", "target_groups", "demo-{}", "deregistration_delay.timeout_seconds")),
    *(
        Try(
            "balancer_deletion_protection",
            value,
            tuple(Line(*balancer, "deletion_protection.enabled") for balancer in BALANCERS),
        )
        for value in (True, False)
    ),
    Try(
        "balancer_access_log_days",
        60,
        (Line("balancer", "s3_bucket", "demo-logs-*", "lifecycle_rules.expire.Expiration.Days"),),
        needs={"balancer_access_logs": True},
    ),
    # The bucket stays, and what is in it until it expires.
    *(
        Try(
            "balancer_access_logs",
            value,
            tuple(Line(*balancer, "access_logs.s3.enabled") for balancer in BALANCERS),
            tuple(Line(*balancer, "access_logs.s3.*") for balancer in BALANCERS),
        )
        for value in (False, True)
    ),
)

DATABASE = (
    Try(
        "database_billing_mode",
        "PROVISIONED",
        (Line(*TABLE, "billing_mode"), *(capacity(kind, CREATE) for kind in ("Read", "Write"))),
        (Line(*TABLE, "*_capacity"),),
    ),
    *(
        Try(
            f"database_{kind.lower()}_capacity_min",
            2,
            (capacity(kind, "MinCapacity"),),
            (Line(*TABLE, f"{kind.lower()}_capacity"),),
            PROVISIONED,
        )
        for kind in ("Read", "Write")
    ),
    *(
        Try(f"database_{kind.lower()}_capacity_max", 20, (capacity(kind, "MaxCapacity"),), (), PROVISIONED) for kind in ("Read", "Write")
    ),
    Try(
        "database_capacity_target_percent",
        60,
        tuple(capacity(kind, f"policy demo-items-{kind.lower()}.TargetValue") for kind in ("Read", "Write")),
        (),
        PROVISIONED,
    ),
    # Scaling of a table that is paid by request would go on, alarms and all.
    Try(
        "database_billing_mode",
        "PAY_PER_REQUEST",
        (Line(*TABLE, "billing_mode"), *(capacity(kind, DELETE) for kind in ("Read", "Write"))),
    ),
    *(
        Try("database_point_in_time_recovery", value, (Line(*TABLE, "point_in_time_recovery"),), (Line(*TABLE, "recovery_period_in_days"),))
        for value in (False, True)
    ),
    *(Try("database_deletion_protection", value, (Line(*TABLE, "deletion_protection"),)) for value in (True, False)),
    # DynamoDB uses it in the name of who reads the table.
    *(
        Try(
            "database_kms_key",
            value,
            (
                Line(*TABLE, "server_side_encryption.kms_master_key_arn"),
                Line("identity", "iam_roles", "demo-api-task", "policy table-key*"),
            ),
        )
        for value in (KEY, "")
    ),
    Try("database_seed_items", SEEDS, (Line("database", "dynamodb_items", "*", CREATE),)),
    Fixed("database_table_name", "a name: another one is another table; the old one stays, with its items"),
)

REGISTRY = (
    Try("registry_keep_images", 10, tiers("registry", "ecr_repository", "demo/{}", "lifecycle rule 2.*")),
    Try("registry_images", ["web", "api", "jobs"], (Line("registry", "ecr_repository", "demo/jobs", CREATE),)),
    Fixed("registry_repositories", "names: another one is another repository; the old one stays, with its images"),
)

IDENTITY = (
    Fixed("identity_task_roles", "names: another one is another role; the old one stays"),
    Fixed("identity_execution_roles", "names: another one is another role; the old one stays"),
    Fixed("identity_instance_profile", "a name: another one is another role; the old one stays"),
)

IMAGE = (
    Try(
        "image_references_given",
        {"web": "demo/web:next", "api": "demo/api:local"},
        (definition("web", "containerDefinitions.web.image"),),
        revised("web"),
    ),
    Try("image_platform", "linux/arm64"),
    Try("image_build_args", {"BASE_IMAGE": "python:3.13-slim"}),
    Try("image_context", "/srv/webapp"),
    Fixed("image_builder", "decides nothing in AWS but the images, which need a container engine: tests/unit/test_ecr_image.py"),
    Fixed("image_names", "decides nothing in AWS but the images, which need a container engine: tests/unit/test_ecr_image.py"),
)

CLUSTER = (
    Try("cluster_container_insights", "enhanced", (Line("cluster", "ecs_cluster", "demo", "containerInsights"),)),
    Try(
        "cluster_insights_retention_days",
        30,
        (Line("cluster", "log_groups", "/aws/ecs/containerinsights/demo/performance", "retention_in_days"),),
        needs={"cluster_container_insights": "enhanced"},
    ),
    # The metrics that were logged stay until they expire.
    Try("cluster_container_insights", "disabled", (Line("cluster", "ecs_cluster", "demo", "containerInsights"),)),
    # Of the template: instances that run stay as they are until they are replaced.
    Try("cluster_instance_type", "t3.medium", (Line(*TEMPLATE, "instance_type"),)),
    Try("cluster_volume_gib", 40, (Line(*TEMPLATE, "block_device_mappings./dev/xvda.volume_size"),)),
    Try(
        "cluster_ami_parameter",
        "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id",
        (Line(*TEMPLATE, "image_id"),),
    ),
    Try("cluster_min_instances", 2, (Line(*GROUP, "MinSize"),)),
    Try("cluster_max_instances", 5, (Line(*GROUP, "MaxSize"), Line(*PROVIDER, "managedScaling.maximumScalingStepSize"))),
    Try("cluster_target_capacity", 90, (Line(*PROVIDER, "managedScaling.targetCapacity"),)),
    Fixed("cluster_name", "a name: another one is another cluster; the old one stays, with its services"),
    Fixed("cluster_capacity_provider", "a name: another one is another capacity provider, and AWS lets a group have one"),
)

ALARMS = (
    Try(
        "alarms_subscribers",
        ["oncall@example.com", "https://example.com/hook"],
        (Line("alarms", "sns_topic", "demo-alarms", "subscription https https://example.com/hook"),),
    ),
)


def of_a_tier(tier: str) -> Iterator[Try]:
    """The settings of a tier. Those that Fargate alone has come with it."""
    name = f"service_{tier}"
    fargate = {f"{name}.capacity": "fargate"}
    moved = (
        definition(tier, "requiresCompatibilities*"),
        service(tier, "capacityProviderStrategy*"),
        service(tier, "placementStrategy*"),
    )
    to_instances = Try(f"{name}.capacity", "ec2", moved, revised(tier), {f"{name}.spot": False, f"{name}.architecture": "X86_64"})
    if tier == "api":
        yield Try(f"{name}.capacity", "fargate", moved, revised(tier))
    yield Try(f"{name}.spot", True, (service(tier, "capacityProviderStrategy*"),), needs=fargate)
    yield Try(f"{name}.architecture", "ARM64", (definition(tier, "runtimePlatform.cpuArchitecture"),), revised(tier), fargate)
    yield Try(f"{name}.memory", 1024, (definition(tier, "memory"),), revised(tier))
    yield Try(f"{name}.cpu", 512, (definition(tier, "cpu"),), revised(tier), {f"{name}.memory": 1024})
    yield Try(f"{name}.min", 3, (scaling(tier, "MinCapacity"), service(tier, "desiredCount")))
    yield Try(f"{name}.max", 8, (scaling(tier, "MaxCapacity"),))
    yield Try(f"{name}.cpu_target", 50, (scaling(tier, "policy cpu.TargetValue"),))
    yield Try(f"{name}.memory_target", 70, (scaling(tier, "policy memory.TargetValue"),))
    yield Try(f"{name}.requests_target", 500, (scaling(tier, "policy requests.TargetValue"),))
    yield to_instances


SERVICE = (
    *of_a_tier("web"),
    *of_a_tier("api"),
    Try("service_log_retention_days", 60, tiers("service", "log_groups", "/threetier/demo/{}", "retention_in_days")),
    Try(
        "service_user",
        "10002:10002",
        tuple(definition(tier, f"containerDefinitions.{tier}.user") for tier in ("web", "api")),
        (*revised("web"), *revised("api")),
    ),
)

REVIEWERS = (
    Try(
        "reviewers_users",
        [*INVENTORY["reviewers_users"], {"name": "ann", "expires": "2031-01-01T00:00:00Z"}],
        (Line("reviewers", "iam_users", "demo-ann", CREATE),),
    ),
    Try(
        "reviewers_users",
        [{"name": "ann", "expires": "2032-01-01T00:00:00Z"}],
        (
            Line("reviewers", "iam_users", "demo-reviewer", DELETE),
            Line("reviewers", "iam_users", "demo-ann", "tag expires"),
            Line("reviewers", "iam_users", "demo-ann", "policy read-only-until*"),
        ),
    ),
)

OTHERS = (
    Try("verify_timeout", 800),
    Try("preflight_zones", ["eu-central-1b", "eu-central-1c", "eu-central-1a"], refused="and AWS cannot move a subnet"),
    Fixed("preflight_region", "a place: another one is another stack; the old one stays"),
    Fixed("verify_list", "decides nothing in AWS: the key under which the application keeps its items, which verify looks for"),
    Fixed("diagram_file", "decides nothing in AWS: where `make docs` draws the stack"),
)

# What a variable decides where that is nothing in AWS.
DECIDES = {
    "verify_timeout": "how long the run waits for the services",
    "image_platform": "how images are built, none of which `image_builder: none` builds",
    "image_build_args": "how images are built, none of which `image_builder: none` builds",
    "image_context": "where images are built, none of which `image_builder: none` builds",
}

# What the stack begins with, of what some of the above need.
INITIAL = {
    "network_egress": "nat_gateway_per_az",
    "network_az_count": 3,
    "network_flow_logs": True,
    "balancer_access_logs": True,
    "database_billing_mode": "PAY_PER_REQUEST",
    "cluster_container_insights": "enabled",
    "service_web.capacity": "fargate",
    "service_api.capacity": "ec2",
    **{f"service_{tier}.spot": False for tier in ("web", "api")},
    **{f"service_{tier}.architecture": "X86_64" for tier in ("web", "api")},
    **{f"service_{tier}.memory": 512 for tier in ("web", "api")},
    "reviewers_users": INVENTORY["reviewers_users"],
}



def in_turn(table: Iterable[Try | Fixed]) -> Iterator[Try | Fixed]:
    """A variable's second value comes after its first: without that, it may be the one that the stack has already."""
    earlier: dict[str, Any] = {}
    for each in table:
        if isinstance(each, Try):
            if each.variable in earlier:
                each = replace(each, needs={**each.needs, each.variable: earlier[each.variable]})
            earlier[each.variable] = each.value
        yield each


ALL = tuple(in_turn((*NETWORK, *BALANCER, *DATABASE, *REGISTRY, *IDENTITY, *IMAGE, *CLUSTER, *ALARMS, *SERVICE, *REVIEWERS, *OTHERS)))
TRIES = tuple(each for each in ALL if isinstance(each, Try) and not each.refused)
REFUSED = tuple(each for each in ALL if isinstance(each, Try) and each.refused)


def variables_of_the_roles() -> set[str]:
    """Each variable that an inventory may set: those of the argument specs that no playbook binds, and the settings of a tier.

    The stack's name and whether a layer exists are no configuration of it.
    """
    bound = {
        name
        for book in ("site.yml", "docs.yml")
        for play in yaml.safe_load((ROOT / "playbooks" / book).read_text())
        for role in play["roles"]
        for name in role.get("vars", {})
    }
    found = set()
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for name, option in yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"].items():
            if name in bound or name.endswith(("_state", "_stack")):
                continue
            # a list's options are those of its elements
            found |= {f"{name}.{setting}" for setting in option["options"]} if option["type"] == "dict" and "options" in option else {name}
    return found


def batches(tries: Iterable[Try]) -> list[list[Try]]:
    """Those that do not touch each other together, those of one variable one after the other, those that want to be alone alone."""
    found: list[list[Try]] = []
    for each in sorted(tries, key=lambda each: not each.alone):
        earlier = max((number for number, batch in enumerate(found) if any(other.variable == each.variable for other in batch)), default=-1)
        fitting = (batch for batch in found[earlier + 1 :] if not any(other.alone or each.alone or each.touches(other) for other in batch))
        if (batch := next(fitting, None)) is not None:
            batch.append(each)
        else:
            found.append([each])
    return found


def sample(seed: int, size: int = 12) -> list[Try]:
    """Some that can be changed together, others with each seed."""
    chosen: list[Try] = []
    shuffled = [each for each in TRIES if not each.alone]
    random.Random(seed).shuffle(shuffled)
    for each in shuffled:
        if len(chosen) < size and not any(each.touches(other) for other in chosen):
            chosen.append(each)
    return chosen


def extra_vars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by variable as `-e` takes them: the settings of a tier within one."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        variable, _, setting = name.partition(".")
        if setting:
            found.setdefault(variable, {})[setting] = value
        else:
            found[variable] = value
    return found


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of one new value; empty where it is as it should be."""

    tried: Try
    missing: list[Line]  # what the preview does not name
    undone: list[Line]  # what the run does not do
    again: list[Line]  # what the run after does once more


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a batch: of each of its values, and what is wrong with it as a whole."""

    verdicts: list[Verdict]
    problems: list[str]

    def __str__(self) -> str:
        each = [
            f"{verdict.tried.variable} = {verdict.tried.written}: {what} {line}"
            for verdict in self.verdicts
            for what in ("missing", "undone", "again")
            for line in getattr(verdict, what)
        ]
        return "\n".join([*each, *self.problems])


def prepare(account: Account) -> None:
    """What the values above refer to and a stack does not make."""
    kms = account.client("kms")
    kms.create_alias(AliasName=KEY, TargetKeyId=kms.create_key(Description="Of somebody")["KeyMetadata"]["KeyId"])


def options(account: Account, values: Mapping[str, Any]) -> tuple[str, str]:
    """The options by which a run takes the values."""
    path = account.directory / "values.json"
    path.write_text(json.dumps(extra_vars(values)))
    return "-e", f"@{path}"


def change(account: Account, settled: dict[str, Any], batch: list[Try]) -> Outcome:
    """Change the variables of a batch: preview, run, and run again. `settled` is what the stack runs with before and, then, after it."""
    needs = {name: value for each in batch for name, value in each.needs.items()}
    if any(settled.get(name) != value for name, value in needs.items()):
        settled |= needs
        account.deploy(*options(account, settled))
    settled |= {each.variable: each.value for each in batch}
    arguments = options(account, settled)
    preview, done, after = account.preview(*arguments), account.deploy(*arguments), account.deploy(*arguments)

    foreseen, happened, left = lines(preview), lines(done), lines(after)
    verdicts = [
        Verdict(
            each,
            [pattern for pattern in each.changes if not any(map(pattern.covers, foreseen))],
            [pattern for pattern in each.changes if not any(map(pattern.covers, happened))],
            [line for line in sorted(left) if any(pattern.covers(line) for pattern in each.changes)],
        )
        for each in batch
    ]
    explained = [pattern for each in batch for pattern in (*each.changes, *each.with_it)]
    problems = [
        *(f"nobody asked for {line}" for line in sorted(foreseen) if not any(pattern.covers(line) for pattern in explained)),
        *(f"previewed and not done: {line}" for line in sorted(foreseen - happened)),
        *(f"done and not previewed: {line}" for line in sorted(happened - foreseen)),
        *(f"done again: {line}" for line in sorted(left)),
        *(f"written by the run after: {write}" for write in sorted(set(after.writes) - WRITES_OF_THE_PAGE)),
    ]
    return Outcome(verdicts, problems)


def refuse(account: Account, settled: Mapping[str, Any], tried: Try) -> list[str]:
    """What is wrong with how a value is refused: preview and run must both say why, and write nothing."""
    problems = []
    for what, arguments in (("preview", ("--check", "--diff")), ("run", ())):
        run = account.site(*arguments, *options(account, {**settled, tried.variable: tried.value}))
        if run.finished.status == 0 or tried.refused not in run.report["error"]:
            problems.append(f"the {what} ended with {run.finished.status} and says: {run.report['error']}")
        if run.writes:
            problems.append(f"the {what} wrote {', '.join(sorted(set(run.writes)))}")
    return problems
