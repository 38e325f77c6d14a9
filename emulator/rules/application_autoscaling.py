"""Application Auto Scaling: scalable targets, their tags, and their policies."""

from __future__ import annotations

from typing import Any

from moto.applicationautoscaling.models import (
    ApplicationAutoscalingBackend,
    FakeApplicationAutoscalingPolicy,
    FakeScalableTarget,
    applicationautoscaling_backends,
)
from moto.dynamodb.models import dynamodb_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT


def invalid(message: str) -> AwsError:
    """The error that Application Auto Scaling answers to most wrong requests."""
    return AwsError("ValidationException", message)


def backend_of(call: Call) -> ApplicationAutoscalingBackend:
    """Moto's Application Auto Scaling in the region of a call."""
    return applicationautoscaling_backends[ACCOUNT][call.region]


def named(call: Call) -> tuple[str, str, str]:
    """Namespace, resource and dimension that a call is about."""
    return call.params["ServiceNamespace"], call.params["ResourceId"], call.params["ScalableDimension"]


def words(call: Call) -> str:
    """Namespace, resource and dimension as AWS's errors tell them."""
    return "service namespace: {}, resource ID: {}, scalable dimension: {}".format(*named(call))


def target_of(call: Call) -> FakeScalableTarget | None:
    """The scalable target that a call is about."""
    _, resource, dimension = named(call)
    return backend_of(call).targets.get(dimension, {}).get(resource)


def policies_of(call: Call) -> list[FakeApplicationAutoscalingPolicy]:
    """The policies of the target that a call is about."""
    policies = list(backend_of(call).policies.values())
    return [policy for policy in policies if (policy.service_namespace, policy.resource_id, policy.scalable_dimension) == named(call)]


def tags_of(call: Call, arn: str) -> dict[str, str]:
    """Tags of a scalable target that exists."""
    try:
        return call.state.scalable_target_tags[arn]
    except KeyError:
        raise AwsError("ResourceNotFoundException", f"The specified resource doesn't exist: {arn}") from None


@rule("application-autoscaling", "RegisterScalableTarget")
def a_new_target_keeps_its_tags(call: Call, proceed: Proceed) -> Answer:
    """Tags given when a target is registered belong to it; moto forgets them.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
    """
    answer = proceed()
    call.state.scalable_target_tags.setdefault(answer["ScalableTargetARN"], dict(call.params.get("Tags", {})))
    return answer


@rule("application-autoscaling", "ListTagsForResource", "TagResource", "UntagResource")
def targets_have_tags(call: Call, proceed: Proceed) -> Answer:
    """A target's tags can be read and changed by its ARN; moto has none of these calls.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/userguide/resource-tagging-support.html
    """
    tags = tags_of(call, call.params["ResourceARN"])
    if call.operation == "ListTagsForResource":
        return {"Tags": tags}
    tags.update(call.params.get("Tags", {}))
    for key in call.params.get("TagKeys", []):
        tags.pop(key, None)
    return {}


@rule("application-autoscaling", "DeregisterScalableTarget")
def a_target_takes_its_policies_along(call: Call, proceed: Proceed) -> Answer:
    """Deregistering a target deletes its scaling policies and its tags; in moto the policies survive.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html
    """
    backend = backend_of(call)
    for policy in policies_of(call):
        backend.delete_scaling_policy(policy.policy_name, *named(call))
    if target := target_of(call):
        call.state.scalable_target_tags.pop(target.arn, None)
    return proceed()


@rule("application-autoscaling", "RegisterScalableTarget")
def capacity_range(call: Call, proceed: Proceed) -> Answer:
    """A new target needs both ends of its range, and the lower is not above the upper: ValidationException. Moto takes any range.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
    """
    target, params = target_of(call), call.params
    least = params.get("MinCapacity", target.min_capacity if target else None)
    most = params.get("MaxCapacity", target.max_capacity if target else None)
    if least is None or most is None:
        raise invalid("MinCapacity and MaxCapacity must be specified when registering a new scalable target.")
    if most < least:
        raise invalid("Maximum capacity cannot be less than minimum capacity")
    return proceed()


