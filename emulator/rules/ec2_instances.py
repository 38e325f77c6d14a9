"""EC2: instances, their launch templates and their interfaces."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from moto.core.types import Base64EncodedString
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.ec2.models.instances import Instance, InstanceState, MetadataOptions
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ssm.models import ssm_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ec2 import ec2_of, found, invalid
from emulator.wire import ACCOUNT

TEMPLATE_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")
PARAMETER = "resolve:ssm:"
TEMPLATE_TAG = "aws:ec2launchtemplate:"


def template_data(call: Call) -> dict[str, Any]:
    """The data of the launch template that a call names, empty where there is none."""
    named = call.params.get("LaunchTemplate")
    version = found(ec2_of(call)._get_template_from_args, named) if named else None
    return version.data if version else {}


@rule("ec2", "RunInstances")
def instance_starts_pending(call: Call, proceed: Proceed) -> Answer:
    """A new instance is C(pending), then C(running). Moto's runs at once.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
    """
    answer = proceed()
    for described in answer["Instances"]:
        instance = ec2_of(call).get_instance(described["InstanceId"])
        instance._state, described["State"] = InstanceState(), {"Name": "pending", "Code": 0}
        call.state.clock.after("instance_running", instance.id, lambda instance=instance: move(instance, "pending", "running", 16))
    return answer


@rule("ec2", "TerminateInstances")
def instance_shuts_down_first(call: Call, proceed: Proceed) -> Answer:
    """An instance that is terminated is C(shutting-down), then C(terminated), and keeps its interface until then. Moto's is gone at once.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
    """
    ended = {instance.id for instance in ec2_of(call).all_instances() if instance.state == "terminated"}
    answer = proceed()
    for described in answer["TerminatingInstances"]:
        instance = ec2_of(call).get_instance(described["InstanceId"])
        if instance.id not in ended:
            shut_down(call, instance)
            described["CurrentState"] = {"Name": "shutting-down", "Code": 32}
    return answer


def shut_down(call: Call, instance: Instance) -> None:
    """Let an instance shut down before it is terminated."""
    instance._state = InstanceState("shutting-down", 32)
    call.state.clock.after("instance_terminated", instance.id, lambda: move(instance, "shutting-down", "terminated", 48))


def move(instance: Instance, before: str, name: str, code: int) -> None:
    """Take an instance to its next state, unless it has been taken elsewhere meanwhile."""
    if instance.state == before:
        instance._state = InstanceState(name, code)


@rule("ec2", "RunInstances", "CreateNetworkInterface")
def group_of_an_interface_unknown(call: Call, proceed: Proceed) -> Answer:
    """The groups exist: InvalidGroup.NotFound for an instance, InvalidSecurityGroupID.NotFound for an interface.

    Moto makes a group of that id. Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    code = "InvalidGroup.NotFound" if call.operation == "RunInstances" else "InvalidSecurityGroupID.NotFound"
    groups = [*call.params.get("SecurityGroupIds", []), *call.params.get("Groups", [])]
    for group_id in [*groups, *(group for each in call.params.get("NetworkInterfaces", []) for group in each.get("Groups", []))]:
        if not ec2_of(call).get_security_group_from_id(group_id):
            raise AwsError(code, f"The security group '{group_id}' does not exist")
    return proceed()


@rule("ec2", "RunInstances")
def instance_type(call: Call, proceed: Proceed) -> Answer:
    """The region has the instance type: InvalidParameterValue. Moto checks on demand only, with InvalidInstanceType.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    wanted = call.params.get("InstanceType") or template_data(call).get("InstanceType")
    offered = {offering["InstanceType"] for offering in INSTANCE_TYPE_OFFERINGS["region"].get(call.region, [])}
    if wanted and wanted not in offered:
        raise invalid(f"Invalid value '{wanted}' for InstanceType.")
    return proceed()


@rule("ec2", "RunInstances", "CreateNetworkInterface")
def groups_of_the_subnets_vpc(call: Call, proceed: Proceed) -> Answer:
    """The security groups are those of the subnet's VPC: InvalidParameter. Moto takes those of any.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/userguide/security-groups.html
    """
    backend = ec2_of(call)
    data = template_data(call) | call.params
    wanted = [(data.get("SubnetId"), data.get("SecurityGroupIds", []) + call.params.get("Groups", []))]
    wanted += [(each.get("SubnetId"), each.get("Groups", [])) for each in data.get("NetworkInterfaces", [])]
    for subnet_id, group_ids in wanted:
        subnet = found(backend.get_subnet, subnet_id) if subnet_id else None
        for group in filter(None, map(backend.get_security_group_from_id, group_ids)):
            if subnet and group.vpc_id != subnet.vpc_id:
                raise AwsError("InvalidParameter", f"Security group {group.id} and subnet {subnet.id} belong to different networks.")
    return proceed()


@rule("ec2", "DescribeInstances")
def metadata_options_of_the_template(call: Call, proceed: Proceed) -> Answer:
    """Instances have the metadata options of their launch template, such as IMDSv2.

    Moto's have the default: it reads the template's tags, but not these. Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-options.html
    """
    backend = ec2_of(call)
    for instance in backend.all_instances():
        if "options_of_template" in instance.__dict__:
            continue
        instance.options_of_template = True
        tags = backend.tags.get(instance.id, {})
        template = backend.launch_templates.get(tags.get(f"{TEMPLATE_TAG}id", ""))
        if template and vars(instance.metadata_options) == vars(MetadataOptions()):
            # Moto notes the default version, whichever the instance's group has.
            group = getattr(instance, "autoscaling_group", None)
            version = getattr(group, "launch_template_version", None) or tags[f"{TEMPLATE_TAG}version"]
            instance.metadata_options = MetadataOptions(template.get_version(version).data.get("MetadataOptions"))
    return proceed()


@rule("ec2", "CreateLaunchTemplate")
def launch_template_name(call: Call, proceed: Proceed) -> Answer:
    """A name has 3 to 128 letters, digits and C(().-/_): InvalidLaunchTemplateName.MalformedException. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
    """
    if not TEMPLATE_NAME.fullmatch(call.params.get("LaunchTemplateName", "")):
        raise AwsError(
            "InvalidLaunchTemplateName.MalformedException",
            "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: "
            "- ( ) . / _",
        )
    return proceed()


@rule("ec2", "CreateLaunchTemplate", "CreateLaunchTemplateVersion")
def launch_template_tags(call: Call, proceed: Proceed) -> Answer:
    """Tags that a template gives to instances must not begin with C(aws:): InvalidTagKey.Malformed. Moto takes them.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
    """
    for specification in call.params.get("LaunchTemplateData", {}).get("TagSpecifications", []):
        for tag in specification.get("Tags", []):
            if str(tag.get("Key")).lower().startswith("aws:"):
                message = f"The tag key '{tag['Key']}' is not valid. Tag keys starting with 'aws:' are reserved for internal use."
                raise AwsError("InvalidTagKey.Malformed", message)
    return proceed()


class ImageByParameter(LaunchTemplateVersion):
    """A version whose image is what the SSM parameter that it names holds at that moment."""

    @property
    def image_id(self) -> str:
        return image_of(self.data["ImageId"], self.template.ec2_backend.region_name)


def image_of(named: str, region: str) -> str:
    """The id that the parameter holds which is named in an image's place."""
    return str(ssm_backends[ACCOUNT][region].get_parameter(named.removeprefix(PARAMETER)).value)


