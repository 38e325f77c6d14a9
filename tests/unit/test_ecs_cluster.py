"""The module ecs_cluster."""

from __future__ import annotations

import pytest
from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import ecs_cluster
from botocore.exceptions import ClientError

from support import ModuleFailed

CLUSTER = {
    "container_insights": "enabled",
    "capacity_providers": ["FARGATE", "FARGATE_SPOT"],
    "default_capacity_provider_strategy": [{"capacity_provider": "FARGATE", "base": 1}, {"capacity_provider": "FARGATE_SPOT", "weight": 3}],
    "tags": {"threetier:stack": "demo"},
}


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(state, "POLL_SECONDS", 0)


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Call")


class FakeEcs:
    """One cluster; calls fail with the errors that C(refuse) holds for them, one a call."""

    def __init__(self, **cluster):
        self.cluster = {"clusterName": "demo", "clusterArn": "arn", "status": "ACTIVE", **cluster} if cluster else None
        self.refuse: dict[str, list[ClientError]] = {}
        self.calls: list[str] = []
        self.becoming: list[dict[str, str]] = []
        self.instances: dict[str, bool] = {}  # and whether the agent is connected

    def _called(self, name):
        self.calls.append(name)
        if self.refuse.get(name):
            raise self.refuse[name].pop(0)

    def describe_clusters(self, **_):
        if self.becoming:
            self.cluster = {**self.cluster, **self.becoming.pop(0)}
        return {"clusters": [self.cluster] if self.cluster else []}

    def create_cluster(self, clusterName, aws_retry, **fields):
        self._called("create")
        self.cluster = {"clusterName": clusterName, "clusterArn": "arn", "status": "ACTIVE", **fields}

    def put_cluster_capacity_providers(self, cluster, aws_retry, **fields):
        self._called("put")
        self.cluster = {**self.cluster, **fields, "attachmentsStatus": "UPDATE_IN_PROGRESS"}
        self.becoming = [{}, {"attachmentsStatus": "UPDATE_COMPLETE"}]

    def list_container_instances(self, cluster, aws_retry):
        return {"containerInstanceArns": list(self.instances)}

    def describe_container_instances(self, cluster, containerInstances, aws_retry):
        return {"containerInstances": [{"containerInstanceArn": arn, "agentConnected": self.instances[arn]} for arn in containerInstances]}

    def deregister_container_instance(self, cluster, containerInstance, force, aws_retry):
        del self.instances[containerInstance]

    def delete_cluster(self, **_):
        assert self.cluster.get("attachmentsStatus") != "UPDATE_IN_PROGRESS"
        self._called("delete")
        if self.instances:
            self.instances = dict.fromkeys(self.instances, False)  # a minute later
            raise refusal("ClusterContainsContainerInstancesException")
        self.cluster["status"] = "INACTIVE"


@pytest.fixture
def fake(monkeypatch):
    def install(**cluster):
        ecs = FakeEcs(**cluster)
        monkeypatch.setattr(ecs_cluster, "client", lambda module, service: ecs)
        return ecs

    return install


def test_creates_changes_and_deletes(aws, check_run_check_run):
    check_run_check_run("ecs_cluster", name="cluster", **CLUSTER)
    changed = check_run_check_run("ecs_cluster", name="cluster", **CLUSTER | {"container_insights": "enhanced", "tags": {"tier": "web"}})
    assert changed["diff"] == {
        "before": {"cluster": {"containerInsights": "enabled", "tag tier": None, "tag threetier:stack": "demo"}},
        "after": {"cluster": {"containerInsights": "enhanced", "tag tier": "web", "tag threetier:stack": None}},
    }
    fewer = check_run_check_run("ecs_cluster", name="cluster", capacity_providers=["FARGATE"], default_capacity_provider_strategy=[])
    assert fewer["diff"]["before"]["cluster"] == {
        "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
        "defaultCapacityProviderStrategy": {"FARGATE": {"weight": 1, "base": 1}, "FARGATE_SPOT": {"weight": 3, "base": 0}},
    }

    found = aws("ecs").describe_clusters(clusters=["cluster"], include=["TAGS", "SETTINGS"])["clusters"][0]
    assert found["settings"] == [{"name": "containerInsights", "value": "enhanced"}]
    assert (found["capacityProviders"], found["defaultCapacityProviderStrategy"]) == (["FARGATE"], [])
    assert found["tags"] == [{"key": "tier", "value": "web"}]

    check_run_check_run("ecs_cluster", name="cluster", state="absent")
    made = check_run_check_run("ecs_cluster", name="cluster", **CLUSTER | {"tags": {"number": 7}})
    assert made["diff"]["after"]["cluster"]["tags"] == {"number": "7"}


