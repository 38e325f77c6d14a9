"""The module iam_roles."""

from __future__ import annotations

import json

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed

TAGS = {"threetier:stack": "roles-demo"}
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READER = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(service="ec2.amazonaws.com", **principal):
    return policy({"Effect": "Allow", "Principal": principal or {"Service": service}, "Action": "sts:AssumeRole"})


def read(*resources):
    return policy({"Effect": "Allow", "Action": ["dynamodb:Query", "dynamodb:GetItem"], "Resource": list(resources)})


def shown(policy):
    """A policy of one statement as a diff shows it."""
    return {"statement 1": policy["Statement"][0]}


TABLE, OTHER_TABLE = (f"arn:aws:dynamodb:eu-central-1:123456789012:table/{name}" for name in ("one", "two"))


def role(name, **changed):
    return {"name": name, "assume_role_policy": trust(), "inline_policies": {"least": read(TABLE)}} | changed


def entries(*roles, **changed):
    return {"roles": list(roles), "tags": TAGS} | changed


@pytest.fixture
def refuse_once(monkeypatch):
    """Lets the next call of an operation fail, as IAM does while it does not know everywhere what is new."""
    monkeypatch.setattr(state, "POLL_SECONDS", 0)
    monkeypatch.setattr(state, "PATIENCE_SECONDS", 2)
    refused = []

    def refuse(operation, code, message):
        original = BaseClient._make_api_call

        def call(self, name, parameters):
            if name == operation and operation not in refused:
                refused.append(operation)
                raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
            return original(self, name, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    refuse.refused = refused
    return refuse


def inline(aws, name):
    iam = aws("iam")
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {each: iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in names}


def attached(aws, name):
    return {each["PolicyArn"] for each in aws("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]}


def test_creates_and_deletes_a_set(aws, check_run_check_run):
    wanted = entries(
        role("set-instance", description="An instance", instance_profile=True, managed_policies=[READER]),
        role("set-task", path="/demo/", inline_policies={}, tags={"threetier:tier": "web"}),
    )
    done = check_run_check_run("iam_roles", **wanted)
    iam = aws("iam")
    instance, task = (iam.get_role(RoleName=name)["Role"] for name in ("set-instance", "set-task"))
    assert (instance["Description"], instance["AssumeRolePolicyDocument"], task["Path"]) == ("An instance", trust(), "/demo/")
    assert {tag["Key"]: tag["Value"] for tag in task["Tags"]} == TAGS | {"threetier:tier": "web"}
    assert (inline(aws, "set-instance"), inline(aws, "set-task")) == ({"least": read(TABLE)}, {})
    assert (attached(aws, "set-instance"), attached(aws, "set-task")) == ({READER}, set())
    profile = iam.get_instance_profile(InstanceProfileName="set-instance")["InstanceProfile"]
    assert [each["RoleName"] for each in profile["Roles"]] == ["set-instance"]
    assert [(each["name"], each["role_arn"], each["instance_profile_arn"]) for each in done["roles"]] == [
        ("set-instance", instance["Arn"], profile["Arn"]),
        ("set-task", task["Arn"], None),
    ]
    assert done["diff"]["before"] == {} and done["diff"]["after"]["set-task"]["path"] == "/demo/"

    check_run_check_run("iam_roles", **entries({"name": "set-instance"}, {"name": "set-task"}, state="absent"))
    left = [each["RoleName"] for each in iam.list_roles()["Roles"]]
    left += [each["InstanceProfileName"] for each in iam.list_instance_profiles()["InstanceProfiles"]]
    assert not [name for name in left if name.startswith("set-")]


def test_a_preview_knows_no_arns_yet(run_module, aws):
    [previewed] = run_module("iam_roles", check=True, **entries(role("preview-role", instance_profile=True)))["roles"]
    assert state.is_planned(previewed["role_arn"]) and state.is_planned(previewed["instance_profile_arn"])
    assert "preview-role" not in [each["RoleName"] for each in aws("iam").list_roles()["Roles"]]


def test_changes_what_differs_and_shows_only_that(aws, run_module, check_run_check_run):
    run_module("iam_roles", **entries(role("change-one", description="old"), role("change-two")))
    aws("iam").update_role(RoleName="change-one", Description="old", MaxSessionDuration=7200)
    changed = role("change-one", description="new", inline_policies={"least": read(OTHER_TABLE)}, managed_policies=[READER])
    done = check_run_check_run(
        "iam_roles", **entries(changed | {"assume_role_policy": trust("ecs-tasks.amazonaws.com")}, role("change-two"))
    )
    assert done["diff"]["before"] == {
        "change-one": {
            "description": "old",
            "assume_role_policy": shown(trust()),
            "policy least": shown(read(TABLE)),
            f"managed_policy {READER}": None,
        }
    }
    assert done["diff"]["after"]["change-one"]["policy least"] == shown(read(OTHER_TABLE))
    assert (done["changes"]["changed"], done["changes"]["unchanged"]) == (["change-one"], ["change-two"])
    found = aws("iam").get_role(RoleName="change-one")["Role"]
    assert found["AssumeRolePolicyDocument"] == trust("ecs-tasks.amazonaws.com")
    assert (found["Description"], found["MaxSessionDuration"]) == ("new", 7200)
    assert (inline(aws, "change-one"), attached(aws, "change-one")) == ({"least": read(OTHER_TABLE)}, {READER})


def test_takes_away_what_somebody_gave_by_hand(aws, run_module, check_run_check_run):
    run_module("iam_roles", **entries(role("drift", instance_profile=True)))
    iam = aws("iam")
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    iam.put_role_policy(RoleName="drift", PolicyName="by-hand", PolicyDocument=json.dumps(everything))
    iam.attach_role_policy(RoleName="drift", PolicyArn=ADMINISTRATOR)
    done = check_run_check_run("iam_roles", **entries(role("drift", instance_profile=True)))
    by_hand = {"policy by-hand": shown(everything), f"managed_policy {ADMINISTRATOR}": "attached"}
    assert done["diff"] == {"before": {"drift": by_hand}, "after": {"drift": dict.fromkeys(by_hand)}}
    assert (inline(aws, "drift"), attached(aws, "drift")) == ({"least": read(TABLE)}, set())


def test_policies_that_say_the_same_are_no_change(aws, run_module):
    run_module("iam_roles", **entries(role("same", inline_policies={"least": read(TABLE, OTHER_TABLE)})))
    turned = policy({"Resource": [OTHER_TABLE, TABLE], "Action": ["dynamodb:GetItem", "dynamodb:Query"], "Effect": "Allow"})
    statement = {"Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com"]}}
    aws("iam").put_role_policy(RoleName="same", PolicyName="least", PolicyDocument=json.dumps(turned, indent=2))
    aws("iam").update_assume_role_policy(RoleName="same", PolicyDocument=json.dumps(policy() | {"Statement": statement}))
    done = run_module("iam_roles", **entries(role("same", inline_policies={"least": read(TABLE, OTHER_TABLE)})))
    assert not done["changed"] and done["diff"] == {"before": {}, "after": {}}


def test_a_narrower_condition_is_a_change(run_module, check_run_check_run):
    run_module("iam_roles", **entries(role("condition")))
    narrow = trust()
    narrow["Statement"][0]["Condition"] = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    done = check_run_check_run("iam_roles", **entries(role("condition", assume_role_policy=narrow)))
    assert done["diff"]["after"] == {"condition": {"assume_role_policy": shown(narrow)}}


def test_changes_tags_of_role_and_profile(aws, run_module, check_run_check_run):
    run_module("iam_roles", **entries(role("tagged", instance_profile=True, tags={"tier": "web"})))
    done = check_run_check_run("iam_roles", **entries(role("tagged", instance_profile=True, tags={"owner": "api"})))
    expected = [{"Key": "threetier:stack", "Value": "roles-demo"}, {"Key": "owner", "Value": "api"}]
    for tags in (
        aws("iam").get_role(RoleName="tagged")["Role"]["Tags"],
        aws("iam").get_instance_profile(InstanceProfileName="tagged")["InstanceProfile"]["Tags"],
    ):
        assert sorted(tags, key=str) == sorted(expected, key=str)
    change = {"tag owner": "api", "tag tier": None}
    assert done["diff"]["after"] == {"tagged": change | {"instance_profile": change}}


@pytest.mark.parametrize("steps", [("role",), ("role", "policy"), ("role", "policy", "profile")])
def test_goes_on_where_a_crash_left_off(aws, check_run_check_run, steps):
    name, tags, iam = f"crash-{len(steps)}", [{"Key": key, "Value": value} for key, value in TAGS.items()], aws("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust()), Tags=tags)
    if "policy" in steps:
        iam.put_role_policy(RoleName=name, PolicyName="least", PolicyDocument=json.dumps(read(TABLE)))
    if "profile" in steps:
        iam.create_instance_profile(InstanceProfileName=name, Tags=tags)
    check_run_check_run("iam_roles", **entries(role(name, instance_profile=True)))
    assert inline(aws, name) == {"least": read(TABLE)}
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert [each["RoleName"] for each in profile["Roles"]] == [name]


def test_a_profile_with_another_role_gets_its_own(aws, run_module, check_run_check_run):
    run_module("iam_roles", **entries(role("own", instance_profile=True), role("other")))
    iam = aws("iam")
    iam.remove_role_from_instance_profile(InstanceProfileName="own", RoleName="own")
    iam.add_role_to_instance_profile(InstanceProfileName="own", RoleName="other")
    done = check_run_check_run("iam_roles", **entries(role("own", instance_profile=True)))
    assert done["diff"] == {
        "before": {"own": {"instance_profile": {"roles": ["other"]}}},
        "after": {"own": {"instance_profile": {"roles": ["own"]}}},
    }


def test_somebody_elses_roles_are_neither_changed_nor_deleted(aws, run_module, requests):
    iam = aws("iam")
    for name in ("foreign-one", "foreign-two"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust()))
    iam.create_instance_profile(InstanceProfileName="foreign-profile")
    requests.clear()
    wanted = [role("foreign-new"), role("foreign-one"), role("foreign-two"), role("foreign-profile", instance_profile=True)]
    with pytest.raises(ModuleFailed, match="role foreign-one .*; role foreign-two .*; instance profile foreign-profile .* somebody else's"):
        run_module("iam_roles", **entries(*wanted))
    done = run_module("iam_roles", **entries(*wanted, state="absent"))
    assert not done["changed"] and "foreign-one" in str(done["warnings"])
    assert not [operation for operation in requests if not operation.startswith(("Get", "List"))]


def test_a_path_cannot_change(run_module, requests):
    run_module("iam_roles", **entries(role("path-one")))
    requests.clear()
    with pytest.raises(ModuleFailed, match="path-one has the path /, and AWS cannot move it to /demo/"):
        run_module("iam_roles", **entries(role("path-new"), role("path-one", path="/demo/")))
    assert "CreateRole" not in requests


def test_bad_input_is_told_all_at_once(run_module, requests):
    wrong = [
        role("bad name", path="demo"),
        role("twice", managed_policies=["ReadOnlyAccess"]),
        role("Twice", inline_policies={"none": policy()}),
        role("long", assume_role_policy={}, inline_policies={"long": read(*[TABLE] * 200)}),
    ]
    with pytest.raises(ModuleFailed) as failure:
        run_module("iam_roles", **entries(*wrong))
    parts = ("'bad name'", "'demo'", "twice is there more", "by its ARN", "none needs a Statement", "assume_role_policy", "10240")
    assert [part for part in parts if part not in str(failure.value)] == []
    with pytest.raises(ModuleFailed, match="needs tags"):
        run_module("iam_roles", roles=[{"name": "any"}], state="absent")
    assert requests == []


def test_outlasts_what_iam_does_not_know_yet(aws, run_module, refuse_once):
    refuse_once("CreateRole", "MalformedPolicyDocument", 'Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:role/new"')
    refuse_once("PutRolePolicy", "NoSuchEntity", "The role with name young cannot be found.")
    refuse_once("AddRoleToInstanceProfile", "NoSuchEntity", "Instance Profile young cannot be found.")
    run_module("iam_roles", **entries(role("young", instance_profile=True)))
    assert refuse_once.refused == ["CreateRole", "PutRolePolicy", "AddRoleToInstanceProfile"]


def test_a_managed_policy_that_does_not_exist_is_an_error_at_once(run_module, requests, refuse_once):
    refuse_once("AttachRolePolicy", "NoSuchEntity", "Policy arn:aws:iam::aws:policy/Typo does not exist or is not attachable.")
    with pytest.raises(ModuleFailed, match="Typo does not exist"):
        run_module("iam_roles", **entries(role("typo", managed_policies=["arn:aws:iam::aws:policy/Typo"])))
    assert "AttachRolePolicy" not in requests, "it was tried again"


def test_removal_finishes_what_a_crash_left(aws, run_module, check_run_check_run):
    run_module("iam_roles", **entries(role("half", instance_profile=True)))
    iam = aws("iam")
    iam.remove_role_from_instance_profile(InstanceProfileName="half", RoleName="half")
    iam.delete_role_policy(RoleName="half", PolicyName="least")
    iam.delete_role(RoleName="half")
    check_run_check_run("iam_roles", **entries({"name": "half"}, state="absent"))
    assert "half" not in [each["InstanceProfileName"] for each in iam.list_instance_profiles()["InstanceProfiles"]]


def test_an_unchanged_set_of_five_costs_21_requests(run_module, requests):
    wanted = entries(*(role(f"count-{number}", instance_profile=number == 0) for number in range(5)))
    run_module("iam_roles", **wanted)
    requests.clear()
    assert not run_module("iam_roles", **wanted)["changed"]
    assert len(requests) == 21
