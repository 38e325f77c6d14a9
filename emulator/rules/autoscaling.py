"""EC2 Auto Scaling: groups. Where no code is named, the error is ValidationError."""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, autoscaling_backends
from moto.autoscaling.models import InstanceState as Member

from emulator import capacity
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ec2 import ec2_of
from emulator.rules.ec2_instances import shut_down
from emulator.wire import ACCOUNT

NEWEST = ("$Latest", "$Default")


def invalid(message: str) -> AwsError:
    """The error that EC2 Auto Scaling answers to most wrong requests."""
    return AwsError("ValidationError", message)


def backend_of(call: Call) -> AutoScalingBackend:
    """Moto's EC2 Auto Scaling in the region of a call."""
    return autoscaling_backends[ACCOUNT][call.region]


def group_of(call: Call) -> FakeAutoScalingGroup | None:
    """The group that a call names."""
    return backend_of(call).autoscaling_groups.get(call.params.get("AutoScalingGroupName", ""))


def shut_down_given_up(call: Call, members: list[Member]) -> None:
    """Let instances that a group has given up shut down before they are terminated, as those of TerminateInstances do."""
    for instance in [member.instance for member in members if member.instance.state == "terminated"]:
        shut_down(call, instance)


@rule("autoscaling", "CreateAutoScalingGroup", "UpdateAutoScalingGroup", "SetDesiredCapacity")
def instances_take_their_time(call: Call, proceed: Proceed) -> Answer:
    """A new instance is Pending until it is in service, and shutting down before it is terminated. Moto has neither state.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
    """
    group = group_of(call)
    before = list(group.instance_states) if group else []
    answer = proceed()
    if group := group_of(call):
        capacity.launch(call.state, group, before)
        shut_down_given_up(call, before)
    return answer


@rule("autoscaling", "DescribeAutoScalingGroups", "DescribeAutoScalingInstances")
def lifecycle_of_instances_and_groups(call: Call, proceed: Proceed) -> Answer:
    """An instance that starts is Pending, a group that goes has the status "Delete in progress". Moto has neither state.

    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingGroup.html
    """
    answer = proceed()
    pending = {member.instance.id for member in list(capacity.launching)}
    going = {group.name for group in list(capacity.deleting)}
    groups: list[dict[str, Any]] = answer.get("AutoScalingGroups", [])
    for group in groups:
        if group["AutoScalingGroupName"] in going:
            group["Status"] = "Delete in progress"
    for instance in [*answer.get("AutoScalingInstances", []), *(each for group in groups for each in group.get("Instances", []))]:
        if instance["InstanceId"] in pending:
            instance["LifecycleState"] = "Pending"
    return answer


@rule("autoscaling", "DeleteAutoScalingGroup")
def delete_group(call: Call, proceed: Proceed) -> Answer:
    """ForceDelete terminates the instances, protected ones too; the group is there until they are gone. In moto protected ones run on.

    Moto could take a part of it: the protected ones.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html
    """
    group, backend = group_of(call), backend_of(call)
    if group is None or not group.instance_states:
        return proceed()
    members = list(group.instance_states)
    for member in members:
        member.protected_from_scale_in = False
    group.set_desired_capacity(0)
    shut_down_given_up(call, members)
    capacity.deleting.add(group)

    def gone() -> None:
        if backend.autoscaling_groups.get(group.name) is group:
            backend.delete_auto_scaling_group(group.name)
        capacity.deleting.discard(group)

    call.state.clock.after("group_deleted", group.name, gone)
    return {}


@rule("autoscaling", "DeleteAutoScalingGroup")
def group_with_instances(call: Call, proceed: Proceed) -> Answer:
    """A group with instances is deleted by force alone: ResourceInUse. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html
    """
    group = group_of(call)
    if group and group.instance_states and not call.params.get("ForceDelete"):
        raise AwsError("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances still in the group.")
    return proceed()


