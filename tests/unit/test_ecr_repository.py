"""The module ecr_repository."""

from __future__ import annotations

import json

import pytest

from support import ModuleFailed

POLICY = {"rules": [{"rulePriority": 2, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5}, "action": {"type": "expire"}}]}


def test_creates_changes_and_deletes(aws, check_run_check_run):
    tags = {"threetier:stack": "demo"}
    check_run_check_run("ecr_repository", name="r/web", lifecycle_policy=POLICY, tags=tags)
    changed = check_run_check_run("ecr_repository", name="r/web", lifecycle_policy=POLICY, scan_on_push=False, tags=tags | {"threetier:tier": "web"})
    assert changed["diff"]["after"] == {"imageScanningConfiguration": {"scanOnPush": False}, "tag threetier:tier": "web"}

    ecr = aws("ecr")
    found = ecr.describe_repositories(repositoryNames=["r/web"])["repositories"][0]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert json.loads(ecr.get_lifecycle_policy(repositoryName="r/web")["lifecyclePolicyText"]) == POLICY
    check_run_check_run("ecr_repository", name="r/web", state="absent")


def test_a_lifecycle_rule_added_by_hand_is_removed(aws, run_module, check_run_check_run):
    run_module("ecr_repository", name="r/hand", lifecycle_policy=POLICY)
    extra = {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}, "action": {"type": "expire"}}
    aws("ecr").put_lifecycle_policy(repositoryName="r/hand", lifecyclePolicyText=json.dumps({"rules": [*POLICY["rules"], extra]}))
    check_run_check_run("ecr_repository", name="r/hand", lifecycle_policy=POLICY)


def test_does_not_delete_images_unasked(aws, run_module):
    run_module("ecr_repository", name="r/full")
    aws("ecr").put_image(repositoryName="r/full", imageManifest=json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"digest": "sha256:0"}, "layers": []}), imageTag="a")
    with pytest.raises(ModuleFailed, match="force: true"):
        run_module("ecr_repository", name="r/full", state="absent")
