"""EC2: what moto answers differently."""

from __future__ import annotations

from emulator.rules import Answer, Call, Proceed, rule


@rule("ec2", "DescribeTags")
def nat_gateways_are_natgateway(call: Call, proceed: Proceed) -> Answer:
    """The resource type of a NAT gateway is C(natgateway) on AWS; moto calls it C(nat-gateway), so a filter for AWS's word finds nothing.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html
    """
    call.body = call.body.replace(b"=natgateway", b"=nat-gateway")
    answer = proceed()
    for tag in answer.get("Tags", []):
        if tag.get("ResourceType") == "nat-gateway":
            tag["ResourceType"] = "natgateway"
    return answer


@rule("ec2", "DescribeLaunchTemplateVersions")
def tags_of_the_template_are_not_in_its_versions(call: Call, proceed: Proceed) -> Answer:
    """The tags of a launch template itself are no part of its versions' data; moto puts them there, so that the first version differs from all others.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
    """
    answer = proceed()
    for version in answer.get("LaunchTemplateVersions", []):
        data = version["LaunchTemplateData"]
        data["TagSpecifications"] = [tags for tags in data.get("TagSpecifications", []) if tags["ResourceType"] != "launch-template"]
    return answer
