"""The module launch_template."""

from __future__ import annotations

from base64 import b64encode
from uuid import uuid4

import pytest

from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}
UNCHANGED = ["DescribeLaunchTemplates", "DescribeLaunchTemplateVersions"]
USER_DATA = "#!/bin/bash\necho demo\n"
MODULE = "launch_template"


@pytest.fixture
def demo():
    """The options of a template with all that the cluster's has."""
    return {
        "name": f"demo-{uuid4()}",
        "image_id": "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
        "instance_type": "t3.medium",
        "iam_instance_profile": "demo-instance",
        "security_group_ids": ["sg-00000000000000002", "sg-00000000000000001"],
        "metadata_options": {"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
        "block_device_mappings": [
            {
                "device_name": "/dev/xvda",
                "ebs": {"volume_type": "gp3", "volume_size": 30, "encrypted": True, "delete_on_termination": True},
            }
        ],
        "user_data": b64encode(USER_DATA.encode()).decode(),
        "tag_specifications": [{"resource_type": kind, "tags": {**TAGS, "count": 2}} for kind in ("instance", "volume")],
        "tags": TAGS,
    }


def described(aws, name):
    [template] = aws("ec2").describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
    return template


def newest(aws, name):
    [version] = aws("ec2").describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Latest"])["LaunchTemplateVersions"]
    return version["LaunchTemplateData"]


def by_hand(aws, name, **changes):
    data = {**newest(aws, name), **changes}
    aws("ec2").create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)


def test_creates_a_template_and_answers_as_the_preview_did(aws, demo, run_module, check_run_check_run):
    preview = run_module(MODULE, check=True, **demo)["launch_template"]
    assert preview["launch_template_id"] == f"(known once {demo['name']} exists)"
    done = check_run_check_run(MODULE, **demo)
    template, data = described(aws, demo["name"]), newest(aws, demo["name"])
    template_id = template["LaunchTemplateId"]
    assert done["launch_template"] == {"name": demo["name"], "launch_template_id": template_id, "version": 1, "tags": TAGS}
    assert data["IamInstanceProfile"] == {"Name": "demo-instance"} and data["UserData"] == demo["user_data"]
    assert data["BlockDeviceMappings"] == [
        {
            "DeviceName": "/dev/xvda",
            "Ebs": {"VolumeType": "gp3", "VolumeSize": 30, "Encrypted": True, "DeleteOnTermination": True},
        }
    ]
    assert data["TagSpecifications"][1] == {
        "ResourceType": "volume",
        "Tags": [{"Key": "threetier:stack", "Value": "demo"}, {"Key": "count", "Value": "2"}],
    }
    created = done["diff"]["after"][demo["name"]]
    assert created["user_data"] == USER_DATA and created["block_device_mappings./dev/xvda.volume_size"] == 30
    assert done["changes"]["created"] == [demo["name"]]


def test_an_unchanged_template_costs_two_requests(demo, run_module, requests):
    run_module(MODULE, **demo)
    assert requests == ["DescribeLaunchTemplates", "CreateLaunchTemplate"]
    requests.clear()
    assert run_module(MODULE, **demo)["changes"]["unchanged"] == [demo["name"]]
    assert requests == UNCHANGED


def test_what_only_aws_writes_in_another_way_is_no_difference(aws, demo, run_module):
    run_module(MODULE, **demo)
    profile = {"Arn": "arn:aws:iam::123456789012:instance-profile/a/path/demo-instance"}
    options = {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1, "HttpProtocolIpv6": "disabled"}
    by_hand(aws, demo["name"], IamInstanceProfile=profile, MetadataOptions=options)
    aws("ec2").modify_launch_template(LaunchTemplateName=demo["name"], DefaultVersion="2")
    swapped = {**demo, "security_group_ids": demo["security_group_ids"][::-1], "tag_specifications": demo["tag_specifications"][::-1]}
    done = run_module(MODULE, **swapped)
    assert not done["changed"] and done["launch_template"]["version"] == 2


def test_a_difference_makes_a_new_version_the_default_one(aws, demo, run_module, check_run_check_run, sent, requests):
    run_module(MODULE, **demo)
    [mapping] = demo["block_device_mappings"]
    wider = {"device_name": "/dev/xvda", "ebs": {**mapping["ebs"], "volume_size": 50}}
    wanted = {**demo, "instance_type": "t3.large", "block_device_mappings": [wider]}
    preview = run_module(MODULE, check=True, **wanted)["launch_template"]["version"]
    assert preview == f"(known once the new version of {demo['name']} exists)"
    sent.clear()
    done = check_run_check_run(MODULE, **wanted)
    assert done["diff"] == {
        "before": {demo["name"]: {"instance_type": "t3.medium", "block_device_mappings./dev/xvda.volume_size": 30}},
        "after": {demo["name"]: {"instance_type": "t3.large", "block_device_mappings./dev/xvda.volume_size": 50}},
    }
    assert done["changes"]["changed"] == [demo["name"]] and done["launch_template"]["version"] == 2
    assert described(aws, demo["name"])["DefaultVersionNumber"] == 2
    [request] = [request for operation, request in sent if operation == "CreateLaunchTemplateVersion"]
    assert "SourceVersion" not in request and request["LaunchTemplateData"].keys() == newest(aws, demo["name"]).keys()


