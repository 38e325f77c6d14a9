"""The module ecs_task_definition."""

from __future__ import annotations

import pytest
from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import ecs_task_definition
from botocore.exceptions import ClientError

from support import ModuleFailed

WEB = {
    "name": "web",
    "image": "registry/web@sha256:1",
    "portMappings": [{"containerPort": 8080}],
    "environment": [{"name": "API_URL", "value": "http://api"}, {"name": "COLOUR", "value": "red"}],
}
DEFINITION = {
    "execution_role_arn": "arn:aws:iam::123456789012:role/execution",
    "requires_compatibilities": ["FARGATE"],
    "network_mode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "runtime_platform": {"cpu_architecture": "ARM64"},
    "tags": {"threetier:stack": "demo"},
}


def newest(aws, family):
    return aws("ecs").describe_task_definition(taskDefinition=family, include=["TAGS"])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("containers", [{**WEB, "environment": [{"name": "API_URL", "value": "http://api"}, {"name": "COLOUR", "value": "blue"}]}]),
        ("containers", [{**WEB, "secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:eu-central-1:123456789012:parameter/key"}]}]),
        ("containers", [{**WEB, "command": ["serve"]}]),
        ("containers", [{**WEB, "environment": []}]),
        ("execution_role_arn", "arn:aws:iam::123456789012:role/other"),
        ("memory", "1024"),
        ("runtime_platform", {"cpu_architecture": "X86_64"}),
        ("volumes", [{"name": "data", "host": {"sourcePath": "/data"}}]),
        ("ephemeral_storage_gib", 30),
    ],
)
def test_any_change_of_the_definition_makes_one_new_revision(run_module, tmp_path, option, value):
    wanted = {"family": tmp_path.name, "containers": [WEB], **DEFINITION}
    first = run_module("ecs_task_definition", **wanted)["task_definition"]
    second = run_module("ecs_task_definition", **wanted | {option: value})["task_definition"]
    assert second["revision"] == first["revision"] + 1


def test_the_preview_names_the_revision_and_the_difference(run_module):
    wanted = {"family": "preview", "containers": [WEB], **DEFINITION}
    predicted = run_module("ecs_task_definition", check=True, **wanted)
    done = run_module("ecs_task_definition", **wanted)
    assert predicted["task_definition"]["task_definition_arn"] == done["task_definition"]["task_definition_arn"]
    assert predicted["diff"] == done["diff"]

    changed = {**WEB, "environment": [WEB["environment"][0], {"name": "COLOUR", "value": "blue"}]}
    done = run_module("ecs_task_definition", check=True, **wanted | {"containers": [changed]})
    before, after = (done["diff"][side]["preview"] for side in ("before", "after"))
    assert before["containerDefinitions"] == {"web": {"environment": {"COLOUR": "red"}}}
    assert after["containerDefinitions"] == {"web": {"environment": {"COLOUR": "blue"}}}
    assert before.keys() == after.keys() == {"containerDefinitions", "revision", f"tag {ecs_task_definition.MARK}"}
    assert (after["revision"], done["changes"]["changed"]) == (2, ["preview"])


