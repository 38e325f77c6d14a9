"""The module ecs_service, against a fake that answers as ECS does: with the defaults filled in and the lists in an order of its own."""

from __future__ import annotations

import pytest
from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import ecs_service
from botocore.exceptions import ClientError

from support import ModuleFailed

ARN = "arn:aws:ecs:eu-central-1:123456789012:"
SERVICE = {
    "name": "web",
    "cluster": "demo",
    "task_definition": "demo-web:1",
    "minimum_count": 2,
    "maximum_count": 4,
    "capacity_provider_strategy": [{"capacity_provider": "FARGATE", "base": 1}, {"capacity_provider": "FARGATE_SPOT", "weight": 3}],
    "network_configuration": {"subnets": ["subnet-1", "subnet-2"], "security_groups": ["sg-1", "sg-2"], "assign_public_ip": True},
    "load_balancers": [
        {"target_group_arn": "tg-1", "container_name": "web", "container_port": 8080},
        {"target_group_arn": "tg-2", "container_name": "web", "container_port": 8080},
    ],
    "health_check_grace_period_seconds": 30,
    "deployment_configuration": {
        "minimum_healthy_percent": 100,
        "circuit_breaker": {},
        "alarms": {"alarm_names": ["alarm-1", "alarm-2"]},
    },
    "placement_strategy": [{"type": "spread", "field": "host"}, {"type": "binpack", "field": "cpu"}],
    "placement_constraints": [{"type": "distinctInstance"}, {"type": "memberOf", "expression": "attribute:x == y"}],
    "platform_version": "LATEST",
    "enable_execute_command": True,
    "enable_ecs_managed_tags": True,
    "propagate_tags": "SERVICE",
    "availability_zone_rebalancing": "ENABLED",
    "tags": {"threetier:stack": "demo"},
}
CHANGES = {
    "task_definition": "demo-web:2",
    "capacity_provider_strategy": [{"capacity_provider": "FARGATE"}],
    "network_configuration": {"subnets": ["subnet-1", "subnet-2"], "security_groups": ["sg-1"], "assign_public_ip": True},
    "load_balancers": SERVICE["load_balancers"][:1],
    "health_check_grace_period_seconds": 60,
    "deployment_configuration": {"maximum_percent": 150},
    "placement_strategy": SERVICE["placement_strategy"][::-1],
    "placement_constraints": [],
    "platform_version": "1.4.0",
    "enable_execute_command": False,
    "enable_ecs_managed_tags": False,
    "propagate_tags": "NONE",
    "availability_zone_rebalancing": "DISABLED",
    "minimum_count": 3,
}


def refusal(message: str) -> ClientError:
    return ClientError({"Error": {"Code": "InvalidParameterException", "Message": message}}, "Call")


class FakeEcs:
    def __init__(self):
        self.service = None
        self.calls = []
        self.refusals = []
        self.polls_until_inactive = 2
        self.attachments = ["UPDATE_COMPLETE"]

    def describe_clusters(self, **_):
        status = self.attachments.pop(0) if self.attachments[1:] else self.attachments[0]
        return {"clusters": [{"clusterName": "demo", "status": "ACTIVE", "attachmentsStatus": status}]}

    def describe_services(self, **_):
        if self.service and self.service["status"] == "DRAINING":
            self.polls_until_inactive -= 1
            if self.polls_until_inactive <= 0:
                self.service["status"] = "INACTIVE"
        return {"services": [dict(self.service)] if self.service else []}

    def _filled(self, request):
        request = {key: value[::-1] if isinstance(value, list) and key != "placementStrategy" else value for key, value in request.items()}
        if "taskDefinition" in request:
            request["taskDefinition"] = f"{ARN}task-definition/{request['taskDefinition']}"
        if "networkConfiguration" in request:
            network = request["networkConfiguration"]["awsvpcConfiguration"]
            request["networkConfiguration"] = {"awsvpcConfiguration": {**network, "subnets": network["subnets"][::-1]}}
        if "placementStrategy" in request:
            aws_words = {"host": "instanceId", "cpu": "CPU"}
            request["placementStrategy"] = [{**item, "field": aws_words[item["field"]]} for item in request["placementStrategy"]]
        if "alarms" in request.get("deploymentConfiguration", {}):
            alarms = request["deploymentConfiguration"]["alarms"]
            deployment = {**request["deploymentConfiguration"], "alarms": {**alarms, "alarmNames": alarms["alarmNames"][::-1]}}
            request["deploymentConfiguration"] = {"maximumPercent": 200, "strategy": "ROLLING", "bakeTimeInMinutes": 0, **deployment}
        return request

    def create_service(self, aws_retry, **request):
        assert self.attachments == ["UPDATE_COMPLETE"]
        self.calls.append(("create", request))
        if self.refusals:
            raise self.refusals.pop(0)
        assert not self.service or self.service["status"] == "INACTIVE"
        defaults = {"status": "ACTIVE", "schedulingStrategy": "REPLICA", "loadBalancers": [], "propagateTags": "NONE", "pendingCount": 0}
        self.service = {**defaults, "serviceArn": f"{ARN}service/demo/web", **self._filled(request)}
        return {"service": dict(self.service)}

    def update_service(self, cluster, service, aws_retry, **request):
        assert "capacityProviderStrategy" not in request or self.attachments == ["UPDATE_COMPLETE"]
        self.calls.append(("update", request))
        self.service.update(self._filled({key: value for key, value in request.items() if key != "forceNewDeployment"}))
        return {"service": dict(self.service)}

    def delete_service(self, **request):
        self.calls.append(("delete", request))
        self.service["status"] = "DRAINING"

    def tag_resource(self, resourceArn, tags, aws_retry):
        self.calls.append(("tag", tags))
        self.service["tags"] = tags

    def untag_resource(self, resourceArn, tagKeys, aws_retry):
        self.service["tags"] = [tag for tag in self.service["tags"] if tag["key"] not in tagKeys]