def test_an_option_that_is_no_longer_given_and_a_setting_by_hand_go(aws, demo, run_module, check_run_check_run):
    run_module(MODULE, **demo)
    extra = [{"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 8}}]
    by_hand(aws, demo["name"], KeyName="mine", BlockDeviceMappings=newest(aws, demo["name"])["BlockDeviceMappings"] + extra)
    bare = {option: value for option, value in demo.items() if option not in ("user_data", "metadata_options")}
    bare["tag_specifications"] = [{"resource_type": "instance", "tags": {"count": 2}}]
    done = check_run_check_run(MODULE, **bare)
    assert done["diff"]["before"][demo["name"]] == {
        "tag_specifications.instance.threetier:stack": "demo",
        "tag_specifications.volume.threetier:stack": "demo",
        "tag_specifications.volume.count": "2",
        "key_name": "mine",
        "user_data": USER_DATA,
        "block_device_mappings./dev/xvdb.volume_size": 8,
        "metadata_options.http_endpoint": "enabled",
        "metadata_options.http_tokens": "required",
        "metadata_options.http_put_response_hop_limit": 1,
        "default_version": 1,
    }
    assert {"KeyName", "UserData", "MetadataOptions"}.isdisjoint(newest(aws, demo["name"]))


def test_makes_the_newest_version_the_default_one_again(aws, demo, run_module, check_run_check_run, requests, answers):
    run_module(MODULE, **demo)
    answers["ModifyLaunchTemplate"] = [refusal("UnauthorizedOperation")]
    with pytest.raises(ModuleFailed):
        run_module(MODULE, **{**demo, "instance_type": "t3.large"})
    answers["ModifyLaunchTemplate"] = [refusal("InvalidLaunchTemplateId.VersionNotFound")]
    done = check_run_check_run(MODULE, **{**demo, "instance_type": "t3.large"})
    assert done["diff"] == {"before": {demo["name"]: {"default_version": 1}}, "after": {demo["name"]: {"default_version": "$Latest"}}}
    assert described(aws, demo["name"])["DefaultVersionNumber"] == described(aws, demo["name"])["LatestVersionNumber"] == 2


def test_mends_the_tags_of_the_template_without_a_new_version(demo, run_module, check_run_check_run, requests):
    run_module(MODULE, **{**demo, "tags": {"threetier:stack": "old", "team": "x"}})
    done = check_run_check_run(MODULE, **demo)
    assert done["diff"]["before"] == {demo["name"]: {"tag threetier:stack": "old", "tag team": "x"}}
    assert done["launch_template"]["version"] == 1 and done["launch_template"]["tags"] == TAGS
    assert requests[-8:-4] == [*UNCHANGED, "CreateTags", "DeleteTags"]


def test_names_every_problem_before_the_first_request(demo, run_module, requests):
    wrong = {**demo, "name": "a b", "user_data": "#!/bin/bash", "block_device_mappings": demo["block_device_mappings"] * 2}
    with pytest.raises(ModuleFailed) as failed:
        run_module(MODULE, **wrong)
    for said in ("not 'a b'", "user_data must be base64", "block_device_mappings has the device_name /dev/xvda 2 times"):
        assert said in str(failed.value)
    with pytest.raises(ModuleFailed, match="16385 bytes"):
        run_module(MODULE, **{**demo, "user_data": b64encode(b"x" * 16385).decode()})
    assert requests == []


def test_passes_on_what_ec2_thinks_wrong_of_a_version(demo, run_module, requests, answers):
    warning = {"Errors": [{"Code": "InvalidInstanceType", "Message": "no such type"}]}
    answers["CreateLaunchTemplate"] = [lambda answer: {**answer, "Warning": warning}]
    assert "InvalidInstanceType: no such type" in str(run_module(MODULE, **demo)["warnings"])


def test_removes_its_own_only(aws, demo, run_module, check_run_check_run, requests, answers):
    run_module(MODULE, **demo)
    run_module(MODULE, **{**demo, "instance_type": "t3.large"})
    assert not run_module(MODULE, name=demo["name"], tags={**TAGS, "team": "x"}, state="absent")["changed"]
    done = check_run_check_run(MODULE, name=demo["name"], tags=TAGS, state="absent")
    assert done["changes"]["deleted"] == [demo["name"]]
    run_module(MODULE, **demo)
    answers["DeleteLaunchTemplate"] = [refusal("InvalidLaunchTemplateId.NotFound")]
    assert run_module(MODULE, name=demo["name"], state="absent")["changed"]
