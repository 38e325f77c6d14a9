"""The module ecr_repository."""

from __future__ import annotations

import json

import pytest

from support import ModuleFailed

POLICY = {"rules": [{"rulePriority": 2, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5}, "action": {"type": "expire"}}]}


def test_creates_changes_and_deletes(aws, check_run_check_run):
    tags = {"threetier:stack": "demo"}
    made = check_run_check_run("ecr_repository", name="r/web", lifecycle_policy=POLICY, tags=tags)
    assert made["diff"]["after"]["r/web"] == {
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "lifecycle rule 2": POLICY["rules"][0],
        "tags": tags,
    }
    changed = check_run_check_run("ecr_repository", name="r/web", lifecycle_policy=POLICY, scan_on_push=False, tags=tags | {"threetier:tier": "web"})
    assert changed["diff"]["after"]["r/web"] == {"imageScanningConfiguration": {"scanOnPush": False}, "tag threetier:tier": "web"}

    ecr = aws("ecr")
    found = ecr.describe_repositories(repositoryNames=["r/web"])["repositories"][0]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert json.loads(ecr.get_lifecycle_policy(repositoryName="r/web")["lifecyclePolicyText"]) == POLICY
    check_run_check_run("ecr_repository", name="r/web", state="absent")


def test_a_lifecycle_rule_added_by_hand_is_removed(aws, run_module, check_run_check_run):
    run_module("ecr_repository", name="r/hand", lifecycle_policy=POLICY)
    extra = {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}, "action": {"type": "expire"}}
    aws("ecr").put_lifecycle_policy(repositoryName="r/hand", lifecyclePolicyText=json.dumps({"rules": [*POLICY["rules"], extra]}))
    done = check_run_check_run("ecr_repository", name="r/hand", lifecycle_policy=POLICY)
    assert done["diff"] == {"before": {"r/hand": {"lifecycle rule 1": extra}}, "after": {"r/hand": {"lifecycle rule 1": None}}}
    assert json.loads(aws("ecr").get_lifecycle_policy(repositoryName="r/hand")["lifecyclePolicyText"]) == POLICY
    assert not run_module("ecr_repository", name="r/hand")["changed"]
    check_run_check_run("ecr_repository", name="r/hand", lifecycle_policy={})


def test_refuses_lifecycle_rules_that_cannot_be_told_apart(run_module):
    for rules in ([], POLICY["rules"] * 2):
        with pytest.raises(ModuleFailed, match="each with a rulePriority of its own"):
            run_module("ecr_repository", check=True, name="r/apart", lifecycle_policy={"rules": rules})


def test_does_not_delete_images_unasked(aws, run_module):
    run_module("ecr_repository", name="r/full")
    aws("ecr").put_image(repositoryName="r/full", imageManifest=json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"digest": "sha256:0"}, "layers": []}), imageTag="a")
    for check in (True, False):
        with pytest.raises(ModuleFailed, match="force: true"):
            run_module("ecr_repository", check=check, name="r/full", state="absent")
    assert run_module("ecr_repository", name="r/full", state="absent", force=True)["changes"]["deleted"] == ["r/full"]