def test_what_aws_fills_in_is_no_difference_and_what_somebody_added_is():
    wanted = ecs_task_definition.readable({"containerDefinitions": [WEB], "volumes": [{"name": "tmp"}], "networkMode": "awsvpc"})
    port = {"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}
    filled_in = {**WEB, "environment": WEB["environment"][::-1], "portMappings": [port], "essential": True, "cpu": 0, "mountPoints": []}
    current = {"containerDefinitions": [filled_in], "volumes": [{"name": "tmp", "host": {}}], "networkMode": "awsvpc", "status": "ACTIVE"}
    assert ecs_task_definition.contrast(ecs_task_definition.readable(current), wanted) == ({}, {})

    by_hand = {**filled_in, "environment": [*WEB["environment"], {"name": "DEBUG", "value": "1"}], "command": ["sh"]}
    current |= {"containerDefinitions": [by_hand, {"name": "agent", "image": "x"}], "cpu": "256"}
    before, after = ecs_task_definition.contrast(ecs_task_definition.readable(current), wanted)
    containers = {"web": {"environment": {"DEBUG": "1"}, "command": ["sh"]}, "agent": {"image": "x"}}
    assert before == {"containerDefinitions": containers, "cpu": "256"}
    containers = {"web": {"environment": {"DEBUG": None}, "command": None}, "agent": None}
    assert after == {"containerDefinitions": containers, "cpu": None}


def test_a_tag_is_repaired_without_a_new_revision(aws, run_module, check_run_check_run):
    wanted = {"family": "tags", "containers": [WEB], **DEFINITION}
    run_module("ecs_task_definition", **wanted)
    changed = check_run_check_run("ecs_task_definition", **wanted | {"tags": {"tier": "web"}})
    assert changed["diff"] == {
        "before": {"tags": {"tag tier": None, "tag threetier:stack": "demo"}},
        "after": {"tags": {"tag tier": "web", "tag threetier:stack": None}},
    }
    assert changed["task_definition"]["revision"] == 1
    assert {tag["key"] for tag in newest(aws, "tags")["tags"]} == {"tier", ecs_task_definition.MARK}


def test_a_revision_that_somebody_edited_in_the_console_is_followed_by_the_wanted_one(aws, run_module):
    wanted = {"family": "edited", "containers": [WEB], **DEFINITION}
    run_module("ecs_task_definition", **wanted)
    copied_tags = newest(aws, "edited")["tags"]
    aws("ecs").register_task_definition(family="edited", containerDefinitions=[{**WEB, "image": "other", "memory": 9}], tags=copied_tags)
    assert run_module("ecs_task_definition", **wanted)["task_definition"]["revision"] == 3


def test_absent_deregisters_every_revision_and_counting_goes_on(aws, run_module, check_run_check_run):
    wanted = {"family": "gone", "containers": [WEB], **DEFINITION}
    run_module("ecs_task_definition", **wanted)
    run_module("ecs_task_definition", **wanted | {"memory": "1024"})
    check_run_check_run("ecs_task_definition", family="gone", state="absent")
    assert not aws("ecs").list_task_definitions(familyPrefix="gone")["taskDefinitionArns"]
    assert check_run_check_run("ecs_task_definition", **wanted)["task_definition"]["revision"] == 3


def test_a_revision_carries_its_mark_from_the_first_moment_even_where_its_number_was_not_foreseen(run_module, requests, answers):
    wanted = {"family": "marked", "containers": [WEB], **DEFINITION}
    run_module("ecs_task_definition", **wanted)
    assert requests[-1] == "RegisterTaskDefinition"
    run_module("ecs_task_definition", family="marked", state="absent")
    answers["ListTaskDefinitions"] = [{"taskDefinitionArns": []}]
    run_module("ecs_task_definition", **wanted)
    assert requests[-2:] == ["RegisterTaskDefinition", "TagResource"]
    assert not run_module("ecs_task_definition", **wanted)["changed"]


def test_a_mistyped_container_is_refused_in_check_mode_too(run_module):
    with pytest.raises(ModuleFailed, match=r"containerDefinitions\[0\].environment\[0\].value"):
        run_module("ecs_task_definition", check=True, family="typo", containers=[{**WEB, "environment": [{"name": "PORT", "value": 8080}]}])


def test_a_role_that_was_just_made_is_waited_for(monkeypatch, run_module):
    refusals = [ClientError({"Error": {"Code": "ClientException", "Message": "Role is not valid"}}, "RegisterTaskDefinition")] * 2

    def client(module, service):
        ecs = state.client(module, service)
        register = ecs.register_task_definition

        def refuse_first(**request):
            if refusals:
                raise refusals.pop()
            return register(**request)

        ecs.register_task_definition = refuse_first
        return ecs

    monkeypatch.setattr(state, "POLL_SECONDS", 0)
    monkeypatch.setattr(ecs_task_definition, "client", client)
    assert run_module("ecs_task_definition", family="role", containers=[WEB], **DEFINITION)["changed"]
    assert not refusals