@rule("autoscaling", "UpdateAutoScalingGroup", "SetDesiredCapacity", "DeleteAutoScalingGroup")
def group_in_deletion(call: Call, proceed: Proceed) -> Answer:
    """A group that is going cannot be changed: ScalingActivityInProgress. Moto's go at once.

    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html
    """
    if (group := group_of(call)) in capacity.deleting and group:
        raise AwsError("ScalingActivityInProgress", f"AutoScalingGroup {group.name} is pending delete.")
    return proceed()


@rule("autoscaling", "CreateAutoScalingGroup")
def group_name_is_free(call: Call, proceed: Proceed) -> Answer:
    """A group of that name, a going one too: AlreadyExists. Moto puts the new one in its place.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
    """
    if group := group_of(call):
        message = f"AutoScalingGroup by this name already exists - A group with the name {group.name} already exists"
        raise AwsError("AlreadyExists", message + (" and is pending delete" if group in capacity.deleting else ""))
    return proceed()


@rule("autoscaling", "CreateAutoScalingGroup", "UpdateAutoScalingGroup")
def sizes_in_order(call: Call, proceed: Proceed) -> Answer:
    """The desired capacity lies between the smallest and the largest size. Moto takes any numbers.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-capacity-limits.html
    """
    group, params = group_of(call), call.params
    least, most = params.get("MinSize", group.min_size if group else 0), params.get("MaxSize", group.max_size if group else 0)
    if least > most:
        raise invalid(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    desired = params.get("DesiredCapacity")
    if desired is not None and not least <= desired <= most:
        raise invalid(f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}")
    return proceed()


@rule("autoscaling", "SetDesiredCapacity")
def desired_capacity_in_range(call: Call, proceed: Proceed) -> Answer:
    """The desired capacity lies between the smallest and the largest size. Moto takes any number.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetDesiredCapacity.html
    """
    group, desired = group_of(call), call.params["DesiredCapacity"]
    if group and desired > int(group.max_size or 0):
        raise invalid(f"New SetDesiredCapacity value {desired} is above max value {group.max_size} for the AutoScalingGroup.")
    if group and desired < int(group.min_size or 0):
        raise invalid(f"New SetDesiredCapacity value {desired} is below min value {group.min_size} for the AutoScalingGroup.")
    return proceed()


@rule("autoscaling", "CreateAutoScalingGroup", "UpdateAutoScalingGroup")
def launch_template_exists(call: Call, proceed: Proceed) -> Answer:
    """The launch template and its version exist. Moto answers with EC2's error to the first, and takes any version.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateSpecification.html
    """
    given, ec2 = call.params.get("LaunchTemplate"), ec2_of(call)
    if given:
        name, identifier = given.get("LaunchTemplateName"), given.get("LaunchTemplateId")
        template = ec2.launch_templates.get(identifier or ec2.launch_template_name_to_ids.get(name, ""))
        if template is None:
            what = f"template ID {identifier}" if identifier else f"template name {name}"
            raise invalid(f"You must use a valid fully-formed launch template. The specified launch template, with {what}, does not exist.")
        version = given.get("Version") or "$Default"
        if version not in NEWEST and version not in [str(known.number) for known in template.versions]:
            raise invalid(
                f"You must use a valid fully-formed launch template. Could not find launch template version {version} of {template.id}."
            )
    return proceed()


@rule("autoscaling", "CreateAutoScalingGroup", "UpdateAutoScalingGroup")
def group_subnets_exist(call: Call, proceed: Proceed) -> Answer:
    """The subnets exist. Moto answers with EC2's error.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
    """
    known = {subnet for zone in ec2_of(call).subnets.values() for subnet in zone}
    if missing := [
        subnet for subnet in call.params.get("VPCZoneIdentifier", "").split(",") if subnet.strip() and subnet.strip() not in known
    ]:
        raise invalid(f"The subnet ID '{missing[0]}' does not exist")
    return proceed()
