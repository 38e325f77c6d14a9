"""The connection plugin C(warm): the same results as C(local), from forks of one process that ends with the play."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore
import pytest
import yaml

from support import CREDENTIALS, REGION

PLAYBOOK = [sys.executable, "-m", "ansible.cli.playbook"]
MODULE = """#!/usr/bin/python
import json, os, signal, subprocess, sys, time
from ansible.module_utils.basic import AnsibleModule
{imports}
def main():
    module = AnsibleModule({{"file": {{"type": "path"}}}})
    {body}
    module.exit_json(parent=os.getppid(), **locals().get("result", {{}}))
main()
"""
# What each module does. All report the process that started them.
BODIES = {
    "who": "pass",
    "exits": "print('half of'); sys.stdout.flush(); os._exit(7)",
    "is_killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "raises": "raise ValueError('no')",
    "quits": "sys.exit('a word')",
    "shows_a_traceback": "import traceback\n    try:\n        {}['no']\n    except KeyError:\n        "
    "result = {'last': traceback.format_exc().splitlines()[-1]}",
    "leaves_child": "result = {'child': subprocess.Popen(['sleep', '3'], stdout=-3, stderr=-3).pid > 0}",
    "spoils": "os.environ['SPOILT'] = 'x'; os.chdir('/'); os.umask(0o77); signal.signal(signal.SIGTERM, signal.SIG_IGN); json.dumps = None;"
    "os._exit(print('{}') or 0)",
    "looks": "result = dict(environment=sorted(k + '=' + v for k, v in os.environ.items() if k != '_'), cwd=os.getcwd(), umask=os.umask(0),"
    "term=str(signal.getsignal(signal.SIGTERM)), argv=len(sys.argv), stdin=sys.stdin.read(),"
    "inherited=subprocess.run(['ls', '/proc/self/fd'], close_fds=False, capture_output=True).stdout.decode())",
    "asks": "result = dict(file=os.path.exists(__file__.split('.zip')[0] + '.zip'), utils=thing.VALUE, own=thing.__file__.split('.zip')[1],"
    "known=[name for name in sys.modules if name.startswith('ansible_collections')])",
    "asks_again": "result = {'utils': thing.VALUE}",
    "imports": "import installed_meanwhile; result = {'value': installed_meanwhile.VALUE}",
    "sleeps": "open(module.params['file'], 'w').write(f'{os.getpid()} {os.getppid()}'); time.sleep(20)",
}
IMPORTS = {"asks": "from ansible.module_utils import thing", "asks_again": "from ansible.module_utils import thing"}
# One task for each way in which a module may end or reach the connection.
TASKS: dict[str, dict[str, Any]] = {
    "ping": {"ansible.builtin.ping": {"data": "ünï"}},
    "aws": {"amazon.aws.ec2_vpc_net_info": {"filters": {"is-default": "true"}}},
    "aws module that fails": {"amazon.aws.ec2_vpc_net_info": {"vpc_ids": ["vpc-0123"]}},
    "own collection": {"threetier.aws.cloudwatch_alarm_set_info": {"name_prefix": "none"}},
    "bad argument": {"amazon.aws.ec2_vpc_net_info": {"vpc_id": "vpc-0123"}},
    "exit": {"exits": {}},
    "kill": {"is_killed": {}},
    "exception": {"raises": {}},
    "exit with a word": {"quits": {}},
    "traceback": {"shows_a_traceback": {}},
    "big output": {"ansible.builtin.command": {"argv": [sys.executable, "-c", "print('x' * 3_000_000)"]}},
    "background child": {"leaves_child": {}},
    "spoilt process": {"spoils": {}},
    "state of the process": {"looks": {}},
    "environment": {"looks": {}, "environment": {"GIVEN": "a 'b' \"c\" $HOME\n* \\", "PATH": "/bin"}},
    "environment for the start": {"ansible.builtin.command": {"cmd": "env"}, "environment": {"PYTHONHASHSEED": "1"}},
    "module_utils": {"asks": {}},
    "change of module_utils": {"ansible.builtin.copy": {"content": "VALUE = 2\n", "dest": "{{ playbook_dir }}/module_utils/thing.py"}},
    "changed module_utils": {"asks_again": {}},
    "not Python": {"shell_module": {}},
    "raw": {"ansible.builtin.raw": "echo $0"},
    "become": {"looks": {}, "become": True, "vars": {"ansible_become_exe": "{{ playbook_dir }}/sudo"}},
    "async": {"ansible.builtin.command": {"cmd": "echo later"}, "async": 10, "poll": 1},
    "interpreter with arguments": {"looks": {}, "vars": {"ansible_python_interpreter": f"{sys.executable} -E"}},
}
# Ends like sudo, with the command in a shell, and can be told from a process that was not started by it.
SUDO = """#!/bin/sh
until [ "$1" = /bin/sh ]; do shift; done
BECAME=yes exec "$@"
"""
VOLATILE = {"parent", "start", "end", "delta", "ansible_job_id", "results_file", "mtime", "ctime", "atime", "_original_basename"}


@pytest.fixture(scope="module")
def play(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Runs tasks in a directory of its own. Returns the results of each task by host, or the process if it shall not wait."""

    def run(
        tasks: list[dict[str, Any]], connection: str, *, hosts: str = "one,", wait: bool = True, startup: str = "", **environment: str
    ) -> Any:
        directory = tmp_path_factory.mktemp("play")
        for name in ("library", "module_utils", "lib", "tmp", "local", "remote"):
            (directory / name).mkdir()
        for name, body in BODIES.items():
            (directory / "library" / f"{name}.py").write_text(MODULE.format(body=body, imports=IMPORTS.get(name, "")))
        (directory / "library" / "shell_module").write_text("#!/bin/sh\necho '{\"changed\": true, \"language\": \"sh\"}'\n")
        (directory / "sudo").write_text(SUDO)
        (directory / "sudo").chmod(0o755)
        (directory / "lib" / "sitecustomize.py").write_text(startup)
        (directory / "module_utils" / "thing.py").write_text("VALUE = 1\n")
        play = {"hosts": "all", "gather_facts": False, "tasks": tasks}
        (directory / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        process = subprocess.Popen(
            [*PLAYBOOK, "play.yml", "-i", hosts, "-c", connection, "-e", f"ansible_python_interpreter={sys.executable}"],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **CREDENTIALS,
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_REGION": REGION,
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                "ANSIBLE_REMOTE_TEMP": f"{directory}/remote",
                "ANSIBLE_LOCAL_TEMP": f"{directory}/local",
                "ANSIBLE_ASYNC_DIR": f"{directory}/async",
                "ANSIBLE_PIPELINING": "true",
                "ANSIBLE_BECOME_ALLOW_SAME_USER": "true",  # the tests may run as root
                "ANSIBLE_DEPRECATION_WARNINGS": "false",
                "PYTHONPATH": f"{directory}/lib",
                "TMPDIR": f"{directory}/tmp",
                **environment,
            },
        )
        if not wait:
            return process, directory
        output, errors = process.communicate(timeout=120)
        assert output.startswith("{"), output + errors
        text = re.sub(re.escape(str(directory)), "DIR", output)
        text = re.sub(r"(DIR/tmp|/tmp)/ansible_\w+_payload_\w+|ansible-tmp-[\d.-]+", "TMP", text)
        [play] = json.loads(text)["plays"]
        results = [task["hosts"] for task in play["tasks"]]
        return results, directory

    return run


