"""Application Auto Scaling: the tags of scalable targets, which moto forgets."""

from __future__ import annotations

from moto.applicationautoscaling.models import applicationautoscaling_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT


def tags_of(call: Call, arn: str) -> dict[str, str]:
    """Tags of a scalable target that exists."""
    try:
        return call.state.scalable_target_tags[arn]
    except KeyError:
        raise AwsError("ResourceNotFoundException", f"The specified resource doesn't exist: {arn}") from None


@rule("application-autoscaling", "RegisterScalableTarget")
def a_new_target_keeps_its_tags(call: Call, proceed: Proceed) -> Answer:
    """Tags given when a target is registered belong to it; moto forgets them.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
    """
    answer = proceed()
    call.state.scalable_target_tags.setdefault(answer["ScalableTargetARN"], dict(call.params.get("Tags", {})))
    return answer


@rule("application-autoscaling", "ListTagsForResource", "TagResource", "UntagResource")
def targets_have_tags(call: Call, proceed: Proceed) -> Answer:
    """A target's tags can be read and changed by its ARN; moto has none of these calls.

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

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html
    """
    target = (call.params["ServiceNamespace"], call.params["ResourceId"], call.params["ScalableDimension"])
    backend = applicationautoscaling_backends[ACCOUNT][call.region]
    for policy in list(backend.policies.values()):
        if (policy.service_namespace, policy.resource_id, policy.scalable_dimension) == target:
            backend.delete_scaling_policy(policy.policy_name, *target)
    for found in backend.describe_scalable_targets(target[0], [target[1]], target[2]):
        call.state.scalable_target_tags.pop(found.arn, None)
    return proceed()
