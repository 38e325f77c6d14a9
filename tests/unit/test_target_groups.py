"""The module target_groups."""

from __future__ import annotations

import pytest

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}
HEALTH = {
    "protocol": "HTTP",
    "path": "/healthz",
    "interval": 10,
    "timeout": 5,
    "healthy_threshold": 2,
    "unhealthy_threshold": 3,
    "matcher": "200",
}
ATTRIBUTES = {"deregistration_delay.timeout_seconds": "15", "load_balancing.algorithm.type": "least_outstanding_requests"}


@pytest.fixture
def vpc_id(aws):
    """A VPC of the test's own."""
    return aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def group(name, **changed):
    return {"name": name, "port": 8080, "health_check": HEALTH, "attributes": ATTRIBUTES, "tags": {"threetier:tier": "web"}} | changed


def pair(vpc_id, prefix, **changed):
    groups = [group(f"{prefix}-web"), group(f"{prefix}-api", port=9090, tags={"threetier:tier": "api"})]
    return {"vpc_id": vpc_id, "target_groups": groups, "tags": TAGS} | changed


def described(aws, name):
    return aws("elbv2").describe_target_groups(Names=[name])["TargetGroups"][0]


def attributes(aws, name):
    answer = aws("elbv2").describe_target_group_attributes(TargetGroupArn=described(aws, name)["TargetGroupArn"])
    return {each["Key"]: each["Value"] for each in answer["Attributes"]}


def tags(aws, name):
    answer = aws("elbv2").describe_tags(ResourceArns=[described(aws, name)["TargetGroupArn"]])
    return {tag["Key"]: tag["Value"] for tag in answer["TagDescriptions"][0]["Tags"]}


def names(aws, prefix):
    found = aws("elbv2").describe_target_groups()["TargetGroups"]
    return sorted(each["TargetGroupName"] for each in found if each["TargetGroupName"].startswith(prefix))


def test_creates_the_set_and_answers_in_its_order(aws, vpc_id, check_run_check_run):
    done = check_run_check_run("target_groups", **pair(vpc_id, "tg-new"))
    assert [each["name"] for each in done["target_groups"]] == ["tg-new-web", "tg-new-api"]
    web = described(aws, "tg-new-web")
    assert done["target_groups"][0]["target_group_arn"] == web["TargetGroupArn"]
    assert (web["Port"], web["TargetType"], web["HealthCheckPath"], web["Matcher"]) == (8080, "ip", "/healthz", {"HttpCode": "200"})
    assert ATTRIBUTES.items() <= attributes(aws, "tg-new-web").items()
    assert tags(aws, "tg-new-web") == {"threetier:stack": "demo", "threetier:tier": "web"}
    assert tags(aws, "tg-new-api") == {"threetier:stack": "demo", "threetier:tier": "api"}


def test_a_preview_of_new_groups_says_what_stands_for_their_arns(run_module, requests):
    planned = state.planned("demo-vpc")
    previewed = run_module("target_groups", check=True, **pair(planned, "tg-planned"))
    arns = [each["target_group_arn"] for each in previewed["target_groups"]]
    assert arns == [state.planned("tg-planned-web"), state.planned("tg-planned-api")]
    assert previewed["diff"]["before"] == {}
    assert previewed["diff"]["after"]["tg-planned-api"]["VpcId"] == planned
    assert requests == ["DescribeTargetGroups"]


def test_an_unchanged_pair_costs_four_requests(vpc_id, run_module, requests):
    run_module("target_groups", **pair(vpc_id, "tg-count"))
    assert requests == ["DescribeTargetGroups", *["CreateTargetGroup", "ModifyTargetGroupAttributes"] * 2]
    requests.clear()
    assert not run_module("target_groups", **pair(vpc_id, "tg-count"))["changed"]
    assert requests == ["DescribeTargetGroups", "DescribeTags", *["DescribeTargetGroupAttributes"] * 2]