@pytest.fixture(scope="module")
def both(play: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """The results of TASKS, with C(local) and with C(warm)."""
    # Tasks that shall fail are among them; the results are what is compared.
    tasks = [{"name": name, **task, "ignore_errors": True} for name, task in TASKS.items()]
    found = {}
    for connection in ("local", "threetier.aws.warm"):
        results, _ = play(tasks, connection)
        found[connection] = dict(zip(TASKS, [hosts["one"] for hosts in results], strict=True))
    return found


def comparable(value: Any) -> Any:
    """A result without what differs between any two runs: times, process ids, and the paths in tracebacks."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, str):
        return re.sub(r'File "[^"]*\.zip/', 'File "', value)
    return value


@pytest.mark.parametrize("task", TASKS)
def test_the_result_is_that_of_local(both: dict[str, dict[str, Any]], task: str) -> None:
    assert comparable(both["threetier.aws.warm"][task]) == comparable(both["local"][task])


def test_modules_of_all_forks_have_one_parent(play: Callable[..., Any]) -> None:
    who = {"who": {}}
    results, _ = play([who, who], "threetier.aws.warm", hosts="a,b,c,d,e,", ANSIBLE_FORKS="5")
    assert len({result["parent"] for hosts in results for result in hosts.values()}) == 1


def test_a_variable_turns_it_off(play: Callable[..., Any]) -> None:
    results, _ = play([{"who": {}}, {"who": {}}], "threetier.aws.warm", ANSIBLE_WARM_ENABLED="false")
    assert results[0]["one"]["parent"] != results[1]["one"]["parent"]


def test_without_pidfd_it_is_local(play: Callable[..., Any]) -> None:
    results, _ = play([{"who": {}}, {"who": {}}], "threetier.aws.warm", startup="import os; del os.pidfd_open")
    assert results[0]["one"]["parent"] != results[1]["one"]["parent"]


def test_become_reaches_its_plugin(both: dict[str, dict[str, Any]]) -> None:
    assert "BECAME=yes" in both["threetier.aws.warm"]["become"]["environment"]


def test_a_killed_module_harms_only_itself(both: dict[str, dict[str, Any]], play: Callable[..., Any]) -> None:
    tasks = [{"who": {}}, *({name: {}, "ignore_errors": True} for name in ("exits", "is_killed", "raises", "spoils")), {"who": {}}]
    results, _ = play(tasks, "threetier.aws.warm")
    assert results[0]["one"]["parent"] == results[-1]["one"]["parent"]


def test_a_package_installed_by_a_task_is_found_by_the_next(play: Callable[..., Any]) -> None:
    install = {"ansible.builtin.copy": {"content": "VALUE = 1\n", "dest": "{{ playbook_dir }}/lib/installed_meanwhile.py"}}
    results, _ = play([{"who": {}}, install, {"imports": {}}], "threetier.aws.warm")
    assert results[2]["one"]["value"] == 1
    assert results[0]["one"]["parent"] != results[2]["one"]["parent"], "what was imported before the installation is still in use"


def test_a_botocore_with_other_private_names_is_used_as_it_is(play: Callable[..., Any], tmp_path: Path) -> None:
    """A later release may rename what the warm process keeps of it."""
    package = Path(botocore.__file__).parent
    (tmp_path / "botocore").mkdir()
    for path in package.iterdir():
        if path.suffix == ".py":
            names = r"_create_methods|accepts_kwargs|_alias_name_cache|EVENT_ALIASES|load_file"
            (tmp_path / "botocore" / path.name).write_text(re.sub(rf"\b({names})\b", r"\1_renamed", path.read_text()))
        elif path.is_dir() and path.name != "__pycache__":
            (tmp_path / "botocore" / path.name).symlink_to(path)
    who, aws = {"who": {}}, TASKS["aws"]
    results, _ = play([aws, who, aws, who], "threetier.aws.warm", PYTHONPATH=str(tmp_path))
    assert results[1] == results[3], "the warm process has ended"
    assert results[0]["one"]["vpcs"] == results[2]["one"]["vpcs"] != []


def test_nothing_is_left_on_the_disk(play: Callable[..., Any]) -> None:
    _, directory = play([{"who": {}}, {"raises": {}, "ignore_errors": True}, {"ansible.builtin.command": "true"}], "threetier.aws.warm")
    assert [path for name in ("tmp", "local", "remote") for path in (directory / name).rglob("*")] == []


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_controller(play: Callable[..., Any], signal_: signal.Signals) -> None:
    process, directory = play([{"sleeps": {"file": "{{ playbook_dir }}/pids"}}], "threetier.aws.warm", wait=False)
    pids = wait_for(lambda: file.read_text().split() if (file := directory / "pids").exists() else [])
    module, warm = map(int, pids)
    assert "warm_server" in Path(f"/proc/{warm}/cmdline").read_text()
    if signal_ == signal.SIGKILL:  # with local, too, the module may go on until it is done
        process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(module, signal.SIGTERM)
    else:
        process.send_signal(signal_)
    process.communicate(timeout=10)
    wait_for(lambda: not alive(module) and not alive(warm))


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for(check: Callable[[], Any]) -> Any:
    end = time.monotonic() + 10
    while not (value := check()):
        assert time.monotonic() < end, "it did not come true within 10 s"
        time.sleep(0.05)
    return value
