"""The action C(warm_up): what it packs for later tasks, what the warm process makes of it, and that nothing of it stays."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
import zipfile
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import ROOT

MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import bytes_to_human
AnsibleModule({}).exit_json()
"""
MODULES = ("before", "applied", "removed", "included", "inside", "main", "later", "given")
ROLE = {
    "main.yml": [{"ansible.builtin.include_tasks": "{{ layer_state }}.yml"}, {"include_tasks": {"file": "{{ layer_fact }}.yml"}}],
    "present.yml": [{"applied": {}}],
    "absent.yml": [{"name": "Remove", "removed": {}, "loop": [1]}, {"include_tasks": "more.yml"}],
    "more.yml": [{"block": [{"included": {}}], "always": [{"inside": {}}]}],
}
# Loses ansible-playbook, as if to SIGKILL between two lines, and goes on.
ORPHAN = """
import os, signal, sys, time
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        os.kill(controller := os.getppid(), signal.SIGKILL)
        while os.getppid() == controller:
            time.sleep(0.01)
        assert not self._connection.start(sys.executable)
        open("went-on", "w")
        return {}
"""
# Waits for the last module and keeps what Ansible removes at its end.
COLLECT = """#!/bin/sh
for _ in $(seq 200); do ls local/*/ansiballz_cache/*.given-*none && break; sleep 0.1; done
cp -rp local/*/ansiballz_cache packed
ls local/* > listed
"""
WARM_UP = {"threetier.aws.warm_up": {"modules": ["given"]}}
COLLECTED = {"ansible.builtin.debug": {"msg": "{{ lookup('ansible.builtin.pipe', playbook_dir ~ '/collect') }}"}}
PLAY = {
    "pre_tasks": [WARM_UP, COLLECTED, {"before": {}, "when": False}],
    "roles": [{"role": "layer", "vars": {"layer_state": "absent"}, "when": False}],
    "tasks": [{"main": {}, "when": False}],
    "post_tasks": [{"later": {}, "when": False}],
}


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a play in a directory with a role and modules."""

    def run(content: dict[str, Any], connection: str = "threetier.aws.warm", wait: bool = True) -> subprocess.Popen[str]:
        for name in ("library", "local", "roles/layer/tasks"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for name in MODULES:
            (tmp_path / "library" / f"{name}.py").write_text(MODULE)
        for name, tasks in ROLE.items():
            (tmp_path / "roles/layer/tasks" / name).write_text(yaml.safe_dump(tasks, sort_keys=False))
        (tmp_path / "collect").write_text(COLLECT)
        (tmp_path / "collect").chmod(0o755)
        (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, **content}], sort_keys=False))
        process = subprocess.Popen(
            [sys.executable, "-m", "ansible.cli.playbook", "play.yml", "-i", "one,", "-c", connection]
            + ["-e", f"ansible_python_interpreter={sys.executable}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "ANSIBLE_LOCAL_TEMP": f"{tmp_path}/local"},
        )
        if wait:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0, output
        return process

    return run


def packed(directory: Path) -> dict[str, dict[str, bytes]]:
    """The modules that Ansible's cache held, in the order in which they came into it, and the files of each one."""
    files = sorted((directory / "packed").glob("ansible.legacy.*none"), key=lambda file: file.stat().st_mtime_ns)
    found = {}
    for file in files:
        with zipfile.ZipFile(BytesIO(b64decode(pickle.loads(file.read_bytes()).zip_data))) as archive:
            found[file.name.split(".")[2].partition("-")[0]] = {name: archive.read(name) for name in archive.namelist()}
    return found