def test_changes_a_health_check_in_place_and_sends_only_what_differs(aws, vpc_id, run_module, check_run_check_run):
    run_module("target_groups", **pair(vpc_id, "tg-health"))
    slower = group("tg-health-web", health_check={"interval": 20, "matcher": "200-299"})
    done = check_run_check_run("target_groups", **pair(vpc_id, "tg-health", target_groups=[slower]))
    assert done["diff"] == {
        "before": {"tg-health-web": {"HealthCheckIntervalSeconds": 10, "Matcher": {"HttpCode": "200"}}},
        "after": {"tg-health-web": {"HealthCheckIntervalSeconds": 20, "Matcher": {"HttpCode": "200-299"}}},
    }
    web = described(aws, "tg-health-web")
    assert (web["HealthCheckIntervalSeconds"], web["HealthCheckTimeoutSeconds"], web["HealthCheckPath"]) == (20, 5, "/healthz")
    assert done["target_groups"][0]["health_check_interval_seconds"] == 20


def test_changes_only_the_attributes_that_differ(aws, vpc_id, run_module, check_run_check_run):
    run_module("target_groups", **pair(vpc_id, "tg-attr"))
    by_hand = {"TargetGroupArn": described(aws, "tg-attr-web")["TargetGroupArn"]}
    aws("elbv2").modify_target_group_attributes(**by_hand, Attributes=[{"Key": "stickiness.enabled", "Value": "true"}])
    # a number and a boolean, as YAML writes them
    wanted = [group("tg-attr-web", attributes={"deregistration_delay.timeout_seconds": 30, "stickiness.enabled": True})]
    done = check_run_check_run("target_groups", **pair(vpc_id, "tg-attr", target_groups=wanted))
    assert done["diff"]["after"] == {"tg-attr-web": {"deregistration_delay.timeout_seconds": "30"}}
    found = attributes(aws, "tg-attr-web")
    assert (found["deregistration_delay.timeout_seconds"], found["load_balancing.algorithm.type"]) == ("30", "least_outstanding_requests")


def test_mends_tags_and_purges_only_when_told(aws, vpc_id, run_module, check_run_check_run):
    run_module("target_groups", **pair(vpc_id, "tg-tags"))
    aws("elbv2").add_tags(ResourceArns=[described(aws, "tg-tags-web")["TargetGroupArn"]], Tags=[{"Key": "by", "Value": "hand"}])
    wanted = pair(vpc_id, "tg-tags", target_groups=[group("tg-tags-web", tags={"threetier:tier": "front"})])
    kept = check_run_check_run("target_groups", **wanted, purge_tags=False)
    assert kept["diff"]["after"] == {"tg-tags-web": {"tag threetier:tier": "front"}}
    assert tags(aws, "tg-tags-web")["by"] == "hand"
    check_run_check_run("target_groups", **wanted)
    assert tags(aws, "tg-tags-web") == {"threetier:stack": "demo", "threetier:tier": "front"}


def test_finishes_what_an_interrupted_run_began(aws, vpc_id, run_module, requests, answers):
    answers["ModifyTargetGroupAttributes"] = [refusal("AccessDenied")]
    with pytest.raises(ModuleFailed, match="AccessDenied"):
        run_module("target_groups", **pair(vpc_id, "tg-crash"))
    assert names(aws, "tg-crash") == ["tg-crash-web"]
    assert run_module("target_groups", **pair(vpc_id, "tg-crash"))["changed"]
    assert names(aws, "tg-crash") == ["tg-crash-api", "tg-crash-web"]
    assert ATTRIBUTES.items() <= attributes(aws, "tg-crash-web").items()


