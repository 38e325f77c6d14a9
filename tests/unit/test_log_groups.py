"""The module log_groups."""

from __future__ import annotations

import json
import uuid

import pytest

from ansible_collections.threetier.aws.plugins.modules.log_groups import prefixes
from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}


@pytest.fixture
def logs(aws):
    return aws("logs")


@pytest.fixture
def folder():
    """A folder of names of the test's own."""
    return f"/threetier/{uuid.uuid4().hex}"


def groups(logs, folder):
    return {group["logGroupName"]: group for group in logs.describe_log_groups(logGroupNamePrefix=folder)["logGroups"]}


def tags_of(logs, group):
    return logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]


def test_creates_the_set_and_answers_in_its_order(logs, folder, check_run_check_run):
    web, api = f"{folder}/web", f"{folder}/api"
    wanted = [{"name": web, "retention_in_days": 30, "tags": {"threetier:tier": "web"}}, {"name": api}]
    done = check_run_check_run("log_groups", log_groups=wanted, tags=TAGS)
    found = groups(logs, folder)
    arn = f"arn:aws:logs:eu-central-1:123456789012:log-group:{folder}"
    assert done["log_groups"] == [
        {"name": web, "arn": f"{arn}/web", "retention_in_days": 30, "kms_key_id": None, "tags": {**TAGS, "threetier:tier": "web"}},
        {"name": api, "arn": f"{arn}/api", "retention_in_days": None, "kms_key_id": None, "tags": TAGS},
    ]
    assert (found[web]["retentionInDays"], found[api].get("retentionInDays")) == (30, None)
    assert tags_of(logs, found[web]) == {**TAGS, "threetier:tier": "web"}
    assert done["diff"]["before"] == {} and done["diff"]["after"][api] == {"tags": TAGS}
    assert done["diff"]["after"][web] == {"retention_in_days": 30, "tags": {**TAGS, "threetier:tier": "web"}}


def test_an_unchanged_set_costs_one_request_and_one_a_group(folder, run_module, requests):
    wanted = [{"name": f"{folder}/{tier}", "retention_in_days": 30} for tier in ("web", "api", "flow-logs")]
    run_module("log_groups", log_groups=wanted, tags=TAGS)
    assert requests == ["DescribeLogGroups", *["CreateLogGroup", "PutRetentionPolicy"] * 3, "DescribeLogGroups"]
    requests.clear()
    assert not run_module("log_groups", log_groups=wanted, tags=TAGS)["changed"]
    assert requests == ["DescribeLogGroups", *["ListTagsForResource"] * 3]


def test_asks_for_what_names_of_a_folder_share_and_never_for_the_whole_account():
    names = ["/threetier/demo/web", "/aws/ecs/containerinsights/demo/performance", "/threetier/demo/api", "/one", "/two", "three"]
    assert prefixes(names) == ["/threetier/demo/", "/aws/ecs/containerinsights/demo/performance", "/one", "/two", "three"]


def test_leaves_groups_whose_names_only_begin_the_same(logs, folder, check_run_check_run):
    logs.create_log_group(logGroupName=f"{folder}/web-old")
    check_run_check_run("log_groups", log_groups=[{"name": f"{folder}/web"}], tags=TAGS)
    check_run_check_run("log_groups", log_groups=[{"name": f"{folder}/web"}], state="absent")
    assert list(groups(logs, folder)) == [f"{folder}/web-old"]


@pytest.mark.parametrize("before, after", [(30, 1096), (30, None), (None, 7)])
def test_changes_the_retention_without_a_loss(logs, folder, run_module, check_run_check_run, before, after):
    name = f"{folder}/web"
    run_module("log_groups", log_groups=[{"name": name, "retention_in_days": before}])
    logs.create_log_stream(logGroupName=name, logStreamName="kept")
    done = check_run_check_run("log_groups", log_groups=[{"name": name, "retention_in_days": after}])
    assert done["diff"] == {"before": {name: {"retention_in_days": before}}, "after": {name: {"retention_in_days": after}}}
    assert groups(logs, folder)[name].get("retentionInDays") == after
    assert logs.describe_log_streams(logGroupName=name)["logStreams"]


def test_a_preview_of_another_retention_writes_nothing(logs, folder, run_module):
    run_module("log_groups", log_groups=[{"name": f"{folder}/web", "retention_in_days": 30}])
    run_module("log_groups", check=True, log_groups=[{"name": f"{folder}/web", "retention_in_days": 7}])
    assert groups(logs, folder)[f"{folder}/web"]["retentionInDays"] == 30


def test_leaves_the_retention_to_a_policy_of_the_account(folder, run_module, requests, answers):
    wanted = [{"name": f"{folder}/web", "retention_in_days": 30}]
    run_module("log_groups", log_groups=wanted)
    ruled = {"retentionInDays": 7, "retentionPolicyName": "account"}
    answers["DescribeLogGroups"] = [lambda answer: {**answer, "logGroups": [{**group, **ruled} for group in answer["logGroups"]]}]
    assert not run_module("log_groups", log_groups=wanted)["changed"]


