"""The whole stack: the collection with and without its warm connection, Mitogen and Terraform, one after another on the same emulator.

C(make bench), or C(python -m tests.bench.stack) in the checkout, measures in rounds. In each round every contestant creates its stack on a
fresh emulator, finds nothing to change, and removes it; the order rotates from round to round. Other parts measure a single task, a
fleet, and what an unchanged run is made of. With C(--time-scale) only the creation is measured, against the critical path of AWS's own
times.

It says on stderr what it is doing, and writes docs/performance.md and its plot. Ends with status 1 where something failed or a bar is
missed. Linux only. Nothing is contacted but loopback, except that Mitogen is installed by pip.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import boto3

from tests.bench import report
from tests.support import CREDENTIALS, REGION, ROOT

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
INVENTORY = HERE / "inventory"
STACK = "bench"
PATIENCE_SECONDS = 900  # with a phase, at least
STOP_SECONDS = 60  # that a measured command has to end by itself
TASKS = 50  # of the play that measures one
FLEET = 10
FLEET_REGIONS = (REGION, "eu-west-1", "us-east-1")
# What a first request to each of these would load into the emulator is loaded before anything is measured.
WARMED = {
    "application-autoscaling": ("describe_scalable_targets", {"ServiceNamespace": "ecs"}),
    "autoscaling": ("describe_auto_scaling_groups", {}),
    "cloudwatch": ("describe_alarms", {}),
    "dynamodb": ("list_tables", {}),
    "ec2": ("describe_vpcs", {}),
    "ecr": ("describe_repositories", {}),
    "ecs": ("list_clusters", {}),
    "elbv2": ("describe_load_balancers", {}),
    "iam": ("list_roles", {}),
    "kms": ("list_keys", {}),
    "logs": ("describe_log_groups", {}),
    "resourcegroupstaggingapi": ("get_resources", {}),
    "s3": ("list_buckets", {}),
    "sns": ("list_topics", {}),
    "ssm": ("describe_parameters", {}),
    "sts": ("get_caller_identity", {}),
}
PROVIDER_MIRRORS = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform",
    "/usr/share/terraform",
    "/opt",
    "/srv",
)


class Failed(Exception):
    """A phase that did not end as it should."""


@dataclass(frozen=True)
class Command:
    """A phase: what is run, and which statuses are a success."""

    arguments: list[str | Path]
    successes: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Contestant:
    """Somebody who creates and removes a stack. C(phases) are run in their order; C(directory) is where, C(environment) is added."""

    name: str
    phases: dict[str, Command]
    environment: dict[str, str] = field(default_factory=dict)
    directory: Path = ROOT
    connection: str = ""  # of Ansible
    leaves: tuple[str, ...] = ()  # files that the next round must not find


def say(text: str, end: str = "\n") -> None:
    """Tell who waits."""
    print(text, end=end, file=sys.stderr, flush=True)


@contextmanager
def child(command: list[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is asked to end at the end, and then made to."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Emulator:
    """A running emulator: its URL, and what its request log says since the last look."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log
        self._seen = 0

    def news(self) -> list[dict[str, Any]]:
        """Entries of the log that were not seen before."""
        lines = self._log.read_text().splitlines()
        new, self._seen = lines[self._seen :], len(lines)
        return [json.loads(line) for line in new]

    def resources(self) -> Counter[str]:
        """How many things of each service exist in the account."""
        with urlopen(f"{self.url}/emulator/inventory", timeout=60) as answer:
            return Counter(thing["service"] for thing in json.load(answer))


@contextmanager
def emulator(directory: Path, time_scale: float, regions: tuple[str, ...] = (REGION,)) -> Iterator[Emulator]:
    """A fresh emulator that has loaded what it needs to answer."""
    log = directory / "requests.jsonl"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "emulator", "--port", "0", "--time-scale", str(time_scale), "--request-log", log]
    with (directory / "emulator").open("w") as said, child(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=said) as process:
        assert process.stdout
        line = process.stdout.readline()
        if not line.startswith("ready: "):
            raise Failed(f"the emulator did not start:\n{(directory / 'emulator').read_text()[-2000:]}")
        running = Emulator(line.removeprefix("ready: ").strip(), log)
        credentials = {name.lower(): value for name, value in CREDENTIALS.items()}
        for region in regions:
            for service, (operation, parameters) in WARMED.items():
                client = boto3.client(service, region_name=region, endpoint_url=running.url, **credentials)
                getattr(client, operation)(**parameters)
        running.news()
        yield running