def test_names_all_that_aws_cannot_change_before_the_first_write(aws, vpc_id, run_module, requests):
    run_module("target_groups", **pair(vpc_id, "tg-fixed"))
    other = aws("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    api = group("tg-fixed-api", port=9090, target_type="instance", protocol="HTTPS")
    wanted = [group("tg-fixed-new"), group("tg-fixed-web", port=80), api]
    requests.clear()
    with pytest.raises(ModuleFailed) as failed:
        run_module("target_groups", **pair(other, "tg-fixed", target_groups=wanted))
    for part in ("tg-fixed-web' has Port 8080, not 80", "VpcId", "has TargetType ip, not instance", "Protocol HTTP, not HTTPS"):
        assert part in str(failed.value)
    assert requests == ["DescribeTargetGroups", "DescribeTags"]


def test_refuses_a_group_of_somebody_else_and_never_removes_it(aws, vpc_id, run_module):
    run_module("target_groups", **pair(vpc_id, "tg-foreign", tags={"threetier:stack": "theirs"}))
    with pytest.raises(ModuleFailed, match="tg-foreign-web' is somebody else's, it lacks the tag.s. threetier:stack=demo"):
        run_module("target_groups", **pair(vpc_id, "tg-foreign"))
    done = run_module("target_groups", target_groups=[{"name": "tg-foreign-web"}], tags=TAGS, state="absent")
    assert not done["changed"] and names(aws, "tg-foreign") == ["tg-foreign-api", "tg-foreign-web"]


def test_names_every_problem_of_the_input_before_the_first_request(run_module, requests):
    wanted = [group("-bad"), group("twice"), group("twice", port=None), group("slow", health_check={"interval": 5, "timeout": 5})]
    with pytest.raises(ModuleFailed) as failed:
        run_module("target_groups", vpc_id="vpc-1", target_groups=wanted, tags=TAGS)
    for part in ("'-bad': a name has", "'twice' is given 2 times", "'twice' has port None", "'slow' has a health check with timeout 5"):
        assert part in str(failed.value)
    with pytest.raises(ModuleFailed, match="tags is empty"):
        run_module("target_groups", target_groups=[{"name": "any"}], tags={}, state="absent")
    assert requests == []


def test_waits_until_a_new_vpc_is_known(vpc_id, run_module, requests, answers):
    answers["CreateTargetGroup"] = [refusal("ValidationError", f"The VPC ID '{vpc_id}' is not found")]
    run_module("target_groups", vpc_id=vpc_id, target_groups=[group("tg-vpc")], tags=TAGS)
    assert requests == ["DescribeTargetGroups", *["CreateTargetGroup"] * 2, "ModifyTargetGroupAttributes"]


def test_waits_until_a_new_group_is_known(vpc_id, run_module, requests, answers):
    answers["ModifyTargetGroupAttributes"] = [refusal("TargetGroupNotFound")]
    run_module("target_groups", vpc_id=vpc_id, target_groups=[group("tg-new")], tags=TAGS)
    assert requests.count("ModifyTargetGroupAttributes") == 2


def test_removes_the_set_and_has_patience_with_a_listener_that_goes(aws, vpc_id, run_module, check_run_check_run, requests, answers):
    run_module("target_groups", **pair(vpc_id, "tg-gone"))
    run_module("target_groups", vpc_id=vpc_id, target_groups=[group("tg-gone-not")], tags=TAGS)
    absent = {"target_groups": [{"name": "tg-gone-web"}, {"name": "tg-gone-api"}], "tags": TAGS, "state": "absent"}
    answers["DeleteTargetGroup"] = [refusal("ResourceInUse")] * 2
    requests.clear()
    check_run_check_run("target_groups", **absent)
    assert names(aws, "tg-gone") == ["tg-gone-not"]
    assert requests.count("DeleteTargetGroup") == 4


def test_finds_tags_of_more_groups_than_aws_takes_at_once(vpc_id, run_module, requests):
    many = {"vpc_id": vpc_id, "target_groups": [group(f"tg-many-{number}", attributes=None) for number in range(21)], "tags": TAGS}
    run_module("target_groups", **many)
    requests.clear()
    assert not run_module("target_groups", **many)["changed"]
    assert requests.count("DescribeTags") == 2