@pytest.fixture
def ecs(monkeypatch):
    fake = FakeEcs()
    monkeypatch.setattr(ecs_service, "client", lambda module, service: fake)
    monkeypatch.setattr(state, "POLL_SECONDS", 0)
    return fake


def test_creates_and_then_finds_what_aws_made_of_it_unchanged(ecs, check_run_check_run):
    check_run_check_run("ecs_service", **SERVICE)
    assert [name for name, request in ecs.calls] == ["create"]
    assert ecs.calls[0][1]["desiredCount"] == 2


@pytest.mark.parametrize("made", [False, True], ids=["a new service", "a service that moves"])
def test_capacity_providers_that_are_being_attached_are_waited_for(ecs, run_module, made):
    if made:
        run_module("ecs_service", **SERVICE | {"capacity_provider_strategy": CHANGES["capacity_provider_strategy"]})
    ecs.attachments = ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]
    assert run_module("ecs_service", **SERVICE)["changed"]
    ecs.attachments = ["UPDATE_FAILED"]
    with pytest.raises(ModuleFailed, match="AWS could not attach the capacity providers of cluster demo"):
        run_module("ecs_service", **SERVICE | {"capacity_provider_strategy": CHANGES["capacity_provider_strategy"]})


@pytest.mark.parametrize("option", CHANGES)
def test_a_change_of_any_option_is_repaired_with_one_update(ecs, run_module, check_run_check_run, option):
    run_module("ecs_service", **SERVICE)
    ecs.calls.clear()
    result = check_run_check_run("ecs_service", **SERVICE | {option: CHANGES[option]})
    assert [name for name, request in ecs.calls] == ["update"]
    before, after = (result["diff"][side]["web"] for side in ("before", "after"))
    assert before.keys() == after.keys() == ecs.calls[0][1].keys() - {"forceNewDeployment"}
    assert ecs.calls[0][1].get("forceNewDeployment", False) == (option == "capacity_provider_strategy")


def test_an_update_keeps_the_parts_of_a_field_that_nobody_gave(ecs, run_module):
    run_module("ecs_service", **SERVICE)
    less = {"network_configuration": {"subnets": ["subnet-3"]}, "deployment_configuration": {"minimum_healthy_percent": 50}}
    run_module("ecs_service", **SERVICE | less)
    request = ecs.calls[-1][1]
    assert request["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": ["subnet-3"], "securityGroups": ["sg-1", "sg-2"], "assignPublicIp": "ENABLED",
    }  # fmt: skip
    assert request["deploymentConfiguration"] == {
        "minimumHealthyPercent": 50,
        "maximumPercent": 200,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "alarms": {"alarmNames": ["alarm-2", "alarm-1"], "enable": True, "rollback": True},
    }


@pytest.mark.parametrize(("running", "kept"), [(1, 2), (3, 3), (9, 4)])
def test_the_count_that_auto_scaling_set_stays_within_the_range(ecs, run_module, running, kept):
    run_module("ecs_service", **SERVICE)
    ecs.service["desiredCount"] = running
    assert run_module("ecs_service", **SERVICE)["service"]["desired_count"] == kept
    assert ecs.service["desiredCount"] == kept


def test_a_deployment_that_failed_for_good_is_followed_by_a_new_one(ecs, run_module):
    run_module("ecs_service", **SERVICE)
    ecs.service["deployments"] = [{"status": "PRIMARY", "rolloutState": "FAILED"}]
    assert run_module("ecs_service", **SERVICE)["changed"]
    assert ecs.calls[-1] == ("update", {"forceNewDeployment": True})


