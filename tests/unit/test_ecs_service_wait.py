"""The module ecs_service_wait, against fakes that play what AWS would answer, one moment after the other."""

from __future__ import annotations

import pytest
from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import ecs_service_wait

from support import ModuleFailed


def deployment(rollout="COMPLETED", status="PRIMARY", revision=2, reason=""):
    return {
        "id": f"ecs-svc/{revision}",
        "status": status,
        "rolloutState": rollout,
        "rolloutStateReason": reason,
        "taskDefinition": f"arn/web:{revision}",
    }


def service(*deployments, running=2, desired=2, events=(), status="ACTIVE"):
    return {
        "serviceName": "web",
        "status": status,
        "runningCount": running,
        "desiredCount": desired,
        "deployments": list(deployments) or [deployment()],
        "loadBalancers": [{"targetGroupArn": "tg"}],
        "events": [{"message": message} for message in events],
    }


def target(health, reason="", description="", identifier="10.0.0.1"):
    return {"Target": {"Id": identifier, "Port": 8080}, "TargetHealth": {"State": health, "Reason": reason, "Description": description}}


def stopped(task, code="EssentialContainerExited", reason="Essential container in task exited", deployment_id="ecs-svc/2", container=None):
    containers = [{"name": "web", **(container or {})}]
    return {"taskArn": f"arn/task/{task}", "startedBy": deployment_id, "stopCode": code, "stoppedReason": reason, "containers": containers}


HEALTHY = [target("healthy"), target("healthy")]


class Moments:
    """Plays one (services, targets, stopped tasks) after the other, and stays with the last."""

    def __init__(self, *moments):
        self.moments = list(moments)

    def describe_services(self, **_):
        self.now = self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]
        return {"services": self.now[0]}

    def describe_target_health(self, **_):
        return {"TargetHealthDescriptions": self.now[1] if len(self.now) > 1 else HEALTHY}

    def list_tasks(self, **_):
        return {"taskArns": ["t1"]}

    def describe_tasks(self, **_):
        return {"tasks": self.now[2] if len(self.now) > 2 else []}


@pytest.fixture
def play(monkeypatch, run_module):
    """Waits for the service web while AWS answers the given moments."""

    def run(*moments, **params):
        fake = Moments(*moments)
        monkeypatch.setattr(ecs_service_wait, "client", lambda module, service: fake)
        monkeypatch.setattr(state, "POLL_SECONDS", 0)
        result = run_module("ecs_service_wait", **{"cluster": "demo", "services": ["web"], "wait_timeout": 1, **params})
        assert fake.now is moments[-1], "it did not wait for the last moment"
        return result

    return run


def test_waits_for_the_rollout_the_old_tasks_the_new_tasks_and_the_targets(play):
    old = deployment(status="ACTIVE", revision=1)
    result = play(
        ([service(deployment("IN_PROGRESS"), old)],),
        ([service(deployment(), old)],),
        ([service(running=1)],),
        ([service()], [target("healthy"), target("initial")]),
        ([service()], [*HEALTHY, target("unhealthy")]),
        ([service()], [*HEALTHY, target("draining")]),
    )
    assert not result["changed"]
    assert result["services"] == [{"name": "web", "running": 2, "desired": 2, "healthy": 2, "seconds": 0}]


def test_alarms_are_waited_for_only_while_there_is_a_deployment_to_go_back_to(play):
    watches = {"deploymentConfiguration": {"alarms": {"enable": True}}}
    baking, old = deployment("IN_PROGRESS"), deployment(status="ACTIVE", revision=1)
    play(([service(baking, old) | watches],), ([service() | watches],))
    play(([service(baking) | watches],))
    with pytest.raises(ModuleFailed, match="its deployment is IN_PROGRESS"):
        play(([service(baking)],), wait_timeout=0)


def test_a_failed_deployment_fails_at_once_with_reason_task_target_and_event(play):
    crash = stopped("t1", container={"exitCode": 3, "reason": "OutOfMemoryError: killed"})
    moment = (
        [service(deployment("FAILED", reason="tasks failed to start."), running=0, events=["(service web) deployment failed", "older"])],
        [target("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]")],
        [crash],
    )
    with pytest.raises(ModuleFailed) as failed:
        play(moment)
    for words in (
        "service web: its deployment failed: tasks failed to start.",
        "task t1 stopped: Essential container in task exited; container web: exit code 3, OutOfMemoryError: killed",
        "target 10.0.0.1:8080 is unhealthy: Target.ResponseCodeMismatch Health checks failed with these codes: [500]",
        "event: (service web) deployment failed",
    ):
        assert words in str(failed.value)


def test_a_rollback_is_a_failure(play):
    back = deployment("IN_PROGRESS", revision=1, reason="ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.")
    with pytest.raises(ModuleFailed, match="circuit breaker: rolling back"):
        play(([service(back, deployment("FAILED", "ACTIVE"))],))


def test_a_rollback_before_the_wait_is_a_failure_where_the_revision_is_known(play, monkeypatch):
    assert play(([service(deployment(revision=1))],))["services"]
    monkeypatch.setattr(ecs_service_wait, "STALE_SECONDS", -1)
    with pytest.raises(ModuleFailed, match="it runs web:1 instead of web:2"):
        play(([service(deployment(revision=1))],), task_definitions={"web": "web:2"})