@rule("ec2", "CreateLaunchTemplate", "CreateLaunchTemplateVersion", "RunInstances")
def image_by_parameter(call: Call, proceed: Proceed) -> Answer:
    """C(resolve:ssm:PARAMETER) is looked up whenever an instance starts. Moto takes it for the id of an image.

    Moto could take it.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameter-to-find-AMI.html
    """
    if str(call.params.get("ImageId", "")).startswith(PARAMETER):
        call.params["ImageId"] = image_of(call.params["ImageId"], call.region)
        form = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
        call.body = urlencode(form | {"ImageId": call.params["ImageId"]}).encode()
    answer = proceed()
    if str(call.params.get("LaunchTemplateData", {}).get("ImageId", "")).startswith(PARAMETER):
        named = answer.get("LaunchTemplate") or answer["LaunchTemplateVersion"]
        ec2_of(call).get_launch_template(named["LaunchTemplateId"]).versions[-1].__class__ = ImageByParameter
    return answer


@rule("ec2", "CreateLaunchTemplateVersion")
def later_version_with_user_data(call: Call, proceed: Proceed) -> Answer:
    """A group starts instances from any version with user data. Moto breaks on each but the first.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
    """
    answer = proceed()
    data = ec2_of(call).get_launch_template(answer["LaunchTemplateVersion"]["LaunchTemplateId"]).versions[-1].data
    if isinstance(data.get("UserData"), str):
        data["UserData"] = Base64EncodedString(data["UserData"])
    return answer


@rule("ec2", "DescribeLaunchTemplates", "DeleteLaunchTemplate", "ModifyLaunchTemplate", "RunInstances")
def launch_template_unknown(call: Call, proceed: Proceed) -> Answer:
    """A template that is not there is InvalidLaunchTemplateId.NotFound. Moto leaves it out of its answer, names another error, or breaks.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    named = [call.params.get("LaunchTemplateId"), call.params.get("LaunchTemplate", {}).get("LaunchTemplateId")]
    for template_id in [*call.params.get("LaunchTemplateIds", []), *filter(None, named)]:
        if template_id not in ec2_of(call).launch_templates:
            message = f"The specified launch template, with template ID {template_id}, does not exist."
            raise AwsError("InvalidLaunchTemplateId.NotFound", message)
    return proceed()


@rule("ec2", "DescribeLaunchTemplates")
def tags_of_the_template_as_they_are(call: Call, proceed: Proceed) -> Answer:
    """A launch template is described with the tags that it has. Moto describes it with those that it was made with.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplate.html
    """
    answer = proceed()
    for template in answer.get("LaunchTemplates", []):
        tags = ec2_of(call).tags.get(template["LaunchTemplateId"], {})
        template["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return answer


@rule("ec2", "DescribeLaunchTemplateVersions")
def tags_of_the_template_are_not_in_its_versions(call: Call, proceed: Proceed) -> Answer:
    """The tags of a launch template itself are no part of its versions' data.

    Moto puts them there, so that the first version differs from all others. Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
    """
    answer = proceed()
    for version in answer.get("LaunchTemplateVersions", []):
        data = version["LaunchTemplateData"]
        data["TagSpecifications"] = [tags for tags in data.get("TagSpecifications", []) if tags["ResourceType"] != "launch-template"]
    return answer
