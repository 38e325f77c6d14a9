"""ECR: images, their layers, and the policies of repositories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

PUT_IMAGE = "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html"
Aws = Callable[..., Any]


def upload(aws: Aws, repository: str, content: bytes, digest: str = "") -> str:
    """Upload a layer; returns its digest."""
    ecr = aws("ecr")
    upload_id = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=repository, uploadId=upload_id, partFirstByte=0, partLastByte=len(content) - 1, layerPartBlob=content
    )
    digest = digest or "sha256:" + hashlib.sha256(content).hexdigest()
    return str(ecr.complete_layer_upload(repositoryName=repository, uploadId=upload_id, layerDigests=[digest])["layerDigest"])


def manifest(*layers: str) -> str:
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": [{"digest": digest} for digest in layers]})


@conforms(PUT_IMAGE)
def test_tag_is_immutable(aws: Aws) -> None:
    ecr = aws("ecr")
    ecr.create_repository(repositoryName="immutable", imageTagMutability="IMMUTABLE")
    first, second = (manifest(upload(aws, "immutable", content)) for content in (b"first", b"second"))
    ecr.put_image(repositoryName="immutable", imageManifest=first, imageTag="1")
    refused("ImageTagAlreadyExistsException", ecr.put_image, repositoryName="immutable", imageManifest=second, imageTag="1")
    refused("ImageAlreadyExistsException", ecr.put_image, repositoryName="immutable", imageManifest=first, imageTag="1")
    ecr.put_image(repositoryName="immutable", imageManifest=second, imageTag="2")


@conforms(PUT_IMAGE)
def test_manifest_is_none(aws: Aws) -> None:
    ecr = aws("ecr")
    ecr.create_repository(repositoryName="manifests")
    refused("InvalidParameterException", ecr.put_image, repositoryName="manifests", imageManifest="none", imageTag="1")
    refused("RepositoryNotFoundException", ecr.put_image, repositoryName="nowhere", imageManifest=manifest(), imageTag="1")
    ecr.put_image(repositoryName="manifests", imageManifest=manifest(), imageTag="1")


@conforms(PUT_IMAGE)
def test_layers_not_uploaded(aws: Aws) -> None:
    ecr = aws("ecr")
    ecr.create_repository(repositoryName="layers")
    digest = "sha256:" + hashlib.sha256(b"layer").hexdigest()
    assert digest in refused(
        "LayersNotFoundException", ecr.put_image, repositoryName="layers", imageManifest=manifest(digest), imageTag="1"
    )
    upload(aws, "layers", b"layer")
    ecr.put_image(repositoryName="layers", imageManifest=manifest(digest), imageTag="1")


@conforms("https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html")
def test_layer_has_another_digest(aws: Aws) -> None:
    aws("ecr").create_repository(repositoryName="digests")
    refused("InvalidLayerException", lambda: upload(aws, "digests", b"layer", "sha256:" + "0" * 64))
    upload(aws, "digests", b"layer")


@conforms("https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html")
def test_repository_key_unknown(aws: Aws) -> None:
    ecr = aws("ecr")
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    unknown = {"encryptionType": "KMS", "kmsKey": key[:-4] + "0000"}
    refused("KmsException", ecr.create_repository, repositoryName="encrypted", encryptionConfiguration=unknown)
    ecr.create_repository(repositoryName="encrypted", encryptionConfiguration={"encryptionType": "KMS", "kmsKey": key})


@conforms("https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html")
def test_lifecycle_policy_invalid(aws: Aws) -> None:
    ecr = aws("ecr")
    ecr.create_repository(repositoryName="lifecycle")

    def rule(priority: int, **selection: Any) -> dict[str, Any]:
        selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5} | selection
        return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}

    def put(*rules: dict[str, Any]) -> Callable[[], Any]:
        return lambda: ecr.put_lifecycle_policy(repositoryName="lifecycle", lifecyclePolicyText=json.dumps({"rules": rules}))

    for rules in (
        [],
        [rule(1), rule(1, tagStatus="any")],
        [rule(1, tagPrefixList=["v"])],
        [rule(1, tagStatus="tagged")],
        [rule(1, tagStatus="any"), rule(2)],
        [rule(1, countType="sinceImagePushed")],
        [rule(1, countUnit="days")],
    ):
        refused("InvalidParameterException", put(*rules))
    put(
        rule(1, countType="sinceImagePushed", countUnit="days"), rule(2, tagStatus="tagged", tagPrefixList=["v"]), rule(3, tagStatus="any")
    )()
