#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecr_image
version_added: 0.1.0
short_description: Make sure that an ECR repository holds the image of a directory's content
description:
  - Tags an image with a hash of what it is built from, looks the tag up in ECR, and builds and pushes the image only where it is missing.
    The same content has the same tag on every machine, so that most runs need neither a build nor a container engine.
  - The hash covers the paths, the bytes and the executable bits of the files that the build context holds, the Containerfile, the build
    arguments and the platform. The build sees exactly these files.
  - M(community.aws.ecs_ecr) manages repositories; neither amazon.aws nor community.aws has a module for images.
    M(community.docker.docker_image_build) needs buildx, and knows neither ECR's login nor tags by content.
author:
  - threetier.aws contributors
options:
  repository_uri:
    description: URI of the repository, as ECR names it.
    type: str
    required: true
  context:
    description:
      - Directory that the build context is taken from, on the machine where the module runs.
      - What the first of C(<containerfile>.containerignore), C(<containerfile>.dockerignore), C(.containerignore) and C(.dockerignore)
        names is left out. Empty directories are left out, too, and so are the ignore files.
    type: path
    required: true
  containerfile:
    description: The Containerfile's path, within O(context) unless absolute.
    type: str
    default: Containerfile
  build_args:
    description: Build arguments. They stay readable in the image, so they must not be secret.
    type: dict
    default: {}
  platform:
    description: Platform that the image is built for.
    type: str
    choices: [linux/amd64, linux/arm64]
    default: linux/amd64
  engine:
    description: Container engine that builds and pushes; V(auto) takes the first that is installed, docker before podman.
    type: str
    choices: [auto, docker, podman]
    default: auto
notes:
  - The registry's password goes to the engine's standard input, and is kept in a private directory that is removed before the module ends.
    The engine's own configuration, and logins, are used for the build, and never changed.
  - The base image does not belong to the hash. Name it by digest in the Containerfile, so that a new one is a new content.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Looks the tag up, and neither builds nor pushes.
    support: full
  diff_mode:
    description: Shows the image that is built, by its tag, and what it is built from.
    support: full
  idempotent:
    description: A second run with the same content changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Image of the web tier
  threetier.aws.ecr_image:
    repository_uri: "{{ repository.uri }}"
    context: "{{ playbook_dir }}/../webapp"
    containerfile: web/Containerfile
    platform: linux/arm64
  register: web

- name: The task definition names the image by digest
  ansible.builtin.debug:
    var: web.image.reference
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["123456789012.dkr.ecr.eu-central-1.amazonaws.com/demo-web:1f0c…"], "changed": [], "replaced": [], "deleted": [],
    "unchanged": []}
image:
  description: The image.
  returned: always
  type: dict
  contains:
    reference:
      description: The image by digest; in check mode, one that is missing by tag.
      type: str
      sample: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/demo-web@sha256:4f53cda18c2baa…
    tag:
      description: Hash of the content.
      type: str
      sample: 1f0c4b1d8f4f4f7f9f3e0a2b5c6d7e8f
    digest:
      description: Digest; absent in check mode for an image that is missing.
      type: str
      returned: when known
      sample: sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945
    built:
      description: Whether this run built the image; in check mode, whether it would be.
      type: bool
