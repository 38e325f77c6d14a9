"""ECR: images, their layers, and the policies of repositories."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from moto.ecr.models import Repository, ecr_backends

from emulator.authorization import find_key
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT


def repository_of(call: Call) -> Repository:
    """The repository that a call names. Raises RepositoryNotFoundException where there is none."""
    repository = ecr_backends[ACCOUNT][call.region].repositories.get(call.params["repositoryName"])
    if repository is None:
        raise AwsError(
            "RepositoryNotFoundException",
            f"The repository with name '{call.params['repositoryName']}' does not exist in the registry with id '{ACCOUNT}'",
        )
    return repository


@rule("ecr", "PutImage")
def tag_is_immutable(call: Call, proceed: Proceed) -> Answer:
    """An immutable tag stays with its image: ImageTagAlreadyExistsException for another one. Moto gives the error of the same image.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
    """
    repository = repository_of(call)
    tag, manifest = call.params.get("imageTag"), call.params["imageManifest"]
    if tag and repository.is_tag_immutable():
        for image in repository.images:
            if tag in image.image_tags and image.image_manifest != manifest:
                raise AwsError(
                    "ImageTagAlreadyExistsException",
                    f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be overwritten because the "
                    "tag is immutable.",
                )
    return proceed()


@rule("ecr", "PutImage")
def manifest_is_none(call: Call, proceed: Proceed) -> Answer:
    """A manifest is JSON: InvalidParameterException. Moto fails.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
    """
    repository_of(call)
    try:
        json.loads(call.params["imageManifest"])
    except ValueError:
        message = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
        raise AwsError("InvalidParameterException", message) from None
    return proceed()


@rule("ecr", "PutImage")
def layers_not_uploaded(call: Call, proceed: Proceed) -> Answer:
    """The layers of an image are uploaded before its manifest: LayersNotFoundException. Moto does not ask for them.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
    """
    repository = repository_of(call)
    try:
        digests = [layer["digest"] for layer in json.loads(call.params["imageManifest"]).get("layers", [])]
    except (ValueError, AttributeError, KeyError, TypeError):
        return proceed()
    if missing := [digest for digest in digests if digest not in repository.layers]:
        raise AwsError(
            "LayersNotFoundException",
            f"Layers with digests '[{', '.join(missing)}]' required for pushing image into repository with name '{repository.name}' in the "
            f"registry with id '{ACCOUNT}' do not exist",
        )
    return proceed()


@rule("ecr", "CompleteLayerUpload")
def layer_has_another_digest(call: Call, proceed: Proceed) -> Answer:
    """A layer has the digest of its content: InvalidLayerException. Moto does not compare.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
    """
    upload = repository_of(call).uploads.get(call.params["uploadId"])
    if upload:
        digest = "sha256:" + hashlib.sha256(bytes(upload.layer_parts)).hexdigest()
        if digest not in call.params["layerDigests"]:
            raise AwsError("InvalidLayerException", f"The layer digest '{call.params['layerDigests'][0]}' does not match '{digest}'.")
    return proceed()


@rule("ecr", "CreateRepository")
def repository_key_unknown(call: Call, proceed: Proceed) -> Answer:
    """The key of a repository must be there and enabled: KmsException. Moto takes any ARN.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
    """
    key = call.params.get("encryptionConfiguration", {}).get("kmsKey")
    found = find_key(call.region, key) if key else None
    if key and (found is None or not found.enabled):
        raise AwsError("KmsException", "The operation failed due to a KMS exception: the key does not exist or is not enabled.")
    return proceed()


@rule("ecr", "PutLifecyclePolicy")
def lifecycle_policy_invalid(call: Call, proceed: Proceed) -> Answer:
    """The rules of a lifecycle policy must be possible, alone and together: InvalidParameterException. Moto looks at each word alone.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
    """
    try:
        rules = json.loads(call.params["lifecyclePolicyText"])["rules"]
        problem = lifecycle_problem(rules)
    except (ValueError, KeyError, TypeError):
        return proceed()  # moto says so
    if problem:
        raise AwsError(
            "InvalidParameterException",
            f"Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: {problem}'",
        )
    return proceed()


def lifecycle_problem(rules: list[dict[str, Any]]) -> str | None:
    """The first thing that is wrong with a lifecycle policy."""
    if not rules:
        return "instance failed to match exactly one schema: rules must not be empty"
    priorities = [each["rulePriority"] for each in rules]
    if len(set(priorities)) < len(priorities):
        return "Rule priorities must be unique"
    for each in rules:
        selection = each["selection"]
        named = selection.get("tagPrefixList") or selection.get("tagPatternList")
        if selection["tagStatus"] == "tagged" and not named:
            return "tagPrefixList or tagPatternList is required when tagStatus is TAGGED"
        if selection["tagStatus"] != "tagged" and named:
            return "tagPrefixList and tagPatternList are only allowed when tagStatus is TAGGED"
        if selection["tagStatus"] == "any" and each["rulePriority"] != max(priorities):
            return "Rules with tagStatus ANY must have the lowest priority"
        if (selection["countType"] == "sinceImagePushed") != ("countUnit" in selection):
            return "countUnit is required when countType is sinceImagePushed, and only then"
    return None
