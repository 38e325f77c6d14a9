"""The module ecr_image, with a container engine that only writes down what it is asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import ecr_image
from support import ModuleFailed

PASSWORD = "123456789012-auth-token"  # the emulator's

# Writes each call down, and pushes by putting an image into the emulator's ECR.
FAKE_ENGINE = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path

arguments = sys.argv[1:]
call = {{"argv": arguments, "stdin": sys.stdin.read() if "--password-stdin" in arguments else ""}}
if "--config" in arguments:
    directory = Path(arguments[arguments.index("--config") + 1])
    call |= {{"mode": oct(directory.stat().st_mode & 0o777), "config": json.loads((directory / "config.json").read_text())}}
    call |= {{"host": os.environ.get("DOCKER_HOST")}}
if "build" in arguments:
    context = Path(arguments[-1])
    call["attested"] = os.environ.get("BUILDX_NO_DEFAULT_ATTESTATIONS") != "1"
    call["context"] = sorted(path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file())
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(call) + "\\n")
if "context" in arguments:
    print("unix:///run/chosen.sock")
if os.environ.get("BREAK") in arguments:
    print("\\n".join(f"step {{number}}" for number in range(100)))
    sys.exit("no space left on device")
if "push" in arguments:
    import boto3
    name, tag = arguments[-1].partition("/")[2].split(":")
    manifest = json.dumps({{"tag": tag, "mediaType": "application/vnd.oci.image.manifest.v1+json"}})
    boto3.client("ecr").put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)
    sys.exit(os.environ.get("PUSH_STATUS"))
"""


@pytest.fixture
def context(tmp_path):
    """A build context of two files that count, and one that is left out."""
    directory = tmp_path / "context"
    for name, content in {
        "Containerfile": "FROM scratch\nCOPY . /\n",
        "web/app.py": "print()\n",
        "web/__pycache__/app.pyc": "noise",
        ".dockerignore": "**/__pycache__\n",
    }.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    return directory


@pytest.fixture
def repository(aws, request):
    """URI of an empty repository."""
    name = request.node.originalname.replace("_", "-")
    yield aws("ecr").create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")["repository"]["repositoryUri"]
    aws("ecr").delete_repository(repositoryName=name, force=True)


