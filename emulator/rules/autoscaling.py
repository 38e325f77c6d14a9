"""EC2 Auto Scaling."""

from __future__ import annotations

from moto.autoscaling.models import autoscaling_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT


@rule("autoscaling", "DeleteAutoScalingGroup")
def only_force_takes_the_instances_along(call: Call, proceed: Proceed) -> Answer:
    """A group with instances is only deleted with ForceDelete, which terminates protected ones too. In moto they run on without a group.

    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html
    """
    group = autoscaling_backends[ACCOUNT][call.region].autoscaling_groups.get(call.params["AutoScalingGroupName"])
    if group and group.instance_states:
        if not call.params.get("ForceDelete"):
            raise AwsError("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances still in the group.")
        for member in group.instance_states:
            member.protected_from_scale_in = False
    return proceed()
