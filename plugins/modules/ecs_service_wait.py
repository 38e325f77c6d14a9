#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_service_wait
version_added: 0.1.0
short_description: Wait until ECS services run and take requests, or say why they do not
description:
  - Waits for all given services at once, until the last deployment of each is completed, as many tasks run as should, and the load balancer
    finds as many targets healthy.
  - AWS calls the deployment of a service that watches alarms completed only after these were quiet for as long as they look back. That is
    waited for while an older deployment is there to go back to, and not after a first deployment.
  - Fails as soon as it is clear that a service will not get there, with the reasons of the stopped tasks, the unhealthy targets and
    the last events.
  - Says in the task's output what is still missing, whenever that changes, where the module runs on the controller.
  - No upstream module does this. O(community.aws.ecs_service#module:wait) only waits for a removal, and botocore's waiter
    C(services_stable) knows nothing of target health and takes a rolled back deployment for a success.
author:
  - threetier.aws contributors
options:
  cluster:
    description: Name or ARN of the cluster.
    type: str
    required: true
  services:
    description: Names of the services to wait for.
    type: list
    elements: str
    required: true
  task_definitions:
    description:
      - The revision that each service should end up with, as C(family:revision) or ARN, by the service's name.
      - A deployment that AWS rolled back before this module looked is only noticed for services that are listed here.
    type: dict
    default: {}
  wait_timeout:
    description: Seconds to wait for all services together.
    type: int
    default: 900
  progress_file:
    description:
      - File that always holds what is still missing, in one line. The action plugin of this name sets it, and shows the line.
      - Nothing is written where it is not given.
    type: path
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Returns at once and waits for nothing, because in check mode nothing was started; services need not exist yet.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  idempotent:
    description: Never changes anything.
    support: full
  action:
    description: The module does the work; a part on the controller shows the progress.
    support: partial
seealso:
  - module: threetier.aws.ecs_service
"""

EXAMPLES = r"""
- name: Wait until both tiers take requests
  threetier.aws.ecs_service_wait:
    cluster: demo
    services: [web, api]
    task_definitions:
      web: "{{ web.service.task_definition }}"
      api: "{{ api.service.task_definition }}"
"""

RETURN = r"""
services:
  description: What was waited for, one item a service; empty in check mode. After a failure, what was last seen.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the service.
      type: str
      sample: web
    running:
      description: Tasks that run.
      type: int
      sample: 2
    desired:
      description: Tasks that should run.
      type: int
      sample: 2
    healthy:
      description: Healthy targets, of the target group that has the fewest; null for a service without load balancer.
      type: int
      sample: 2
    seconds:
      description: How long the service was waited for.
      type: int
      sample: 75
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.module_utils.ecs import describe_services
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, client

# How long AWS may go on describing what was before the last change.
STALE_SECONDS = 30
# After this many tasks that failed during the wait nobody expects the next one to work.
HOPELESS_FAILURES = 3
# Reasons for which the first failed task is enough: the image does not exist, or not for this machine.
NO_IMAGE = ("not found", "manifest unknown", "matching platform")
EVENTS = 3


@dataclass
class Observation:
    """What AWS says about one service at one moment."""

    name: str
    service: dict[str, Any] | None
    targets: list[list[dict[str, Any]]] = field(default_factory=list)
    failed_tasks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        return self.service is not None and self.service["status"] == "ACTIVE"

    @property
    def deployment(self) -> dict[str, Any]:
        """The deployment that the others make room for."""
        deployments = self.service.get("deployments", []) if self.service else []
        return next((deployment for deployment in deployments if deployment["status"] == "PRIMARY"), {})

    @property
    def healthy(self) -> int | None:
        counts = [sum(target["TargetHealth"]["State"] == "healthy" for target in group) for group in self.targets]
        return min(counts, default=None)


def observe(ecs: Any, elbv2: Any, cluster: str, names: list[str]) -> list[Observation]:
    services = {service["serviceName"]: service for service in describe_services(ecs, cluster, names)}
    observations = [Observation(name, services.get(name)) for name in names]
    for seen in observations:
        if seen.active:
            arns = [balancer["targetGroupArn"] for balancer in seen.service.get("loadBalancers", []) if "targetGroupArn" in balancer]
            seen.targets = [elbv2.describe_target_health(TargetGroupArn=arn, aws_retry=True)["TargetHealthDescriptions"] for arn in arns]
            if missing(seen):
                seen.failed_tasks = failed_tasks(ecs, cluster, seen)
    return observations


def failed_tasks(ecs: Any, cluster: str, seen: Observation) -> list[dict[str, Any]]:
    """The tasks of the running deployment that stopped though nobody wanted them to."""
    arns = ecs.list_tasks(cluster=cluster, serviceName=seen.name, desiredStatus="STOPPED", aws_retry=True)["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns, aws_retry=True)["tasks"] if arns else []
    own = [task for task in tasks if task.get("startedBy") == seen.deployment.get("id")]
    return [
        task
        for task in own
        if task.get("stopCode") in ("TaskFailedToStart", "EssentialContainerExited") or " failed " in task.get("stoppedReason", "")
    ]


def revision(task_definition: str) -> str:
    return task_definition.rpartition("/")[2]


def failure(seen: Observation, expected: str | None, seconds: float, forgiven: set[str]) -> str | None:
    """Why the service will never be as it should, or None while it may.

    C(forgiven) are the tasks that failed before the wait, perhaps for a reason that has been repaired since.
    """
    if not seen.active:
        return f"{inactive(seen)}; create it with threetier.aws.ecs_service" if seconds > STALE_SECONDS else None
    deployment = seen.deployment
    reason = deployment.get("rolloutStateReason", "")
    rollout = deployment.get("rolloutState")
    if rollout == "FAILED" or (rollout != "COMPLETED" and "rolling back" in reason):
        return f"its deployment failed: {reason}"
    running = revision(deployment.get("taskDefinition", ""))
    if expected and running != revision(expected) and seconds > STALE_SECONDS:
        return f"it runs {running} instead of {revision(expected)}, because AWS rolled the deployment back or somebody made another one"
    failed = [task for task in seen.failed_tasks if task["taskArn"] not in forgiven]
    for task in failed:
        if "CannotPullContainerError" in problem(task) and any(words in problem(task) for words in NO_IMAGE):
            return f"its image cannot be used: {problem(task)}"
    if len(failed) >= HOPELESS_FAILURES:
        return f"{len(failed)} of its tasks failed since the wait began"
    return None


def watches_alarms(service: dict[str, Any]) -> bool:
    """Whether a deployment goes on being IN_PROGRESS for some minutes after all is as it should be, to watch its alarms."""
    return bool(service.get("deploymentConfiguration", {}).get("alarms", {}).get("enable"))


def missing(seen: Observation, expected: str | None = None) -> list[str]:
    """What the service still lacks, in words; nothing once it is as it should be."""
    if not seen.active:
        return [inactive(seen)]
    service, deployment = seen.service, seen.deployment
    lacks = []
    if expected and revision(deployment.get("taskDefinition", "")) != revision(expected):
        lacks.append(f"it does not run {revision(expected)} yet")
    if len(service["deployments"]) > 1 or (deployment.get("rolloutState") != "COMPLETED" and not watches_alarms(service)):
        lacks.append(f"its deployment is {deployment.get('rolloutState', 'missing')}, one of {len(service['deployments'])}")
    if service["runningCount"] != service["desiredCount"]:
        lacks.append(f"{service['runningCount']} of {service['desiredCount']} tasks run")
    if seen.healthy is not None and (seen.healthy < service["desiredCount"] or unhealthy(seen)):
        lacks.append(f"{seen.healthy} of {service['desiredCount']} targets are healthy")
    return lacks


def inactive(seen: Observation) -> str:
    return f"it is {seen.service['status']}" if seen.service else "it does not exist"


def unhealthy(seen: Observation) -> list[dict[str, Any]]:
    """Targets that should take requests and do not; those that drain belong to tasks that are going."""
    targets = [target for group in seen.targets for target in group]
    return [target for target in targets if target["TargetHealth"]["State"] not in ("healthy", "draining", "unhealthy.draining")]


def unhealthy_target(target: dict[str, Any]) -> str:
    health = target["TargetHealth"]
    words = " ".join(filter(None, [health.get("Reason"), health.get("Description")]))
    return f"target {target['Target']['Id']}:{target['Target'].get('Port')} is {health['State']}: {words}"


def problem(task: dict[str, Any]) -> str:
    """Why a task stopped, in one line."""
    containers = [
        f"container {container['name']}: " + ", ".join(filter(None, [exit_code(container), container.get("reason")]))
        for container in task.get("containers", [])
        if container.get("reason") or container.get("exitCode")
    ]
    return "; ".join([f"task {task['taskArn'].rpartition('/')[2]} stopped: {task.get('stoppedReason', 'no reason given')}", *containers])


def exit_code(container: dict[str, Any]) -> str | None:
    return f"exit code {container['exitCode']}" if "exitCode" in container else None


def evidence(seen: Observation) -> list[str]:
    """All that AWS says about what is wrong, most telling first."""
    targets = [unhealthy_target(target) for target in unhealthy(seen)]
    events = [f"event: {event['message']}" for event in (seen.service or {}).get("events", [])[:EVENTS]]
    return [*(problem(task) for task in seen.failed_tasks[:EVENTS]), *targets[:EVENTS], *events]


def summary(seen: Observation, seconds: float) -> dict[str, Any]:
    service = seen.service or {}
    counts = {"running": service.get("runningCount", 0), "desired": service.get("desiredCount", 0), "healthy": seen.healthy}
    return {"name": seen.name, **counts, "seconds": round(seconds)}


class WaitError(StateError):
    """A service will not come, or not in time; C(services) is what was last seen."""

    def __init__(self, problems: dict[str, list[str]], services: list[dict[str, Any]]) -> None:
        super().__init__("\n".join(f"service {name}: " + "\n  ".join(lines) for name, lines in problems.items()))
        self.services = services


def wait(ecs: Any, elbv2: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
    start = time.monotonic()
    expected = params["task_definitions"]
    summaries: dict[str, dict[str, Any]] = {}
    waiting = list(dict.fromkeys(params["services"]))
    forgiven: set[str] | None = None
    while True:
        observations = observe(ecs, elbv2, params["cluster"], waiting)
        seconds = time.monotonic() - start
        if forgiven is None:
            forgiven = {task["taskArn"] for seen in observations for task in seen.failed_tasks}
        summaries |= {seen.name: summary(seen, seconds) for seen in observations}
        failures = {seen.name: failure(seen, expected.get(seen.name), seconds, forgiven) for seen in observations}
        if any(failures.values()):
            raise WaitError(
                {seen.name: [failures[seen.name], *evidence(seen)] for seen in observations if failures[seen.name]},
                list(summaries.values()),
            )
        lacks = {seen.name: lack for seen in observations if (lack := missing(seen, expected.get(seen.name)))}
        if not lacks:
            return list(summaries.values())
        if seconds > params["wait_timeout"]:
            late = {
                seen.name: [f"not ready after {seconds:.0f} s", *lacks[seen.name], *evidence(seen)]
                for seen in observations
                if seen.name in lacks
            }
            raise WaitError(late, list(summaries.values()))
        if params["progress_file"]:
            Path(params["progress_file"]).write_text("; ".join(f"{name}: {', '.join(lack)}" for name, lack in lacks.items()), encoding="utf-8")
        waiting = list(lacks)
        time.sleep(state.POLL_SECONDS)


def build_argument_spec() -> dict[str, Any]:
    return {
        "cluster": {"type": "str", "required": True},
        "services": {"type": "list", "elements": "str", "required": True},
        "task_definitions": {"type": "dict", "default": {}},
        "wait_timeout": {"type": "int", "default": 900},
        "progress_file": {"type": "path"},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=build_argument_spec(), supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=False, services=[])
    try:
        services = wait(client(module, "ecs"), client(module, "elbv2"), module.params)
    except WaitError as error:
        module.fail_json(msg=str(error), services=error.services)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to wait for services of the ECS cluster {module.params['cluster']}")
    module.exit_json(changed=False, services=services)


if __name__ == "__main__":
    main()