"""

import base64
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, client, is_planned, outcome_of, wait_for

ENGINES = ("docker", "podman")
IGNORE_FILES = (".containerignore", ".dockerignore")
VISIBLE_SECONDS = 60
OUTPUT_LINES = 20


def ignore_rule(line: str) -> tuple[bool, re.Pattern[str]]:
    """Whether the line of an ignore file leaves out what it matches, or takes it in again, and the pattern for a path and all below it."""
    pattern = line.removeprefix("!").strip().strip("/")
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^]]+\]|.", pattern)
    wildcards = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    translated = "".join(wildcards.get(token) or (token if len(token) > 1 else re.escape(token)) for token in tokens)
    return not line.startswith("!"), re.compile(f"{translated}(?:/.*)?")


def context_files(context: Path, containerfile: Path) -> list[str]:
    """Sorted relative paths of the files and links that the build context holds, without what the ignore file names."""
    candidates = [containerfile.with_name(containerfile.name + name) for name in IGNORE_FILES] + [context / name for name in IGNORE_FILES]
    lines = next((path.read_text().splitlines() for path in candidates if path.is_file()), [])
    rules = [ignore_rule(line.strip()) for line in lines if line.strip() and not line.startswith("#")]

    def is_kept(name: str) -> bool:
        verdicts = [leaves_out for leaves_out, pattern in rules if pattern.fullmatch(name)]
        return not (verdicts and verdicts[-1]) and context / name not in candidates

    found = []
    for directory, subdirectories, files in os.walk(context):
        for path in (Path(directory, name) for name in [*files, *subdirectories]):
            if path.is_symlink() or path.is_file():
                found.append(path.relative_to(context).as_posix())
    return sorted(filter(is_kept, found))


def stage(context: Path, names: Iterable[str], directory: Path) -> None:
    """Copies the files into C(directory), which is all that the engine gets to see, with the modes that the tag tells apart."""
    for name in names:
        source, target = context / name, directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target, follow_symlinks=False)
        if not source.is_symlink():
            target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def content_tag(directory: Path, names: Iterable[str], containerfile: Path, build_args: dict[str, str], platform: str) -> str:
    """Hash of all that decides what the image becomes, but for what the build fetches from elsewhere."""
    files = []
    for name in names:
        path = directory / name
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        kind = "link" if path.is_symlink() else "executable" if path.stat().st_mode & 0o100 else "file"
        files.append([name, kind, hashlib.sha256(content).hexdigest()])
    recipe = [files, hashlib.sha256(containerfile.read_bytes()).hexdigest(), sorted(build_args.items()), platform]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:32]


def find_digest(ecr: Any, repository_uri: str, tag: str, check_mode: bool) -> str | None:
    """Digest of the image with the tag, or None. In check mode, the repository may still be to be created."""
    if is_planned(repository_uri):
        return None
    registry, _slash, repository = repository_uri.partition("/")
    request = {"repositoryName": repository, "imageIds": [{"imageTag": tag}]}
    if re.match(r"\d{12}\.", registry):
        request["registryId"] = registry[:12]
    try:
        return ecr.describe_images(**request, aws_retry=True)["imageDetails"][0]["imageDigest"]
    except is_boto3_error_code("ImageNotFoundException"):
        return None
    except is_boto3_error_code("RepositoryNotFoundException") as error:
        if check_mode:
            return None
        raise StateError(f"there is no repository {repository_uri}; create it first, with threetier.aws.ecr_repository") from error


class Engine:
    """The container engine's command line, with a directory of its own for the login to the registry."""

    def __init__(self, module: AnsibleAWSModule, login_directory: Path) -> None:
        self.module = module
        wanted = ENGINES if module.params["engine"] == "auto" else (module.params["engine"],)
        path = next((path for name in wanted if (path := shutil.which(name))), None)
        if path is None:
            raise StateError(f"the image must be built, and {' or '.join(wanted)} is not installed on this machine")
        self.path, self.is_docker = path, Path(path).name == "docker"
        self.login_directory = login_directory
        self.environment: dict[str, str] = {}
        if self.is_docker:
            # A configuration without any login makes docker put this one into the user's key ring.
            registry = module.params["repository_uri"].partition("/")[0]
            (login_directory / "config.json").write_text(json.dumps({"auths": {registry: {}}}))
            # Another configuration directory also hides which engine the user has chosen.
            code, host, _error = module.run_command([path, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])
            if code == 0 and host.strip():
                self.environment = {"DOCKER_HOST": host.strip()}
            # With attestations, one build is three images in the registry, and a lifecycle policy counts all of them.
            self.environment["BUILDX_NO_DEFAULT_ATTESTATIONS"] = "1"

    def run(self, *arguments: str, data: str | None = None) -> None:
        code, output, errors = self.module.run_command([self.path, *arguments], data=data, environ_update=self.environment)
        if code != 0:
            lines = [line for line in f"{output}\n{errors}".splitlines() if line.strip()]
            raise StateError("\n".join([f"{Path(self.path).name} ended with {code}; the last it said:", *lines[-OUTPUT_LINES:]]))

    def with_login(self, command: str, *arguments: str, data: str | None = None) -> None:
        """Runs the command with the login that is kept in our directory."""
        if self.is_docker:
            self.run("--config", str(self.login_directory), command, *arguments, data=data)
        else:
            self.run(command, "--authfile", str(self.login_directory / "auth.json"), *arguments, data=data)