def processes_in(directory: Path) -> list[str]:
    """What was started with a path in a directory, or works in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(directory) in (process / "cmdline").read_text() or (process / "cwd").readlink() == directory:
                found.append(process.name)
        except OSError:
            pass  # it has ended
    return found


def wait_for(check: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end, "it did not come true within 20 s"
        time.sleep(0.05)


def test_it_packs_the_modules_of_the_play_in_their_order(play: Callable[..., Any], tmp_path: Path) -> None:
    play(PLAY)
    assert list(packed(tmp_path)) == ["before", "removed", "included", "inside", "main", "later", "given"]


def test_a_module_is_packed_as_its_task_would(play: Callable[..., Any], tmp_path: Path) -> None:
    play(PLAY)
    ahead = packed(tmp_path)
    (tmp_path / "packed").rename(tmp_path / "ahead")
    play({"tasks": [{name: {}} for name in ahead] + [COLLECTED]}, connection="local")
    assert packed(tmp_path) == ahead


def test_with_local_it_does_nothing(play: Callable[..., Any], tmp_path: Path) -> None:
    play({"tasks": [WARM_UP, {"main": {}}, {"given": {}}, COLLECTED]}, connection="local")
    assert list(packed(tmp_path)) == ["main", "given"]
    assert "warm" not in (tmp_path / "listed").read_text()


@pytest.mark.parametrize("killed", [False, True])
def test_nothing_outlives_the_controller(play: Callable[..., Any], tmp_path: Path, killed: bool) -> None:
    process = play({"tasks": [WARM_UP, *({name: {}, "when": False} for name in MODULES)]}, wait=False)
    if killed:
        wait_for(lambda: list((tmp_path / "local").rglob("warm-up-*")))
        process.kill()
    output, _ = process.communicate(timeout=60)
    assert killed or process.returncode == 0, output
    wait_for(lambda: not processes_in(tmp_path))
    assert killed or not list((tmp_path / "local").iterdir())


def test_a_worker_that_lost_the_controller_starts_nothing(play: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "action_plugins").mkdir()
    (tmp_path / "action_plugins/orphan.py").write_text(ORPHAN)
    play({"tasks": [{"orphan": {}}]}, wait=False).wait(timeout=60)
    wait_for(lambda: not processes_in(tmp_path))
    assert (tmp_path / "went-on").exists()


# The warm process itself, step by step.
STEPS = """
import base64, io, os, socket, sys, zipfile
from warm_server import Server

def payload(module):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for path in ("ansible/__init__.py", "ansible/module_utils/__init__.py"):
            archive.writestr(path, "")
        archive.writestr("ansible/module_utils/shared.py", "VALUE = 1")
        archive.writestr(f"ansible_collections/a/b/plugins/modules/{module}.py", "def main(module): module.client('sqs')")
    return base64.b64encode(buffer.getvalue())

server = Server(socket.socket(socket.AF_UNIX), os.pidfd_open(os.getpid()), "", early=True)
while server.early:
    server.step()
server.offered[b"one"] = server.prepare(payload("one"), ahead=True)
server.offered[b"broken"] = server.prepare(b"no zip", ahead=True)
next(server.offered[b"one"])
server.offered[b"two"] = server.prepare(payload("two"), ahead=True)
while b"two" in server.offered:
    try:
        next(server.offered[b"two"])
    except StopIteration as finished:
        server.finish(b"two", finished.value)
while server.offered or server.services:
    server.step()
print(sorted(server.payloads), [payload.shared for payload in server.payloads.values()])
print("boto3" in sys.modules, any("/sqs/" in file and "service-2" in file for file in server.json_files))
"""


def test_the_process_prepares_what_it_is_offered_in_steps() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins" / "plugin_utils")}
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout.splitlines() == ["[b'one', b'two'] [True, True]", "True True"], done.stderr


CLIENTS = """
import sys
import boto3, botocore.client, inspect
import warm_server

def described(service):
    client = boto3.session.Session("id", "secret", region_name="eu-west-1").client(service)
    methods = {name: (method.__name__, str(method.__doc__)) for name, method in inspect.getmembers(client, inspect.ismethod) if name[0] != "_"}
    events = (f"{event}.{service}.CreateBucket" for event in ("before-parameter-build", "before-call", "request-created", "needs-retry"))
    handlers = [handler for event in events for handler in client.meta.events._emitter._handlers.prefix_search(event)]
    return methods, client.meta.method_to_api_mapping, [getattr(handler, "__qualname__", type(handler)) for handler in handlers]

plain = {service: described(service) for service in ("s3", "sqs")}
server = type("Server", (), {"json_files": {}, "loader": warm_server.Server.loader, "load_model": warm_server.Server.load_model})()
warm_server.Server.cache_models(server)
warm_server.keep_client_parts()
for service in plain:
    warm_server.Server.load_service(server, service)
made = []
botocore.client.ClientCreator._create_api_method = lambda *arguments: made.append(arguments)
kept = {service: described(service) for service in (*plain, *plain)}
print(len(made), kept == plain, [len(handlers) > 5 for _, _, handlers in kept.values()])
"""


def test_a_client_of_kept_parts_is_the_one_that_botocore_makes() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins" / "plugin_utils")}
    done = subprocess.run([sys.executable, "-c", CLIENTS], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.splitlines() == ["0 True [True, True]"], done.stderr