def test_an_answer_from_before_the_last_change_is_not_taken_for_the_end(play):
    play(
        ([],), ([service(status="INACTIVE")],), ([service(deployment(revision=1))],), ([service()],), task_definitions={"web": "arn/web:2"}
    )


def test_an_image_that_does_not_exist_fails_with_the_first_task(play):
    reason = "CannotPullContainerError: failed to resolve ref registry/web:1: not found"
    trying = service(deployment("IN_PROGRESS"))
    with pytest.raises(ModuleFailed, match="its image cannot be used: task t1 stopped: CannotPullContainerError"):
        play(([trying], []), ([trying], [], [stopped("t1", "TaskFailedToStart", reason)]))


def test_tasks_that_keep_failing_fail_before_aws_gives_up(play):
    unhealthy = [stopped(f"t{n}", "ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group tg)") for n in range(3)]
    scaled_in = [stopped(f"s{n}", "ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/2)") for n in range(3)]
    earlier = [stopped(f"e{n}", deployment_id="ecs-svc/1") for n in range(3)]
    trying = service(deployment("IN_PROGRESS"))
    with pytest.raises(ModuleFailed, match="3 of its tasks failed since the wait began"):
        play(([trying], []), ([trying], [], [*unhealthy[:2], *scaled_in, *earlier]), ([trying], [], unhealthy))


def test_tasks_that_failed_before_a_repair_are_no_failure(play):
    play(([service(deployment("IN_PROGRESS"))], [], [stopped(f"t{n}") for n in range(9)]), ([service()],))


def test_the_end_of_patience_says_what_is_still_missing(play):
    with pytest.raises(ModuleFailed, match=r"(?s)service web: not ready after 0 s.*1 of 2 tasks run.*no container instance met all"):
        play(
            ([service(running=1, events=["unable to place a task because no container instance met all of its requirements"])],),
            wait_timeout=0,
        )


def test_a_missing_service_fails_for_real_and_not_in_check_mode(play, run_module, monkeypatch):
    monkeypatch.setattr(ecs_service_wait, "STALE_SECONDS", -1)
    with pytest.raises(ModuleFailed, match="does not exist"):
        play(([],))
    assert run_module("ecs_service_wait", check=True, cluster="nowhere", services=["web"])["services"] == []


@pytest.fixture
def service_options(aws, run_module, monkeypatch, tmp_path):
    """Makes what a service of the emulator needs, and gives its options; its tasks run a command in an image."""
    monkeypatch.setattr(state, "POLL_SECONDS", 0.1)
    found = aws("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    subnets = [subnet["SubnetId"] for subnet in found[:2]]
    run_module("ecs_cluster", name="wait", capacity_providers=["FARGATE"], default_capacity_provider_strategy=[])

    def options(image, command):
        revision = run_module(
            "ecs_task_definition",
            family=tmp_path.name,
            containers=[{"name": "web", "image": image, "entryPoint": command}],
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu="256",
            memory="512",
        )["task_definition"]
        return {
            "name": tmp_path.name,
            "cluster": "wait",
            "task_definition": revision["task_definition_arn"],
            "capacity_provider_strategy": [{"capacity_provider": "FARGATE"}],
            "network_configuration": {"subnets": subnets},
            "deployment_configuration": {"circuit_breaker": {}},
        }

    yield options
    run_module("ecs_service", name=tmp_path.name, cluster="wait", state="absent")


def test_a_service_of_the_emulator_is_deployed_redeployed_and_removed(aws, service_options, run_module, check_run_check_run):
    options = service_options("api", ["sleep", "100"])
    started = check_run_check_run("ecs_service", **options)["service"]
    expected = {options["name"]: started["task_definition"]}
    waited = run_module("ecs_service_wait", cluster="wait", services=[options["name"]], task_definitions=expected, wait_timeout=30)
    assert [(item["running"], item["desired"]) for item in waited["services"]] == [(1, 1)]

    options |= {"task_definition": service_options("api", ["sleep", "101"])["task_definition"], "minimum_count": 2}
    changed = check_run_check_run("ecs_service", **options)
    assert changed["diff"]["after"] == {options["name"]: {"taskDefinition": f"{options['name']}:2", "desiredCount": 2}}
    waited = run_module("ecs_service_wait", cluster="wait", services=[options["name"]], wait_timeout=30)
    assert [(item["running"], item["desired"]) for item in waited["services"]] == [(2, 2)]

    assert run_module("ecs_service", name=options["name"], cluster="wait", state="absent")["changed"]
    assert check_run_check_run("ecs_service", **options)["service"]["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("image", "command", "why"),
    [
        ("nothing", ["true"], "its image cannot be used.*CannotPullContainerError"),
        ("api", ["nothing"], "failed.*CannotStartContainerError"),
    ],
)
def test_a_service_of_the_emulator_whose_tasks_fail_says_why(service_options, run_module, image, command, why):
    options = service_options(image, command)
    run_module("ecs_service", **options)
    with pytest.raises(ModuleFailed, match=f"(?s){why}"):
        run_module("ecs_service_wait", cluster="wait", services=[options["name"]], wait_timeout=30)