def test_the_order_of_providers_and_aws_defaults_are_no_difference(run_module, fake):
    fake(
        capacityProviders=["FARGATE_SPOT", "FARGATE"],
        defaultCapacityProviderStrategy=[
            {"capacityProvider": "FARGATE_SPOT", "weight": 3},
            {"capacityProvider": "FARGATE", "weight": 1, "base": 1},
        ],
        settings=[{"name": "containerInsights", "value": "enabled"}],
        tags=[{"key": "threetier:stack", "value": "demo"}, {"key": "aws:createdBy", "value": "x"}],
    )
    assert not run_module("ecs_cluster", name="demo", **CLUSTER)["changed"]


def test_what_a_task_leaves_out_is_left_alone(run_module, fake):
    ecs = fake(
        capacityProviders=["FARGATE"], defaultCapacityProviderStrategy=[], settings=[{"name": "containerInsights", "value": "enabled"}]
    )
    assert not run_module("ecs_cluster", name="demo")["changed"]
    assert not ecs.calls


def test_the_service_linked_role_of_a_fresh_account_is_waited_for(run_module, fake):
    ecs = fake()
    message = "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
    ecs.refuse["create"] = [refusal("InvalidParameterException", message)] * 2
    assert run_module("ecs_cluster", name="demo")["changed"]
    assert ecs.calls == ["create"] * 3


def test_a_change_under_way_is_waited_for_before_and_after(run_module, fake):
    ecs = fake(capacityProviders=[], attachmentsStatus="UPDATE_IN_PROGRESS")
    ecs.becoming = [{}, {"attachmentsStatus": "UPDATE_COMPLETE"}]
    ecs.refuse["put"] = [refusal("UpdateInProgressException"), refusal("ResourceInUseException")]
    run_module("ecs_cluster", name="demo", capacity_providers=["FARGATE"], default_capacity_provider_strategy=[])
    assert ecs.calls == ["put"] * 3
    assert ecs.cluster["attachmentsStatus"] == "UPDATE_COMPLETE"


def test_without_a_wait_the_providers_are_only_begun_to_be_attached(run_module, fake):
    ecs = fake(capacityProviders=[])
    run_module("ecs_cluster", name="demo", capacity_providers=["FARGATE"], default_capacity_provider_strategy=[], wait=False)
    assert (ecs.calls, ecs.cluster["attachmentsStatus"]) == (["put"], "UPDATE_IN_PROGRESS")


def test_removal_detaches_the_providers_first_and_says_what_is_in_the_way(run_module, fake):
    ecs = fake(capacityProviders=["instances"])
    ecs.refuse["delete"] = [refusal("ClusterContainsTasksException"), refusal("ClusterContainsServicesException")]
    with pytest.raises(ModuleFailed, match="cluster demo cannot be deleted: it still has services"):
        run_module("ecs_cluster", name="demo", state="absent")
    assert ecs.calls == ["put", "delete", "delete"]


def test_removal_deregisters_instances_that_lost_their_way_out_before_they_ended(run_module, fake):
    ecs = fake(capacityProviders=[])
    ecs.instances = {"gone": True, "long gone": False}
    run_module("ecs_cluster", name="demo", state="absent")
    assert (ecs.calls, ecs.instances) == (["delete", "delete"], {})


def test_removal_deregisters_nothing_of_a_cluster_that_something_else_keeps(run_module, fake):
    ecs = fake(capacityProviders=[])
    ecs.instances = {"disconnected for a moment": False}
    ecs.refuse["delete"] = [refusal("ClusterContainsServicesException")]
    with pytest.raises(ModuleFailed, match="it still has services"):
        run_module("ecs_cluster", name="demo", state="absent")
    assert ecs.instances


def test_a_removal_without_a_wait_starts_to_detach_the_providers_once(run_module, fake):
    ecs = fake(capacityProviders=["instances"])
    started = run_module("ecs_cluster", name="demo", state="absent", wait=False)
    assert started["diff"] == {"before": {"demo": {"capacityProviders": ["instances"]}}, "after": {"demo": {"capacityProviders": []}}}
    assert not run_module("ecs_cluster", name="demo", state="absent", wait=False)["changed"]
    assert ecs.calls == ["put"]
    assert run_module("ecs_cluster", name="demo", state="absent")["changes"]["deleted"] == ["demo"]
    assert ecs.calls == ["put", "delete"]