def environment_for(url: str, directory: Path, more: dict[str, str]) -> dict[str, str]:
    """What commands need to work on an emulator, and to leave files in one directory only; Python's own beside its sources, as usual."""
    others = ("AWS_", "ANSIBLE_", "TF_", "PYTHONDONTWRITEBYTECODE")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(others)},
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_HOME": f"{directory}/ansible",
        "ANSIBLE_REMOTE_TMP": f"{directory}/ansible/tmp",
        "TMPDIR": str(directory),
        "NO_COLOR": "1",
        "TF_VAR_endpoint": url,
        **more,
    }


def measured(command: Command, timeout: float, directory: Path, cwd: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run a command; what it cost, and the last that it said. Raises Failed where its status is no success."""
    output, result = directory / "output", directory / "cost.json"
    result.unlink(missing_ok=True)
    words = [
        sys.executable,
        HERE / "measure.py",
        "--timeout",
        str(timeout),
        "--output",
        output,
        "--result",
        result,
        "--",
        *command.arguments,
    ]
    with child(words, cwd=cwd, env=environment) as process:
        process.wait(timeout + 2 * STOP_SECONDS)
    said = output.read_text(errors="replace")
    if not result.exists() or (cost := json.loads(result.read_text()))["status"] not in command.successes:
        reasons = [line.strip() for line in said.splitlines() if re.match(r"\W*(msg:|Error:)", line)]
        raise Failed(f"status {process.returncode}, {reasons[-1] if reasons else 'no reason given'}\n{said[-3000:]}")
    return {**cost, "said": said}


def phase(contestant: Contestant, name: str, running: Emulator, timeout: float, directory: Path) -> dict[str, Any]:
    """Run one phase; its numbers, as the report wants them."""
    environment = environment_for(running.url, directory, contestant.environment)
    running.news()
    cost = measured(contestant.phases[name], timeout, directory, contestant.directory, environment)
    entries = running.news()
    requests = [entry for entry in entries if "operation" in entry]
    steps = [entry for entry in entries if "step" in entry and cost["start"] <= entry["start"] and entry["end"] <= cost["end"]]
    numbers = {
        "seconds": cost["end"] - cost["start"],
        "cpu": cost["cpu"],
        "pss": cost["peak_pss"] / 2**20,
        "rss": cost["peak_rss"] / 2**20,
        "processes": cost["processes"],
        "killed": cost["killed"],
        "load": cost["load"],
        "idle": idle_seconds(cost["waits"], [(request["start"], request["end"]) for request in requests]),
        "requests": len(requests),
        "refused": sum(request["status"] >= 400 for request in requests),
        "writes": sum(request["access"] == "write" for request in requests),
        "services": Counter(request["service"] for request in requests),
        "operations": Counter(f"{request['service']} {request['operation']}" for request in requests),
        "clean": is_clean(contestant.name, cost),
    }
    if steps:
        numbers |= {
            "before_steps": min(step["start"] for step in steps) - cost["start"],
            "after_steps": cost["end"] - max(step["end"] for step in steps),
        }
    return numbers


def idle_seconds(waits: list[tuple[float, float]], requests: list[tuple[float, float]]) -> float:
    """Seconds in which the contestant used no CPU and had no request under way: it slept."""
    return sum(end - start for start, end in waits if not any(begun < end and start < ended for begun, ended in requests))


def is_clean(name: str, cost: dict[str, Any]) -> bool:
    """Whether a run found nothing to change."""
    if name == "terraform":
        return "No changes." in cost["said"]
    recaps = [line for line in cost["said"].splitlines() if "changed=" in line and "unreachable=" in line]
    return bool(recaps) and all("changed=0 " in line for line in recaps)


# Contestants


def ansible(name: str, connection: str, environment: dict[str, str] | None = None, inventory: Path = INVENTORY, *more: str) -> Contestant:
    """The collection's own playbooks, with a connection."""

    def playbook(file: str, *arguments: str) -> Command:
        return Command(
            [
                BIN / "ansible-playbook", f"playbooks/{file}", "--inventory", inventory,
                "--extra-vars", f"ansible_connection={connection}", *more, *arguments,
            ]
        )  # fmt: skip

    phases = {
        "create": playbook("site.yml"),
        "no change": playbook("site.yml"),
        "no change, not verified": playbook("site.yml", "--skip-tags", "verify"),
        "preview": playbook("site.yml", "--check", "--diff"),
        "removal": playbook("teardown.yml", "--extra-vars", json.dumps({"teardown_confirm": "{{ inventory_hostname }}"})),
    }
    if name != "warm":  # that these have a preview, too, is nothing new, and they take minutes
        phases = {phase: phases[phase] for phase in ("create", "no change", "removal")}
    return Contestant(
        name,
        phases,
        environment or {},
        connection=connection,
    )


def mitogen(directory: Path) -> Contestant | str:
    """The playbooks under Mitogen's strategy, or why that cannot be."""
    core, target = version("ansible-core"), directory / "mitogen"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", target]
    installed = subprocess.run([*pip, "-r", HERE / "requirements.txt"], capture_output=True, text=True, timeout=300)
    if installed.returncode:
        return f"not installable: {installed.stderr.strip().splitlines()[-1]}"
    environment = {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(target / "ansible_mitogen/plugins/strategy"),
        "PYTHONPATH": str(target),
    }
    # Its own check of the version of ansible-core runs when it is imported, and it breaks where it does not know a newer one: so try it.
    command = [
        BIN / "ansible",
        "localhost",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-m",
        "ansible.builtin.ping",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
    ]
    tried = subprocess.run(command, cwd=ROOT, env=environment_for("", directory, environment), capture_output=True, text=True, timeout=120)
    if tried.returncode:
        return f"not installable for ansible-core {core}: {(tried.stderr or tried.stdout).strip().splitlines()[0]}"
    return ansible("mitogen", "local", environment)


def provider_mirror() -> Path | None:
    """The directory with HOST/hashicorp/aws in it: TF_PLUGIN_MIRROR, or one of the usual places."""
    if given := os.environ.get("TF_PLUGIN_MIRROR"):
        return Path(given).expanduser().resolve()
    for root in PROVIDER_MIRRORS:
        for pattern in ("*.*/hashicorp/aws", "*/*.*/hashicorp/aws", "*/*/*.*/hashicorp/aws"):
            for found in sorted(Path(root).expanduser().glob(pattern)):
                return found.parents[2]
    return None


def terraform(directory: Path, *, steady: bool) -> Contestant | str:
    """The same stack as plain resources, or why that cannot be. C(steady) makes it wait for its services as the collection does."""
    program, mirror = shutil.which("terraform"), provider_mirror()
    if not program:
        return "no `terraform` on PATH"
    if not mirror:
        return (
            f"no filesystem mirror of the provider hashicorp/aws: set TF_PLUGIN_MIRROR to one (looked into {', '.join(PROVIDER_MIRRORS)})"
        )
    work = directory / "terraform"
    work.mkdir()
    shutil.copy(HERE / "terraform" / "main.tf", work)
    settings = directory / "terraform.tfrc"
    settings.write_text(
        f"provider_installation {{\n  filesystem_mirror {{\n    path = {json.dumps(str(mirror))}\n  }}\n}}\ndisable_checkpoint = true\n"
    )
    environment = {
        "TF_CLI_CONFIG_FILE": str(settings),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "TF_VAR_region": REGION,
        "TF_VAR_wait_for_steady_state": json.dumps(steady),
    }
    init = subprocess.run(
        [program, "init", "-input=false", "-no-color"], cwd=work, env=environment_for("", directory, environment),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if init.returncode:
        return f"`terraform init` failed: {' '.join(init.stderr.split())[-300:]}"
    common = ["-input=false", "-no-color"]
    return Contestant(
        "terraform",
        {
            "create": Command([program, "apply", "-auto-approve", *common]),
            "no change": Command([program, "plan", "-detailed-exitcode", *common], (0, 2)),
            "apply again": Command([program, "apply", "-auto-approve", *common]),
            "removal": Command([program, "destroy", "-auto-approve", *common]),
        },
        environment,
        work,
        leaves=("terraform.tfstate", "terraform.tfstate.backup"),
    )


def contestants(names: list[str], directory: Path, time_scale: float) -> tuple[list[Contestant], dict[str, str]]:
    """Those that can be measured here, and why the others cannot."""
    able: list[Contestant] = []
    unable: dict[str, str] = {}
    for name in names:
        if name == "mitogen":
            made = mitogen(directory)
        elif name == "terraform":
            made = terraform(directory, steady=time_scale > 0)
        else:
            made = ansible(name, "threetier.aws.warm" if name == "warm" else "local")
        if isinstance(made, str):
            say(f"{name}: {made}")
            unable[name] = made
        else:
            able.append(made)
    return able, unable


# Parts


def rotated(those: list[Contestant], number: int) -> list[Contestant]:
    """Another one first in each round."""
    turn = number % len(those)
    return those[turn:] + those[:turn]


def one_round(contestant: Contestant, phases: list[str], options: argparse.Namespace, directory: Path, **emulated: Any) -> dict[str, Any]:
    """One contestant on a fresh emulator: its phases, how much it made, how much it left, and why it failed if it did."""
    found: dict[str, Any] = {"phases": {}}
    name = "start"
    for leaving in contestant.leaves:
        (contestant.directory / leaving).unlink(missing_ok=True)
    try:
        with emulator(directory, options.time_scale, **emulated) as running:
            for name in (one for one in contestant.phases if one in phases):
                say(f"  {contestant.name}, {name} (load {os.getloadavg()[0]:.1f}) ...", end=" ")
                numbers = phase(contestant, name, running, options.timeout, directory)
                found["phases"][name] = numbers
                say(f"{numbers['seconds']:.1f} s, {numbers['requests']} requests, {numbers['pss']:.0f} MB")
                if name == "create":
                    found["resources"] = running.resources()
                elif name == "removal":
                    found["left"] = running.resources()
                elif not numbers["clean"]:
                    say(f"    {contestant.name}, {name}: found something to change")
    except (Failed, OSError, subprocess.TimeoutExpired) as error:
        found["failed"] = f"{name}: {error}"
        say(f"failed: {error}")
    return found


def measure_stack(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Every contestant in every round."""
    able, unable = contestants(options.contestants, directory, options.time_scale)
    phases = (
        ["create", "removal"]
        if options.time_scale
        else ["create", "no change", "no change, not verified", "preview", "apply again", "removal"]
    )
    rounds = []
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        rounds.append({one.name: one_round(one, phases, options, directory) for one in rotated(able, number)})
    return {"rounds": rounds, "unable": unable}


def play_seconds(one: Contestant, task: dict[str, Any], times: int, running: Emulator, timeout: float, directory: Path) -> float:
    """How long a play takes in which a task stands so many times."""
    playbook = directory / "tasks.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task] * times}]))
    variable = f"ansible_connection={one.connection}"
    command = Command([BIN / "ansible-playbook", playbook, "--inventory", INVENTORY, "--extra-vars", variable])
    cost = measured(command, timeout, directory, ROOT, environment_for(running.url, directory, one.environment))
    return cost["end"] - cost["start"]


def measure_tasks(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Seconds of one task more in a play, for each way to run modules."""
    able, unable = contestants([name for name in options.contestants if name != "terraform"], directory, options.time_scale)
    modules = {"ping": {"ansible.builtin.ping": {}}, "describe": {"amazon.aws.ec2_vpc_net_info": {"region": REGION}}}
    rounds = []
    with emulator(directory, 0) as running:
        for number in range(options.rounds):
            found: dict[str, dict[str, float]] = {}
            for one in rotated(able, number):
                say(f"tasks, round {number + 1} of {options.rounds}: {one.name} ...", end=" ")
                found[one.name] = {}
                for name, task in modules.items():
                    seconds = []
                    for count in (1, TASKS + 1):
                        seconds.append(play_seconds(one, task, count, running, options.timeout, directory))
                    found[one.name][name] = (seconds[1] - seconds[0]) / TASKS
                say(", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in found[one.name].items()))
            rounds.append(found)
    return {"rounds": rounds, "unable": unable, "tasks": TASKS}


def measure_fleet(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """So many stacks in one run, and one."""
    hosts = json.loads(subprocess.run(
        [BIN / "ansible-inventory", "--inventory", INVENTORY, "--host", STACK], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout)  # fmt: skip
    sizes = []
    for size in (1, FLEET):
        inventory = directory / f"fleet-{size}.json"
        stacks = {
            f"{STACK}-{number:02}": {**hosts, "preflight_region": FLEET_REGIONS[number % len(FLEET_REGIONS)]} for number in range(size)
        }
        inventory.write_text(json.dumps({"all": {"hosts": stacks}}))
        sizes.append(ansible(str(size), "threetier.aws.warm", None, inventory, "--forks", str(FLEET)))
    rounds = []
    for number in range(options.rounds):
        say(f"fleet, round {number + 1} of {options.rounds}")
        phases = ["create", "no change", "removal"]
        rounds.append({one.name: one_round(one, phases, options, directory, regions=FLEET_REGIONS) for one in rotated(sizes, number)})
    return {"rounds": rounds, "size": FLEET, "regions": len(FLEET_REGIONS)}


def measure_profile(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Whose CPU time an unchanged run takes, and what Ansible takes for as many tasks that do nothing."""
    ours = ansible("warm", "threetier.aws.warm")
    account = directory / "account"
    rounds = []
    with emulator(directory, 0) as running:
        say("profile: create ...")
        phase(ours, "create", running, options.timeout, directory)
        for number in range(options.rounds):
            account.unlink(missing_ok=True)
            accounted = {"PYTHONPATH": str(HERE / "accounting"), "BENCH_ACCOUNTING": str(account)}
            environment = environment_for(running.url, directory, accounted)
            cost = measured(ours.phases["no change"], options.timeout, directory, ROOT, environment)
            count = int(re.findall(r"ok=(\d+)", cost["said"])[-1])
            found = {"cpu": cost["cpu"], "shares": shares(account.read_text()), "seconds": {"site.yml": cost["end"] - cost["start"]}}
            for name, task, times in (
                ("nothing", {}, 0),
                ("set_fact", {"ansible.builtin.set_fact": {"a": 1}}, count),
                ("ping", {"ansible.builtin.ping": {}}, count),
            ):
                found["seconds"][name] = play_seconds(ours, task, times, running, options.timeout, directory)
            said = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["seconds"].items())
            say(f"profile, round {number + 1} of {options.rounds}: {said}")
            rounds.append({"warm": {**found, "tasks": count}})
    return {"rounds": rounds}


def shares(account: str) -> dict[str, tuple[int, float]]:
    """Processes and CPU seconds by what they did, from the lines that C(accounting/sitecustomize.py) wrote."""
    # A process that runs what is registered for its exit, and then leaves, says it twice; the later one counts.
    lines = {pid: (int(pid), int(parent), program, float(cpu)) for pid, parent, program, cpu in map(str.split, account.splitlines())}
    processes = [*lines.values()]
    # Whoever has the most children is the controller among Ansible's processes, and the warm process among the others.
    root = {
        program: Counter(parent for _, parent, whose, _ in processes if whose == program).most_common(1)[0][0]
        for program in ("ansible", "warm")
    }
    found: dict[str, list[float]] = {"controller": [], "packing": [], "workers": [], "warm": [], "modules": []}
    for pid, parent, program, cpu in processes:
        if program == "ansible":
            kind = "controller" if pid == root["ansible"] else "workers" if parent == root["ansible"] else "packing"
        else:
            kind = "modules" if parent == root["warm"] else "warm"
        found[kind].append(cpu)
    return {kind: (len(each), sum(each)) for kind, each in found.items()}


def machine() -> dict[str, Any]:
    """What was measured on, and with."""
    processor = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    listed = subprocess.run(
        [BIN / "ansible-galaxy", "collection", "list", "amazon.aws", "--format", "json"], cwd=ROOT, capture_output=True, text=True
    )
    collections = [found["amazon.aws"]["version"] for found in json.loads(listed.stdout or "{}").values() if "amazon.aws" in found]
    versions = {
        "Python": platform.python_version(),
        "ansible-core": version("ansible-core"),
        "amazon.aws": (collections or ["?"])[0],
        "boto3": version("boto3"),
        "moto": version("moto"),
    }
    if program := shutil.which("terraform"):
        versions["Terraform"] = json.loads(subprocess.run([program, "version", "-json"], capture_output=True, text=True).stdout)[
            "terraform_version"
        ]
        if mirror := provider_mirror():
            found = sorted(
                {
                    path.name.split("_")[2] if path.suffix == ".zip" else path.name
                    for path in mirror.glob("*.*/hashicorp/aws/*")
                    if path.suffix != ".json"
                }
            )
            versions["AWS provider"] = ", ".join(found)
    versions["Mitogen"] = (HERE / "requirements.txt").read_text().split("==")[1].strip()
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "system": f"{platform.system()} {platform.release()}",
        "versions": versions,
    }


PARTS = {"stack": measure_stack, "tasks": measure_tasks, "fleet": measure_fleet, "profile": measure_profile}
CONTESTANTS = ["warm", "local", "mitogen", "terraform"]


def main() -> int:
    """Measure, write, judge."""
    parser = argparse.ArgumentParser(
        prog="stack", description="The whole stack, against Terraform and other ways to run Ansible's modules."
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the medians count (default: %(default)s)")
    parser.add_argument(
        "--time-scale", type=float, default=0, help="of the emulator: 0 no waiting, 1 the times of AWS (default: %(default)s)"
    )
    parser.add_argument(
        "--contestants",
        type=lambda text: text.split(","),
        default=CONTESTANTS,
        help="some of these (default: all): " + ",".join(CONTESTANTS),
    )
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), help="some of these (default: all; with a time scale, stack): " + ",".join(PARTS)
    )
    parser.add_argument("--timeout", type=float, default=PATIENCE_SECONDS, help="seconds for one phase (default: %(default)s)")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs" / "performance.md", help="the page to write into (default: docs/performance.md)"
    )
    parser.add_argument("--raw", type=Path, metavar="FILE", help="also write all that was measured to this file, as JSON")
    parser.add_argument("--render", type=Path, metavar="FILE", help="measure nothing: write the page from such a file")
    options = parser.parse_args()
    options.parts = options.parts or (["stack"] if options.time_scale else list(PARTS))
    if options.rounds < 1 or options.time_scale < 0 or set(options.contestants) - set(CONTESTANTS) or set(options.parts) - set(PARTS):
        parser.error("--rounds must be 1 or more, --time-scale 0 or more, --contestants and --parts of those that are listed")
    if options.render:
        results = json.loads(options.render.read_text())
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that what runs is stopped
        began = time.monotonic()
        with TemporaryDirectory(prefix="bench-") as name:
            results = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "time_scale": options.time_scale, "machine": machine(), "parts": {}}
            for part in options.parts:
                directory = Path(name) / part
                directory.mkdir()
                results["parts"][part] = PARTS[part](options, directory)
                if options.raw:
                    options.raw.write_text(json.dumps(results, indent=1))
        say(f"measured in {(time.monotonic() - began) / 60:.0f} min")
    judged = report.write(results, options.page)
    for bar in judged:
        print(bar)
    failures = report.failures(results)
    print("\n".join(failures))
    return 1 if failures or any(not bar.met for bar in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