def test_changes_the_key(aws, logs, folder, run_module, requests, answers):
    allow = {"Effect": "Allow", "Principal": {"Service": "logs.eu-central-1.amazonaws.com"}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    key, name = aws("kms").create_key(Policy=policy, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"], f"{folder}/web"
    run_module("log_groups", log_groups=[{"name": name, "kms_key_id": key}])
    assert groups(logs, folder)[name]["kmsKeyId"] == key
    assert not run_module("log_groups", log_groups=[{"name": name}])["changed"]
    requests.clear()
    answers["AssociateKmsKey"] = [{}]  # which moto does not know
    done = run_module("log_groups", log_groups=[{"name": name, "kms_key_id": f"{key}-other"}])
    assert requests == ["DescribeLogGroups", "ListTagsForResource", "AssociateKmsKey"]
    assert done["diff"] == {"before": {name: {"kms_key_id": key}}, "after": {name: {"kms_key_id": f"{key}-other"}}}


def test_mends_tags(logs, folder, run_module, check_run_check_run):
    name = f"{folder}/web"
    run_module("log_groups", log_groups=[{"name": name, "tags": {"team": "web"}}], tags=TAGS)
    done = check_run_check_run("log_groups", log_groups=[{"name": name, "tags": {"tier": "web"}}], tags=TAGS)
    assert done["diff"] == {"before": {name: {"tag tier": None, "tag team": "web"}}, "after": {name: {"tag tier": "web", "tag team": None}}}
    assert tags_of(logs, groups(logs, folder)[name]) == {**TAGS, "tier": "web"}


def test_leaves_other_tags_where_none_are_given_or_purged(logs, folder, run_module):
    name = f"{folder}/web"
    run_module("log_groups", log_groups=[{"name": name}], tags={"team": "web"})
    assert not run_module("log_groups", log_groups=[{"name": name}])["changed"]
    run_module("log_groups", log_groups=[{"name": name}], tags=TAGS, purge_tags=False)
    assert tags_of(logs, groups(logs, folder)[name]) == {"team": "web", **TAGS}


def test_finishes_what_an_interrupted_run_began(logs, folder, check_run_check_run):
    logs.create_log_group(logGroupName=f"{folder}/web", tags=TAGS)
    check_run_check_run("log_groups", log_groups=[{"name": f"{folder}/web", "retention_in_days": 30}], tags=TAGS)
    assert groups(logs, folder)[f"{folder}/web"]["retentionInDays"] == 30


def test_adopts_a_group_that_somebody_made_a_moment_before(logs, folder, run_module, requests, answers):
    name = f"{folder}/performance"
    logs.create_log_group(logGroupName=name)
    # it is not listed at once, either
    answers["DescribeLogGroups"] = [lambda answer: {"logGroups": []}] * 2
    done = run_module("log_groups", log_groups=[{"name": name, "retention_in_days": 1}], tags=TAGS)
    assert done["log_groups"][0]["tags"] == tags_of(logs, groups(logs, folder)[name]) == TAGS
    assert groups(logs, folder)[name]["retentionInDays"] == 1


def test_is_patient_while_aws_is_busy_with_the_group(logs, folder, run_module, requests, answers):
    busy, unknown = refusal("OperationAbortedException"), refusal("ResourceNotFoundException")
    answers |= {"CreateLogGroup": [busy], "PutRetentionPolicy": [busy, unknown], "DeleteLogGroup": [busy]}
    wanted = [{"name": f"{folder}/web", "retention_in_days": 1}]
    run_module("log_groups", log_groups=wanted)
    assert groups(logs, folder)[f"{folder}/web"]["retentionInDays"] == 1
    run_module("log_groups", log_groups=wanted, state="absent")
    assert groups(logs, folder) == {}


def test_a_preview_knows_the_arns_so_that_policies_that_name_them_stay(folder, run_module):
    wanted = [{"name": f"{folder}/web"}, {"name": f"{folder}/api", "retention_in_days": 7}]
    previewed = run_module("log_groups", check=True, log_groups=wanted)["log_groups"]
    assert previewed == run_module("log_groups", log_groups=wanted)["log_groups"]


def test_says_all_problems_before_the_first_request(run_module, requests):
    wanted = [{"name": "aws/mine"}, {"name": "/a b"}, {"name": "/twice"}, {"name": "/twice"}, {"name": "/odd", "retention_in_days": 31}]
    with pytest.raises(ModuleFailed) as failure:
        run_module("log_groups", log_groups=wanted)
    for problem in ("'aws/mine': a name has", "'/a b': a name has", "/twice: 2 groups of", "/odd: retention_in_days must be one of 1, 3"):
        assert problem in str(failure.value)
    assert requests == []


def test_removes_by_name_whatever_the_tags(logs, folder, run_module, check_run_check_run):
    run_module("log_groups", log_groups=[{"name": f"{folder}/web", "retention_in_days": 7}], tags=TAGS)
    logs.create_log_group(logGroupName=f"{folder}/performance")
    wanted = [{"name": f"{folder}/{name}"} for name in ("web", "performance", "never-there")]
    done = check_run_check_run("log_groups", log_groups=wanted, tags=TAGS, state="absent")
    assert done["diff"]["before"] == {f"{folder}/performance": {}, f"{folder}/web": {"retention_in_days": 7}}
    assert groups(logs, folder) == {}


def test_a_group_that_somebody_else_removed_meanwhile_is_removed(folder, run_module, requests, answers):
    run_module("log_groups", log_groups=[{"name": f"{folder}/web"}])
    answers["DeleteLogGroup"] = [refusal("ResourceNotFoundException")]
    assert run_module("log_groups", log_groups=[{"name": f"{folder}/web"}], state="absent")["changed"]