@rule("application-autoscaling", "RegisterScalableTarget")
def table_exists(call: Call, proceed: Proceed) -> Answer:
    """A table that is to be scaled exists: ValidationException. Moto looks for services of ECS only.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/userguide/services-that-can-integrate-dynamodb.html
    """
    namespace, resource, _ = named(call)
    if namespace == "dynamodb" and resource.partition("/")[2].split("/")[0] not in dynamodb_backends[ACCOUNT][call.region].tables:
        raise invalid(f"DynamoDB table does not exist: {resource}")
    return proceed()


@rule("application-autoscaling", "PutScalingPolicy")
def policy_needs_a_target(call: Call, proceed: Proceed) -> Answer:
    """A policy scales a registered target: ObjectNotFoundException. Moto takes a policy without.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScalingPolicy.html
    """
    if target_of(call) is None:
        raise AwsError("ObjectNotFoundException", f"No scalable target registered for {words(call)}")
    return proceed()


@rule("application-autoscaling", "PutScalingPolicy")
def one_policy_a_metric(call: Call, proceed: Proceed) -> Answer:
    """A target has at most one target tracking policy for a metric: ValidationException. Moto takes several.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html
    """
    metric = metric_of(call.params.get("TargetTrackingScalingPolicyConfiguration"))
    for policy in policies_of(call):
        same = metric and metric == metric_of(policy.target_tracking_scaling_policy_configuration)
        if same and policy.policy_name != call.params["PolicyName"]:
            raise invalid("Only one TargetTrackingScaling policy for a given metric specification is allowed.")
    return proceed()


def metric_of(configuration: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a target tracking policy measures."""
    configuration = configuration or {}
    return configuration.get("PredefinedMetricSpecification") or configuration.get("CustomizedMetricSpecification")


@rule("application-autoscaling", "PutScalingPolicy")
def request_count_needs_a_label(call: Call, proceed: Proceed) -> Answer:
    """ALBRequestCountPerTarget names its load balancer and target group: ValidationException. Moto takes a policy without.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PredefinedMetricSpecification.html
    """
    metric = call.params.get("TargetTrackingScalingPolicyConfiguration", {}).get("PredefinedMetricSpecification", {})
    if metric.get("PredefinedMetricType") == "ALBRequestCountPerTarget" and not metric.get("ResourceLabel"):
        raise invalid("Resource label should be specified for predefined metric type ALBRequestCountPerTarget")
    return proceed()


@rule("application-autoscaling", "PutScalingPolicy")
def changed_policy_keeps_no_old_alarms(call: Call, proceed: Proceed) -> Answer:
    """A target tracking policy has its own alarms, and they are its only ones after a change. Moto makes new ones and leaves the old.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html
    """
    for policy in policies_of(call):
        if policy.policy_name == call.params["PolicyName"]:
            policy.delete_alarms(ACCOUNT, call.region)
    return proceed()


@rule("application-autoscaling", "DeleteScalingPolicy")
def policy_exists(call: Call, proceed: Proceed) -> Answer:
    """A policy that does not exist: ObjectNotFoundException. Moto calls it a ValidationException.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeleteScalingPolicy.html
    """
    if call.params["PolicyName"] not in [policy.policy_name for policy in policies_of(call)]:
        raise AwsError("ObjectNotFoundException", f"No scaling policy found for {words(call)}, policy name: {call.params['PolicyName']}")
    return proceed()


@rule("application-autoscaling", "DeregisterScalableTarget")
def target_exists(call: Call, proceed: Proceed) -> Answer:
    """A target that does not exist: ObjectNotFoundException. Moto calls it a ValidationException.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html
    """
    if target_of(call) is None:
        raise AwsError("ObjectNotFoundException", f"No scalable target found for {words(call)}")
    return proceed()
