"""ECS and EC2 Auto Scaling: what takes time, and what AWS refuses meanwhile. Tasks run here, as processes of the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conformance.support import conforms, refused
from conformance.test_ecs import DOCS, cluster, group, provider, registered, remove, service, sleeper, states, status, tasks, wait_for

EMULATOR = ["--time-scale", "0.04"]

Aws = Callable[..., Any]

SCALING = "https://docs.aws.amazon.com/autoscaling/ec2/"


@pytest.fixture(autouse=True)
def service_linked_roles(aws: Aws) -> None:
    """The first calls of an account fail until their service-linked roles are usable."""

    def works(call: Callable[[], Any]) -> bool:
        try:
            call()
        except ClientError as error:
            assert "service linked role" in str(error).lower().replace("-", " "), error
            return False
        return True

    wait_for(lambda: works(lambda: aws("ecs").create_cluster(clusterName="first")))


@conforms(DOCS + "developerguide/task-lifecycle-explanation.html")
def test_tasks_take_their_time(aws: Aws) -> None:
    made = service(aws, desiredCount=1, taskDefinition=registered(aws, sleeper()))
    aws("ecs").create_service(**made)
    wait_for(lambda: states(aws, made["cluster"]) == {"PENDING"})
    wait_for(lambda: states(aws, made["cluster"]) == {"RUNNING"})
    remove(aws, made)


@conforms(DOCS + "developerguide/task-networking.html")
def test_interfaces_outlive_their_tasks(aws: Aws) -> None:
    made = service(aws, desiredCount=1, taskDefinition=registered(aws, sleeper()))
    aws("ecs").create_service(**made)
    (running,) = wait_for(lambda: [each for each in tasks(aws, made["cluster"]) if each["lastStatus"] == "RUNNING"])
    details = {detail["name"]: detail["value"] for detail in running["attachments"][0]["details"]}
    there = {"Filters": [{"Name": "network-interface-id", "Values": [details["networkInterfaceId"]]}]}
    (interface,) = aws("ec2").describe_network_interfaces(**there)["NetworkInterfaces"]
    assert [each["GroupName"] for each in interface["Groups"]] == ["default"]
    remove(aws, made)
    arn = running["taskArn"]
    wait_for(lambda: aws("ecs").describe_tasks(cluster=made["cluster"], tasks=[arn])["tasks"][0]["lastStatus"] == "STOPPED")
    assert aws("ec2").describe_network_interfaces(**there)["NetworkInterfaces"], "the interface goes after the task"
    wait_for(lambda: not aws("ec2").describe_network_interfaces(**there)["NetworkInterfaces"])


@conforms(DOCS + "APIReference/API_DeleteService.html")
def test_draining_name(aws: Aws) -> None:
    made = service(aws)
    aws("ecs").create_service(**made)
    remove(aws, made)
    assert status(aws, made) == "DRAINING"
    message = refused("InvalidParameterException", aws("ecs").create_service, **made)
    assert message == "Unable to Start a service that is still Draining."
    refused("ClusterContainsServicesException", aws("ecs").delete_cluster, cluster=made["cluster"])
    wait_for(lambda: status(aws, made) == "INACTIVE")
    assert aws("ecs").create_service(**made)["service"]["status"] == "ACTIVE"


@conforms(DOCS + "APIReference/API_PutClusterCapacityProviders.html")
def test_attachments_are_changing(aws: Aws) -> None:
    ours = provider(aws)
    aws("ecs").create_capacity_provider(**ours)
    name = cluster(aws)
    change = {"cluster": name, "capacityProviders": [ours["name"]], "defaultCapacityProviderStrategy": []}
    aws("ecs").put_cluster_capacity_providers(**change)
    refused("UpdateInProgressException", aws("ecs").put_cluster_capacity_providers, **change)
    refused("UpdateInProgressException", aws("ecs").delete_cluster, cluster=name)

    def attachments() -> str:
        return str(aws("ecs").describe_clusters(clusters=[name], include=["ATTACHMENTS"])["clusters"][0]["attachmentsStatus"])

    assert attachments() == "UPDATE_IN_PROGRESS"
    wait_for(lambda: attachments() == "UPDATE_COMPLETE")
    aws("ecs").put_cluster_capacity_providers(**change)


@conforms(SCALING + "userguide/ec2-auto-scaling-lifecycle.html")
def test_instances_take_their_time(aws: Aws) -> None:
    name = group(aws, instances=1).rpartition("/")[2]

    def lifecycle() -> list[str]:
        (found,) = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return [instance["LifecycleState"] for instance in found["Instances"]]

    assert lifecycle() == ["Pending"]
    wait_for(lambda: lifecycle() == ["InService"])
    aws("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)

    def states() -> set[str]:
        ours = [{"Name": "tag:aws:autoscaling:groupName", "Values": [name]}]
        return {
            each["State"]["Name"] for found in aws("ec2").describe_instances(Filters=ours)["Reservations"] for each in found["Instances"]
        }

    assert states() == {"shutting-down"}
    wait_for(lambda: states() == {"terminated"})


@conforms(SCALING + "APIReference/API_DeleteAutoScalingGroup.html")
def test_group_in_deletion(aws: Aws) -> None:
    name = group(aws, instances=1).rpartition("/")[2]
    scaling = aws("autoscaling")
    scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)

    def groups() -> list[dict[str, Any]]:
        return list(scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"])

    assert [each["Status"] for each in groups()] == ["Delete in progress"]
    refused("ScalingActivityInProgress", scaling.update_auto_scaling_group, AutoScalingGroupName=name, MaxSize=4)
    again = {"AutoScalingGroupName": name, "MinSize": 0, "MaxSize": 1, "LaunchTemplate": {"LaunchTemplateName": name}}
    again["AvailabilityZones"] = ["eu-central-1a"]
    refused("AlreadyExists", scaling.create_auto_scaling_group, **again)
    wait_for(lambda: not groups())
    scaling.create_auto_scaling_group(**again)
