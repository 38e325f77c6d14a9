"""ECS: tasks."""

from __future__ import annotations

from moto.ecs.models import Cluster

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ecs import backend_of, cluster_of, describe, find_service, invalid, page, tasks_of
from emulator.tasks import Task
from emulator.wire import ACCOUNT

TASK_PAGE = 100


def find_task(call: Call, cluster: Cluster, name: str) -> Task | None:
    """A task of a service by ID or ARN."""
    return call.state.tasks.get(f"arn:aws:ecs:{call.region}:{ACCOUNT}:task/{cluster.name}/{name.rpartition('/')[2]}")


@rule("ecs", "ListTasks")
def list_tasks(call: Call, proceed: Proceed) -> Answer:
    """AWS lists the tasks of services too. Moto knows only those of RunTask, which are added here.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
    """
    cluster, params = cluster_of(call), call.params
    if "serviceName" in params and not find_service(call, cluster, params["serviceName"]):
        raise AwsError("ServiceNotFoundException", "Service not found.")
    arns = [
        task.arn
        for task in tasks_of(call, cluster)
        if task.desired_status == params.get("desiredStatus", "RUNNING")
        and params.get("serviceName", task.service.name).rpartition("/")[2] == task.service.name
        and params.get("family") in (None, task.definition.family)
        and params.get("launchType") in (None, task.launch_type)
        and params.get("startedBy") in (None, task.deployment.id)
        and params.get("containerInstance", "").rpartition("/")[2] in ("", task.instance.id if task.instance else None)
    ]
    others = [] if "serviceName" in params else proceed().get("taskArns", [])
    return page(call, arns + others, "taskArns", TASK_PAGE)


@rule("ecs", "DescribeTasks")
def describe_tasks(call: Call, proceed: Proceed) -> Answer:
    """AWS tells of the tasks of services too, for a while after they have stopped. Moto knows only those of RunTask.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
    """
    include = call.params.get("include", [])
    moto = {task.id: task for task in backend_of(call).tasks.get(cluster_of(call).name, {}).values()}
    if any(name.rpartition("/")[2] in moto for name in call.params["tasks"]):
        return proceed()
    return describe(
        call,
        "tasks",
        lambda cluster, name: find_task(call, cluster, name),
        lambda task: task.describe(include),
        lambda cluster, name: f"arn:aws:ecs:{call.region}:{ACCOUNT}:task/{cluster.name}/{name}",
    )


@rule("ecs", "StopTask")
def stop_task(call: Call, proceed: Proceed) -> Answer:
    """AWS stops the task, and its service starts another one. Moto knows only those of RunTask.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html
    """
    cluster = cluster_of(call)
    task = find_task(call, cluster, call.params["task"])
    if task:
        task.stop("UserInitiated", call.params.get("reason") or "Task stopped by user")
        return {"task": task.describe([])}
    if not backend_of(call).tasks.get(cluster.name):
        raise invalid("The referenced task was not found.")
    return proceed()
