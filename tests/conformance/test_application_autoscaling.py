"""Application Auto Scaling: scalable targets and their policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused
from conformance.test_ecs import new_name, service

Aws = Callable[..., Any]

DOCS = "https://docs.aws.amazon.com/autoscaling/application/"


def target(aws: Aws) -> dict[str, str]:
    """Make a service; returns its names as a scalable target, which is not registered yet."""
    made = service(aws)
    aws("ecs").create_service(**made)
    return names(f"service/{made['cluster']}/{made['serviceName']}")


def names(resource: str) -> dict[str, str]:
    """The names of a scalable target of ECS."""
    return {"ServiceNamespace": "ecs", "ResourceId": resource, "ScalableDimension": "ecs:service:DesiredCount"}


def registered(aws: Aws) -> dict[str, str]:
    """Register a scalable target; returns its names."""
    made = target(aws)
    aws("application-autoscaling").register_scalable_target(**made, MinCapacity=1, MaxCapacity=2)
    return made


def policy(metric: str = "ECSServiceAverageCPUUtilization", name: str | None = None, **specification: str) -> dict[str, Any]:
    """A target tracking policy."""
    configuration = {"TargetValue": 50.0, "PredefinedMetricSpecification": {"PredefinedMetricType": metric, **specification}}
    return {
        "PolicyName": name or new_name(),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": configuration,
    }


@conforms(DOCS + "APIReference/API_RegisterScalableTarget.html")
def test_capacity_range(aws: Aws) -> None:
    register, made = aws("application-autoscaling").register_scalable_target, target(aws)
    message = refused("ValidationException", register, **made, MinCapacity=2, MaxCapacity=1)
    assert message == "Maximum capacity cannot be less than minimum capacity"
    refused("ValidationException", register, **made, MinCapacity=1)
    register(**made, MinCapacity=1, MaxCapacity=2)
    refused("ValidationException", register, **made, MinCapacity=3)
    register(**made, MaxCapacity=4)


@conforms(DOCS + "userguide/services-that-can-integrate-dynamodb.html")
def test_table_exists(aws: Aws) -> None:
    register, name = aws("application-autoscaling").register_scalable_target, new_name()
    table = {"ServiceNamespace": "dynamodb", "ResourceId": f"table/{name}", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
    refused("ValidationException", register, **table, MinCapacity=1, MaxCapacity=2)
    aws("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    register(**table, MinCapacity=1, MaxCapacity=2)


@conforms(DOCS + "APIReference/API_PutScalingPolicy.html")
def test_policy_needs_a_target(aws: Aws) -> None:
    put, made = aws("application-autoscaling").put_scaling_policy, target(aws)
    message = refused("ObjectNotFoundException", put, **made, **policy())
    assert message.startswith("No scalable target registered for service namespace: ecs, resource ID: service/")
    put(**registered(aws), **policy())


@conforms(DOCS + "userguide/application-auto-scaling-target-tracking.html")
def test_one_policy_a_metric(aws: Aws) -> None:
    put, made = aws("application-autoscaling").put_scaling_policy, registered(aws)
    put(**made, **policy(name="cpu"))
    refused("ValidationException", put, **made, **policy(name="cpu-too"))
    put(**made, **policy("ECSServiceAverageMemoryUtilization", name="memory"))


@conforms(DOCS + "APIReference/API_PredefinedMetricSpecification.html")
def test_request_count_needs_a_label(aws: Aws) -> None:
    put, made = aws("application-autoscaling").put_scaling_policy, registered(aws)
    refused("ValidationException", put, **made, **policy("ALBRequestCountPerTarget"))
    put(**made, **policy("ALBRequestCountPerTarget", ResourceLabel="app/shop/0123456789abcdef/targetgroup/web/0123456789abcdef"))


@conforms(DOCS + "userguide/application-auto-scaling-target-tracking.html")
def test_changed_policy_keeps_no_old_alarms(aws: Aws) -> None:
    made = registered(aws)
    for _ in range(2):
        aws("application-autoscaling").put_scaling_policy(**made, **policy(name="cpu"))

    def alarms() -> list[str]:
        prefix = f"TargetTracking-{made['ResourceId']}-"
        return [alarm["AlarmName"] for alarm in aws("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]]

    assert len(alarms()) == 2, "one for scaling out, one for scaling in"
    aws("application-autoscaling").deregister_scalable_target(**made)
    assert alarms() == []


@conforms(DOCS + "APIReference/API_DeregisterScalableTarget.html")
def test_a_target_takes_its_policies_along(aws: Aws) -> None:
    scaling, made = aws("application-autoscaling"), registered(aws)
    scaling.put_scaling_policy(**made, **policy())
    scaling.deregister_scalable_target(**made)
    assert scaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=made["ResourceId"])["ScalingPolicies"] == []


@conforms(DOCS + "APIReference/API_DeleteScalingPolicy.html")
def test_policy_exists(aws: Aws) -> None:
    scaling, made = aws("application-autoscaling"), registered(aws)
    refused("ObjectNotFoundException", scaling.delete_scaling_policy, **made, PolicyName="nobody")
    scaling.put_scaling_policy(**made, **policy(name="cpu"))
    scaling.delete_scaling_policy(**made, PolicyName="cpu")


@conforms(DOCS + "APIReference/API_DeregisterScalableTarget.html")
def test_target_exists(aws: Aws) -> None:
    scaling = aws("application-autoscaling")
    refused("ObjectNotFoundException", scaling.deregister_scalable_target, **target(aws))
    scaling.deregister_scalable_target(**registered(aws))


@conforms(DOCS + "userguide/resource-tagging-support.html")
def test_a_new_target_keeps_its_tags(aws: Aws) -> None:
    scaling = aws("application-autoscaling")
    arn = scaling.register_scalable_target(**target(aws), MinCapacity=1, MaxCapacity=2, Tags={"tier": "web"})["ScalableTargetARN"]
    refused("ResourceNotFoundException", scaling.list_tags_for_resource, ResourceARN=arn[:-4] + "gone")
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"tier": "web"}


@conforms(DOCS + "APIReference/API_TagResource.html")
def test_targets_have_tags(aws: Aws) -> None:
    scaling = aws("application-autoscaling")
    arn = scaling.register_scalable_target(**target(aws), MinCapacity=1, MaxCapacity=2)["ScalableTargetARN"]
    refused("ResourceNotFoundException", scaling.tag_resource, ResourceARN=arn[:-4] + "gone", Tags={"tier": "web"})
    scaling.tag_resource(ResourceARN=arn, Tags={"tier": "web", "team": "shop"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"tier": "web"}
