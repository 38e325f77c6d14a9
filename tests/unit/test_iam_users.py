"""The module iam_users."""

from __future__ import annotations

import json

import pytest

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}
READER = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def until(time, *actions):
    condition = {"DateLessThan": {"aws:CurrentTime": time}}
    statement = {"Effect": "Allow", "Action": list(actions) or ["ecs:Describe*", "ecs:List*"], "Resource": "*", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


def statement(*of):
    """The policy as a difference shows it."""
    return {"statement 1": until(*of)["Statement"][0]}


def user(name, expires="2030-01-31T18:00:00Z", **changed):
    return {"name": name, "inline_policies": {"read-only-until": until(expires)}, "tags": {"expires": expires}} | changed


@pytest.fixture
def path(request):
    """A path of the test's own."""
    return f"/threetier/{request.node.name}/"


@pytest.fixture
def users(aws, path):
    """The users under the path, by name: their inline policies and tags."""
    iam = aws("iam")

    def read():
        names = [each["UserName"] for each in iam.list_users(PathPrefix=path)["Users"]]
        return {name: (inline(iam, name), tags_of(iam, name)) for name in names}

    return read


def inline(iam, name):
    policies = iam.list_user_policies(UserName=name)["PolicyNames"]
    return {policy: iam.get_user_policy(UserName=name, PolicyName=policy)["PolicyDocument"] for policy in policies}


def tags_of(iam, name):
    return {tag["Key"]: tag["Value"] for tag in iam.get_user(UserName=name)["User"].get("Tags", [])}


def equip(iam, name):
    """Gives a user by hand all that AWS wants gone before the user, as far as the emulator has it."""
    iam.create_login_profile(UserName=name, Password="correct-horse-battery-staple")
    iam.create_access_key(UserName=name)
    iam.upload_ssh_public_key(UserName=name, SSHPublicKeyBody="ssh-rsa AAAA")
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(UserName=name, SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321")
    iam.attach_user_policy(UserName=name, PolicyArn=READER)
    iam.create_group(GroupName=f"{name}-friends")
    iam.add_user_to_group(UserName=name, GroupName=f"{name}-friends")


def test_creates_the_set_and_removes_all_of_it(path, users, check_run_check_run):
    done = check_run_check_run("iam_users", path=path, users=[user("set-ada"), user("set-bob", inline_policies={}, tags=None)], tags=TAGS)
    expires = "2030-01-31T18:00:00Z"
    assert users() == {"set-ada": ({"read-only-until": until(expires)}, {**TAGS, "expires": expires}), "set-bob": ({}, TAGS)}
    assert done["users"][0]["user_arn"] == f"arn:aws:iam::123456789012:user{path}set-ada"
    assert done["changes"]["created"] == ["set-ada", "set-bob"] and done["diff"]["before"] == {}
    assert done["diff"]["after"]["set-bob"] == {"path": path, "attached policies": [], "groups": [], "tag threetier:stack": "demo"}

    gone = check_run_check_run("iam_users", path=path, users=[])
    assert users() == {} and gone["changes"]["deleted"] == ["set-ada", "set-bob"]
    assert gone["diff"]["before"]["set-ada"]["policy read-only-until"] == statement(expires)


def test_a_preview_knows_no_arn_yet(path, users, run_module):
    [previewed] = run_module("iam_users", check=True, path=path, users=[user("preview-ada")])["users"]
    assert state.is_planned(previewed["user_arn"]) and users() == {}


def test_an_empty_path_costs_one_request_and_an_unchanged_user_five(path, run_module, requests):
    assert not run_module("iam_users", path=path, users=[])["changed"]
    assert requests == ["ListUsers"]
    run_module("iam_users", path=path, users=[user("cost-ada")], tags=TAGS)
    requests.clear()
    done = run_module("iam_users", path=path, users=[user("cost-ada")], tags=TAGS)
    assert done["changes"]["unchanged"] == ["cost-ada"]
    assert requests == ["ListUsers", "GetUser", "ListUserPolicies", "GetUserPolicy", "ListAttachedUserPolicies", "ListGroupsForUser"]


def test_changes_what_differs_and_shows_only_that(path, users, run_module, check_run_check_run):
    run_module("iam_users", path=path, users=[user("change-ada"), user("change-bob")], tags={"Team": "x"})
    later = "2031-01-01T00:00:00Z"
    done = check_run_check_run("iam_users", path=path, users=[user("change-ada", later), user("change-bob")], tags={"team": "x"})
    assert users()["change-ada"] == ({"read-only-until": until(later)}, {"team": "x", "expires": later})
    assert done["diff"]["after"] == {
        "change-ada": {"policy read-only-until": statement(later), "tag expires": later, "tag team": "x", "tag Team": None},
        "change-bob": {"tag team": "x", "tag Team": None},
    }


def test_takes_away_what_somebody_gave_by_hand_but_no_credentials(aws, path, run_module, check_run_check_run):
    run_module("iam_users", path=path, users=[user("hand-ada")])
    iam, everything = aws("iam"), until("2099-01-01T00:00:00Z", "*")
    equip(iam, "hand-ada")
    iam.put_user_policy(UserName="hand-ada", PolicyName="by-hand", PolicyDocument=json.dumps(everything))
    done = check_run_check_run("iam_users", path=path, users=[user("hand-ada")])
    assert done["diff"] == {
        "before": {"hand-ada": {"policy by-hand": statement("2099-01-01T00:00:00Z", "*"), "attached policies": [READER], "groups": ["hand-ada-friends"]}},
        "after": {"hand-ada": {"policy by-hand": None, "attached policies": [], "groups": []}},
    }
    assert list(inline(iam, "hand-ada")) == ["read-only-until"]
    assert len(iam.list_access_keys(UserName="hand-ada")["AccessKeyMetadata"]) == 1


def test_a_policy_that_says_the_same_is_no_change(aws, path, run_module):
    run_module("iam_users", path=path, users=[user("same-ada")])
    turned = until("2030-01-31T18:00:00Z", "ecs:List*", "ecs:Describe*")
    turned["Statement"] = turned["Statement"][0] | {"Resource": ["*"]}
    aws("iam").put_user_policy(UserName="same-ada", PolicyName="read-only-until", PolicyDocument=json.dumps(turned, indent=2))
    assert not run_module("iam_users", path=path, users=[user("same-ada")])["changed"]


def test_removes_a_user_with_all_that_hangs_on_it(aws, path, users, run_module, check_run_check_run):
    run_module("iam_users", path=path, users=[user("full-ada"), user("full-bob")])
    iam = aws("iam")
    equip(iam, "full-ada")
    done = check_run_check_run("iam_users", path=path, users=[user("full-bob")])
    assert list(users()) == ["full-bob"] and done["changes"]["deleted"] == ["full-ada"]
    assert "full-ada" not in str(iam.list_virtual_mfa_devices()["VirtualMFADevices"])


def test_removes_credentials_that_the_emulator_lacks_and_keeps_hardware(path, run_module, requests, answers, sent):
    run_module("iam_users", path=path, users=[user("rare-ada")])
    answers["ListServiceSpecificCredentials"] = [{"ServiceSpecificCredentials": [{"ServiceSpecificCredentialId": "ACCA1"}]}]
    answers["ListSigningCertificates"] = [{"Certificates": [{"CertificateId": "CERT1"}]}]
    answers["ListMFADevices"] = [{"MFADevices": [{"SerialNumber": "arn:aws:iam::123456789012:u2f/user/rare-ada/key-1"}]}]
    answers |= {name: [{}] for name in ("DeleteServiceSpecificCredential", "DeleteSigningCertificate", "DeactivateMFADevice")}
    requests.clear()
    run_module("iam_users", path=path, users=[])
    assert [operation for operation in requests if not operation.startswith(("Get", "List"))] == [
        "DeleteLoginProfile",
        "DeleteServiceSpecificCredential",
        "DeleteSigningCertificate",
        "DeactivateMFADevice",
        "DeleteUserPolicy",
        "DeleteUser",
    ]
    assert ("DeleteServiceSpecificCredential", {"UserName": "rare-ada", "ServiceSpecificCredentialId": "ACCA1"}) in sent


def test_touches_no_user_of_another_path_and_none_without_purge(aws, path, users, run_module):
    iam = aws("iam")
    iam.create_user(UserName="under-ada", Path=f"{path}below/")
    run_module("iam_users", path=path, users=[user("stays-ada")])
    assert not run_module("iam_users", path=path, users=[], purge=False)["changed"]
    assert run_module("iam_users", path=path, users=[])["changes"]["deleted"] == ["stays-ada"]
    assert list(users()) == ["under-ada"]


def test_names_every_user_of_another_path_before_the_first_write(aws, path, run_module, requests):
    iam = aws("iam")
    for name in ("foreign-ada", "foreign-bob"):
        iam.create_user(UserName=name)
    iam.create_user(UserName="foreign-Cyd", Path=path)
    requests.clear()
    with pytest.raises(ModuleFailed) as failed:
        run_module("iam_users", path=path, users=[user(name) for name in ("new", "foreign-ada", "foreign-bob", "foreign-cyd")])
    for said in ("user foreign-ada has the path /, not", "user foreign-bob has the path /, not", "foreign-cyd exists as foreign-Cyd"):
        assert said in str(failed.value)
    assert not [operation for operation in requests if not operation.startswith(("Get", "List"))]


def test_bad_input_is_told_all_at_once(run_module, requests):
    wrong = [
        user("bad name"),
        user("twice", inline_policies={"empty": {}}),
        user("Twice", inline_policies={"long": until("2030-01-31T18:00:00Z", *["ecs:DescribeServices"] * 100)}),
    ]
    with pytest.raises(ModuleFailed) as failed:
        run_module("iam_users", path="/", users=wrong)
    for said in ("path '/'", "'bad name'", "twice is there more than once", "empty needs a Statement", "2048"):
        assert said in str(failed.value)
    assert requests == []


def test_outlasts_what_iam_does_not_know_everywhere(path, users, run_module, requests, answers):
    answers["PutUserPolicy"] = [refusal("NoSuchEntity", "The user with name young-ada cannot be found.")]
    run_module("iam_users", path=path, users=[user("young-ada")])
    answers["DeleteLoginProfile"] = [refusal("EntityTemporarilyUnmodifiable")]
    answers["DeleteUser"] = [refusal("DeleteConflict")]
    run_module("iam_users", path=path, users=[])
    assert requests.count("PutUserPolicy") == requests.count("DeleteUser") == 2 and users() == {}