def build_and_push(module: AnsibleAWSModule, ecr: Any, staged: Path, containerfile: Path, image: str) -> None:
    params = module.params
    with tempfile.TemporaryDirectory(prefix="ecr-login-") as login_directory:  # mode 0700
        engine = Engine(module, Path(login_directory))
        arguments = [f"--build-arg={name}={value}" for name, value in sorted(params["build_args"].items())]
        engine.run("build", "--tag", image, "--file", str(containerfile), "--platform", params["platform"], *arguments, str(staged))

        token = ecr.get_authorization_token(aws_retry=True)["authorizationData"][0]["authorizationToken"]
        user, _colon, password = base64.b64decode(token).decode().partition(":")
        module.no_log_values.update({token, password})
        registry = image.partition("/")[0]
        engine.with_login("login", "--username", user, "--password-stdin", registry, data=password)
        engine.with_login("push", image)


def ensure(module: AnsibleAWSModule) -> dict[str, Any]:
    params, ecr = module.params, client(module, "ecr")
    uri, context = params["repository_uri"], Path(params["context"])
    containerfile = context / params["containerfile"]
    if not containerfile.is_file():
        raise StateError(f"there is no Containerfile {containerfile}")
    build_args = {name: str(value) for name, value in params["build_args"].items()}

    with tempfile.TemporaryDirectory(prefix="ecr-context-") as directory:
        staged = Path(directory)
        names = context_files(context, containerfile)
        stage(context, names, staged)
        tag = content_tag(staged, names, containerfile, build_args, params["platform"])
        image = f"{uri}:{tag}"
        digest = find_digest(ecr, uri, tag, module.check_mode)
        if digest is not None:
            return {"image": public(uri, tag, digest, built=False), **outcome_of(image, {}, {})}
        if not module.check_mode:
            try:
                build_and_push(module, ecr, staged, containerfile, image)
            except StateError:
                # Somebody else may have pushed the same content meanwhile, which a repository with immutable tags refuses to take twice.
                digest = find_digest(ecr, uri, tag, module.check_mode)
                if digest is None:
                    raise
            digest = wait_for(lambda: find_digest(ecr, uri, tag, False), bool, VISIBLE_SECONDS, f"the image {image} appearing in ECR")
    built_from = {"containerfile": params["containerfile"], "platform": params["platform"], "build_args": build_args}
    return {"image": public(uri, tag, digest, built=True), **outcome_of(image, None, built_from)}


def public(uri: str, tag: str, digest: str | None, built: bool) -> dict[str, Any]:
    known = {"reference": f"{uri}@{digest}", "digest": digest} if digest else {"reference": f"{uri}:{tag}"}
    return {**known, "tag": tag, "built": built}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "repository_uri": {"type": "str", "required": True},
            "context": {"type": "path", "required": True},
            "containerfile": {"type": "str", "default": "Containerfile"},
            "build_args": {"type": "dict", "default": {}},
            "platform": {"type": "str", "choices": ["linux/amd64", "linux/arm64"], "default": "linux/amd64"},
            "engine": {"type": "str", "choices": ["auto", *ENGINES], "default": "auto"},
        },
        supports_check_mode=True,
    )
    try:
        result = ensure(module)
    except StateError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"Unable to read the build context {module.params['context']}: {error}")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the image in {module.params['repository_uri']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