@pytest.fixture(params=["docker", "podman"])
def engine(request, tmp_path, monkeypatch):
    """A fake engine that is the only one installed; returns what it has been asked for."""
    calls = tmp_path / "calls.jsonl"
    path = tmp_path / "bin" / request.param
    path.parent.mkdir()
    path.write_text(FAKE_ENGINE)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setenv("CALLS", str(calls))
    return lambda: [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


def tag_of(context: Path, **changed) -> str:
    containerfile = context / "Containerfile"
    recipe = {"build_args": {}, "platform": "linux/amd64"} | changed
    return ecr_image.content_tag(context, ecr_image.context_files(context, containerfile), containerfile, **recipe)


def test_builds_and_pushes_once(engine, repository, context, check_run_check_run, run_module):
    predicted = run_module("ecr_image", check=True, repository_uri=repository, context=str(context), build_args={"VERSION": 3})["image"]
    assert predicted["reference"] == f"{repository}:{predicted['tag']}" and engine() == []

    done = check_run_check_run("ecr_image", repository_uri=repository, context=str(context), build_args={"VERSION": 3})
    image = done["image"]
    built_from = {"containerfile": "Containerfile", "platform": "linux/amd64", "build_args": {"VERSION": "3"}}
    assert done["diff"] == {"before": {}, "after": {predicted["reference"]: built_from}}
    assert image["reference"] == f"{repository}@{image['digest']}" and image["tag"] == predicted["tag"] and image["built"]

    [build] = [call for call in engine() if "build" in call["argv"]]
    assert build["context"] == ["Containerfile", "web/app.py"]
    assert "--build-arg=VERSION=3" in build["argv"]
    [push] = [call for call in engine() if "push" in call["argv"]]
    assert push["argv"][-1] == f"{repository}:{image['tag']}"


def test_the_password_goes_to_standard_input_and_stays_nowhere(engine, repository, context, run_module):
    done = run_module("ecr_image", repository_uri=repository, context=str(context))
    [login] = [call for call in engine() if "login" in call["argv"]]
    assert login["stdin"].strip() == PASSWORD
    assert PASSWORD not in json.dumps([call["argv"] for call in engine()]) + json.dumps(done)
    option = "--config" if "--config" in login["argv"] else "--authfile"
    login_directory = Path(login["argv"][login["argv"].index(option) + 1])
    assert not login_directory.exists() and not login_directory.parent.joinpath("auth.json").exists()


@pytest.mark.parametrize("engine", ["docker"], indirect=True)
def test_docker_logs_in_beside_the_users_own_configuration(engine, repository, context, run_module):
    run_module("ecr_image", repository_uri=repository, context=str(context))
    [login] = [call for call in engine() if "login" in call["argv"]]
    assert login["mode"] == "0o700"
    assert login["config"] == {"auths": {repository.partition("/")[0]: {}}}, "without an entry, docker uses the key ring"
    assert login["host"] == "unix:///run/chosen.sock"


@pytest.mark.parametrize("engine", ["docker"], indirect=True)
def test_a_build_is_one_image_in_the_registry(engine, repository, context, run_module):
    run_module("ecr_image", repository_uri=repository, context=str(context))
    [build] = [call for call in engine() if "build" in call["argv"]]
    assert not build["attested"]


@pytest.mark.parametrize("engine", ["docker"], indirect=True)
def test_a_tag_that_somebody_else_pushed_first_is_success(engine, repository, context, run_module, monkeypatch):
    monkeypatch.setenv(
        "PUSH_STATUS", "tag invalid: the image tag already exists and cannot be overwritten because the repository is immutable"
    )
    assert "digest" in run_module("ecr_image", repository_uri=repository, context=str(context))["image"]


@pytest.mark.parametrize("engine", ["podman"], indirect=True)
def test_shows_the_last_that_the_engine_said(engine, repository, context, run_module, monkeypatch):
    monkeypatch.setenv("BREAK", "build")
    with pytest.raises(ModuleFailed) as failed:
        run_module("ecr_image", repository_uri=repository, context=str(context))
    lines = str(failed.value).splitlines()
    assert lines[-2:] == ["step 99", "no space left on device"] and len(lines) == 1 + ecr_image.OUTPUT_LINES


def test_a_preview_in_a_repository_that_is_not_made_yet_asks_nothing(context, run_module, requests):
    uri = state.planned("demo/web")
    preview = run_module("ecr_image", check=True, repository_uri=uri, context=str(context))
    assert preview["changes"]["created"] == [preview["image"]["reference"]] and requests == []


def test_the_tag_is_the_same_in_another_directory(context, tmp_path):
    other = tmp_path / "other"
    context.joinpath("web/__pycache__/app.pyc").write_text("other noise")
    context.joinpath("web/app.py").chmod(0o640)
    tag = tag_of(context)
    assert tag == tag_of(context.rename(other))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda context: context.joinpath("web/app.py").write_text("print(1)\n"), id="bytes"),
        pytest.param(lambda context: context.joinpath("web/app.py").chmod(0o755), id="executable"),
        pytest.param(lambda context: context.joinpath("web/app.py").rename(context / "web/main.py"), id="name"),
        pytest.param(lambda context: context.joinpath("web/link").symlink_to("app.py"), id="link"),
    ],
)
def test_other_content_has_another_tag(context, change):
    before = tag_of(context)
    change(context)
    assert tag_of(context) != before


def test_other_build_arguments_and_platforms_have_other_tags(context):
    assert len({tag_of(context), tag_of(context, platform="linux/arm64"), tag_of(context, build_args={"A": "1"})}) == 3


@pytest.mark.parametrize(
    "lines, kept",
    [
        (["*.md"], ["Containerfile", "a/b/c.md", "a/b/d.py"]),
        (["**/*.md"], ["Containerfile", "a/b/d.py"]),
        (["/a/"], ["Containerfile", "x.md"]),
        (["a/*/c.md", "# a comment", ""], ["Containerfile", "a/b/d.py", "x.md"]),
        (["*", "!a/b/d.py"], ["a/b/d.py"]),
        (["a/b/[cd].??"], ["Containerfile", "x.md"]),
    ],
)
def test_honours_the_ignore_file(tmp_path, lines, kept):
    for name in ["Containerfile", "a/b/c.md", "a/b/d.py", "x.md"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".containerignore").write_text("\n".join(lines))
    assert ecr_image.context_files(tmp_path, tmp_path / "Containerfile") == kept


def test_a_missing_engine_and_a_missing_repository_are_said(repository, context, run_module, monkeypatch):
    with pytest.raises(ModuleFailed, match="there is no repository"):
        run_module("ecr_image", repository_uri=repository + "-none", context=str(context))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModuleFailed, match="docker or podman is not installed"):
        run_module("ecr_image", repository_uri=repository, context=str(context))