def test_options_that_say_what_aws_does_anyway_are_no_difference(ecs, run_module):
    few = {"name": "web", "cluster": "demo", "task_definition": f"{ARN}task-definition/demo-web:1"}
    run_module("ecs_service", **few | {"task_definition": "demo-web:1"})
    defaults = {
        "capacity_provider_strategy": [],
        "load_balancers": [],
        "placement_strategy": [],
        "placement_constraints": [],
        "health_check_grace_period_seconds": 0,
        "enable_execute_command": False,
        "enable_ecs_managed_tags": False,
        "propagate_tags": "NONE",
        "availability_zone_rebalancing": "DISABLED",
        "deployment_configuration": {"alarms": {"alarm_names": [], "enable": False}, "circuit_breaker": {"enable": False}},
    }
    assert not run_module("ecs_service", **few | defaults)["changed"]


def test_a_tag_is_repaired_without_an_update(ecs, run_module, check_run_check_run):
    run_module("ecs_service", **SERVICE)
    ecs.calls.clear()
    check_run_check_run("ecs_service", **SERVICE | {"tags": {"threetier:stack": "other"}})
    assert [name for name, request in ecs.calls] == ["tag"]


def test_removal_stops_the_tasks_deletes_the_service_and_waits_until_it_is_inactive(ecs, run_module):
    run_module("ecs_service", **SERVICE)
    ecs.calls.clear()
    absent = {"name": "web", "cluster": "demo", "state": "absent"}
    assert run_module("ecs_service", check=True, **absent)["changed"] and not ecs.calls
    assert run_module("ecs_service", **absent)["changed"]
    assert [name for name, request in ecs.calls] == ["update", "delete"]
    assert ecs.calls[0][1] == {"desiredCount": 0}
    assert ecs.service["status"] == "INACTIVE"
    assert not run_module("ecs_service", **absent)["changed"]


def test_a_new_service_waits_for_the_old_one_to_drain_and_for_what_aws_does_not_know_yet(ecs, run_module):
    run_module("ecs_service", **SERVICE)
    run_module("ecs_service", name="web", cluster="demo", state="absent", wait=False)
    assert ecs.service["status"] == "DRAINING"
    ecs.refusals = [
        refusal("Unable to Start a service that is still Draining."),
        refusal("The target group with targetGroupArn tg-1 does not have an associated load balancer."),
        refusal("Unable to assume the service linked role. Please verify that the ECS service linked role exists."),
    ]
    assert run_module("ecs_service", **SERVICE)["changed"]
    assert ecs.service["status"] == "ACTIVE"


def test_a_race_with_another_creation_is_explained(ecs, run_module):
    ecs.refusals = [refusal("Creation of service was not idempotent.")]
    with pytest.raises(ModuleFailed, match="another service web has appeared"):
        run_module("ecs_service", **SERVICE)


@pytest.mark.parametrize("field", [{"schedulingStrategy": "DAEMON"}, {"deploymentController": {"type": "CODE_DEPLOY"}}])
def test_what_aws_cannot_change_is_refused_with_the_way_round(ecs, run_module, field):
    run_module("ecs_service", **SERVICE)
    ecs.service.update(field)
    with pytest.raises(ModuleFailed, match="delete"):
        run_module("ecs_service", check=True, **SERVICE)


def test_bad_options_are_refused_all_at_once(ecs, run_module):
    with pytest.raises(ModuleFailed, match=r"names no revision[\s\S]*maximum_count \(1\) is less"):
        run_module("ecs_service", **SERVICE | {"task_definition": f"{ARN}task-definition/demo-web", "maximum_count": 1})


def test_a_preview_takes_parents_that_are_not_made_yet(ecs, run_module):
    planned = {
        "task_definition": f"demo-web:{state.planned('the revision')}",
        "network_configuration": {"subnets": [state.planned("subnet-1")], "security_groups": [state.planned("sg-1")]},
        "load_balancers": [{"target_group_arn": state.planned("tg-1"), "container_name": "web", "container_port": 8080}],
    }
    done = run_module("ecs_service", check=True, **SERVICE | planned)
    assert done["changes"]["created"] == ["web"]
    assert done["diff"]["after"]["web"]["loadBalancers"] == {state.planned("tg-1"): "web:8080"}
    run_module("ecs_service", **SERVICE)
    done = run_module("ecs_service", check=True, **SERVICE | planned)
    assert done["changes"]["changed"] == ["web"]
    assert done["diff"]["before"]["web"]["loadBalancers"] == {"tg-1": "web:8080", "tg-2": "web:8080"}
    elsewhere = {"cluster": state.planned("demo"), "task_definition": state.planned("demo-web")}
    done = run_module("ecs_service", check=True, **SERVICE | elsewhere)
    assert done["changes"]["created"] == ["web"], "nothing is in a cluster that is not made yet"

