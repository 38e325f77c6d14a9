# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection plugin C(threetier.aws.warm): what reaches it, and what it hands to the warm process.

With pipelining an action plugin calls C(exec_command("/bin/sh -c 'NAME=value PYTHON'", in_data=MODULE)), where MODULE is a Python
program with the module, all that it imports from Ansible, and its arguments. Exactly this call is done by the warm process
(plugins/plugin_utils/warm_server.py); every other one by C(local), whose class this one extends.
"""

from __future__ import annotations

DOCUMENTATION = """
name: warm
short_description: run modules on the controller in forks of a process that has imported everything
version_added: 0.1.0
author: threetier.aws contributors
description:
  - Like P(ansible.builtin.local#connection), with the same results, but a Python module starts in milliseconds.
  - The first task starts a process that stays until the play ends. It imports what modules need (C(ansible.module_utils), those of
    C(amazon.aws), boto3, the service models of botocore). Each further task runs in a fork of it.
  - Whatever it cannot do in the very same way is left to P(ansible.builtin.local#connection) - C(become), C(async), C(raw), modules in
    other languages, an interpreter with arguments, a task's C(environment) that changes how Python starts, and systems other than Linux.
  - It pipelines modules by itself. O(pipelining) is for what is left to P(ansible.builtin.local#connection).
options:
  enabled:
    description: Whether modules run in the warm process. When V(false), all is as with P(ansible.builtin.local#connection).
    type: bool
    default: true
    vars:
      - name: ansible_warm_enabled
    env:
      - name: ANSIBLE_WARM_ENABLED
    ini:
      - section: warm_connection
        key: enabled
  become_success_timeout:
    description:
      - Number of seconds to wait for become to succeed when enabled.
      - The default will be used if the configured value is less than 1.
    type: int
    default: 10
    vars:
      - name: ansible_local_become_success_timeout
  become_strip_preamble:
    description: Strip internal become output preceding command execution. Disable for additional diagnostics.
    type: bool
    default: true
    vars:
      - name: ansible_local_become_strip_preamble
extends_documentation_fragment:
  - connection_pipelining
notes:
  - The remote user is ignored, as with P(ansible.builtin.local#connection).
  - What it cannot do, and how fast it is, is told in C(docs/warm.md) of this collection.
"""

import fcntl
import hashlib
import json
import multiprocessing
import os
import re
import selectors
import shlex
import signal
import socket
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import ansible.constants as C
from ansible.plugins.connection.local import Connection as LocalConnection
from ansible.release import __version__ as ansible_version
from ansible.utils.display import Display

display = Display()

SERVER = Path(__file__).parent.parent / "plugin_utils" / "warm_server.py"
# Read by Python, the C library or a library when a process starts: the warm process has started already.
START_VARIABLE = re.compile(r"(PYTHON|LC_|LD_|GLIBC_|MALLOC_|OPENSSL_|SSL_|BOTO_|LANG|COVERAGE_|HOME$|TZ$)")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
# repr() keeps each argument of the AnsiballZ wrapper on a line of its own; see ansible.executor.module_common.
PAYLOAD = re.compile(rb"^zip_data='([A-Za-z0-9+/=]+)',$", re.MULTILINE)


class _Call(NamedTuple):
    interpreter: str
    environment: dict[str, str]
    payload: bytes
    """The zip in the module's program, in base64."""


class Connection(LocalConnection):
    """C(local), and modules in forks of a warm process."""

    def is_pipelining_enabled(self, wrap_async: bool = False) -> bool:
        """Whether a module comes by C(in_data) and not as a file: whenever it may run warm, else as the user configured it."""
        return (self.runs_warm and not wrap_async) or super().is_pipelining_enabled(wrap_async)

    @property
    def runs_warm(self) -> bool:
        """Whether a Python module of this task may run in the warm process."""
        return self._usable() and not C.DEFAULT_KEEP_REMOTE_FILES

    def start(self, interpreter: str) -> bool:
        """Have a warm process, and have it import boto3 while it waits. Only in a worker: it ends with the parent of who starts it."""
        if connection := _Run.of(interpreter).connect("early"):
            connection.close()
        return bool(connection)

    def prepare(self, interpreter: str, program: bytes) -> None:
        """Let the warm process, if there is one, get a module ready that a later task will run."""
        if (payload := PAYLOAD.search(program)) and (connection := _Run.of(interpreter).try_connect()):
            with connection:
                _offer(connection, payload[1])

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a module's program in the warm process, anything else as C(local) does."""
        if in_data and self._usable() and (call := self._recognise(cmd, in_data)):
            if not self._connected:
                self._connect()
            if (result := self._run(call, in_data)) is not None:
                return result
        return super().exec_command(cmd, in_data=in_data, sudoable=sudoable)

    def _usable(self) -> bool:
        return bool(hasattr(os, "pidfd_open") and not self.become and self.get_option("enabled"))

    def _recognise(self, cmd: str, in_data: bytes) -> _Call | None:
        """Take the call apart. None if the shell could understand it differently, or if it needs a process that starts anew."""
        shell, _, quoted = cmd.partition(" -c ")
        try:
            command = "".join(shlex.split(quoted)).removesuffix(" && sleep 0")  # ansible-core 2.19 appends it
            *assignments, interpreter = shlex.split(command)
        except ValueError:
            return None
        if not all(map(VARIABLE.match, assignments)):
            return None
        pairs = dict(assignment.split("=", 1) for assignment in assignments)
        words = [*(f"{name}={shlex.quote(value)}" for name, value in pairs.items()), interpreter]
        payload = PAYLOAD.search(in_data)
        if (
            quoted not in (shlex.quote(" ".join(words)), shlex.quote(" ".join(words) + " && sleep 0"))
            or shell != self._play_context.executable
            or shlex.quote(interpreter) != interpreter
            or not os.path.isabs(interpreter)
            or not payload
            or b"\n_ANSIBALLZ_WRAPPER = True\n" not in in_data
            or b"\nextensions={},\n" not in in_data  # a debugger or coverage
            or any(START_VARIABLE.match(name) and os.environ.get(name) != value for name, value in pairs.items())
            or not all(map(os.path.isabs, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))))
        ):
            return None
        return _Call(interpreter, {**os.environ, "PWD": os.fsdecode(self.cwd or os.getcwd()), **pairs}, payload[1])

    def _run(self, call: _Call, in_data: bytes) -> tuple[int, bytes, bytes] | None:
        """Have the module run. None if no warm process would take it; then nothing has been done."""
        run = _Run.of(call.interpreter)
        umask = os.umask(0o077)
        os.umask(umask)
        header = {"cwd": os.fsdecode(self.cwd or os.getcwd()), "umask": umask, "environment": call.environment}
        for _attempt in range(2):  # a process that finds its libraries changed refuses, and makes room for a fresh one
            if (connection := run.connect()) is None:
                return None
            with connection:
                if streams := _submit(connection, call.payload):
                    display.vvv(f"WARM {call.interpreter}", host=self._play_context.remote_addr)
                    return _communicate(connection, *streams, json.dumps(header).encode() + b"\n" + in_data)
        run.give_up()
        return None


class _Run(NamedTuple):
    """The warm process of this run of Ansible and one interpreter."""

    interpreter: str
    path: str
    """Of its socket, without the suffix; in Ansible's own directory of the run, which has mode 0700 and goes with the run."""

    @classmethod
    def of(cls, interpreter: str) -> _Run:
        start = sorted(item for item in os.environ.items() if START_VARIABLE.match(item[0]))
        key = hashlib.sha256(repr((ansible_version, interpreter, start)).encode("utf-8", "surrogateescape")).hexdigest()[:12]
        return cls(interpreter, os.path.join(C.DEFAULT_LOCAL_TMP, f"warm-{key}"))

    def connect(self, *start: str) -> socket.socket | None:
        """Connect to the process; start it if there is none, with these arguments. None if it cannot live."""
        if os.path.exists(f"{self.path}.unusable"):
            return None
        try:
            if connection := self.try_connect():
                return connection
            with open(f"{self.path}.lock", "w") as lock:  # tasks run in forks of ansible-playbook, several at a time
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not (connection := self.try_connect()):
                    self._start(*start)
                    connection = self.try_connect()
                return connection
        except OSError as error:
            display.vv(f"no warm process for {self.interpreter}: {error}")
            return None

    def give_up(self) -> None:
        """Leave the rest of the run to C(local): the process ends as soon as it starts."""
        display.vv(f"the warm process of {self.interpreter} does not stay; modules run without it")
        Path(f"{self.path}.unusable").touch()

    def _address(self, directory: int) -> str:
        # A socket's path has 107 bytes at most; the directory's may be longer.
        return f"/proc/self/fd/{directory}/{os.path.basename(self.path)}.sock"

    def try_connect(self) -> socket.socket | None:
        directory = os.open(os.path.dirname(self.path), os.O_RDONLY)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self._address(directory))
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        finally:
            os.close(directory)

    def _start(self, *arguments: str) -> None:
        """Start the process. It listens from the first moment, and ends with the controller: it holds a descriptor of that process."""
        controller = open_controller()
        directory = os.open(os.path.dirname(self.path), os.O_RDONLY)
        try:
            Path(f"{self.path}.sock").unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(self._address(directory))
                listener.listen(128)
                subprocess.Popen(
                    [self.interpreter, os.fspath(SERVER), str(listener.fileno()), str(controller), f"{self.path}.sock", *arguments],
                    pass_fds=(listener.fileno(), controller),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    cwd="/",
                )
        finally:
            os.close(controller)
            os.close(directory)


def open_controller() -> int:
    """A pidfd of ansible-playbook, to a worker of it. Not merely of the parent: that of an orphan is init, which never ends."""
    controller = multiprocessing.parent_process()
    if controller is None:
        raise ProcessLookupError("this is no worker of ansible-playbook")
    descriptor = os.pidfd_open(controller.pid)
    if os.getppid() != controller.pid:  # it ended, and the number may be another's by now
        os.close(descriptor)
        raise ProcessLookupError("ansible-playbook has ended")
    return descriptor


def _submit(connection: socket.socket, payload: bytes) -> tuple[int, int, int] | None:
    """Offer a module to the warm process.

    Returns this side's ends of its stdin, stdout and stderr once it is accepted; None if it is not, and then it has not run.
    """
    pipes = [os.pipe() for _ in range(3)]
    theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
    ours = (pipes[0][1], pipes[1][0], pipes[2][0])
    try:
        socket.send_fds(connection, [hashlib.sha256(payload).digest()], theirs)
        answer = _answer(connection, payload)
    except OSError:  # it ended, or it is stuck
        answer = b""
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    if answer == b"!":
        return ours
    for descriptor in ours:
        os.close(descriptor)
    return None


def _offer(connection: socket.socket, payload: bytes) -> None:
    """Give the warm process a payload to prepare while it has nothing else to do."""
    try:
        connection.sendall(hashlib.sha256(payload).digest())
        _answer(connection, payload)
    except OSError:
        pass


def _answer(connection: socket.socket, payload: bytes) -> bytes:
    """What the warm process says of a payload, once it knows it."""
    answer = connection.recv(1)
    if answer == b"?":
        connection.sendall(struct.pack("!I", len(payload)) + payload)
        answer = connection.recv(1)
    return answer


def _communicate(connection: socket.socket, stdin: int, stdout: int, stderr: int, data: bytes) -> tuple[int, bytes, bytes]:
    """Write the module's program and read its output until its end, as C(subprocess.Popen.communicate) does.

    Returns the exit status as a shell tells it, and both outputs.
    """
    output: dict[int, list[bytes]] = {stdout: [], stderr: []}
    rest = memoryview(data)
    os.set_blocking(stdin, False)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    if key.fd == stdin:
                        try:
                            rest = rest[os.write(stdin, rest) :]
                        except BrokenPipeError:
                            rest = rest[:0]
                        done = not rest
                    else:
                        chunk = os.read(key.fd, 1 << 16)
                        output[key.fd].append(chunk)
                        done = not chunk
                    if done:
                        selector.unregister(key.fd)
                        os.close(key.fd)
            told = connection.recv(4, socket.MSG_WAITALL)
    except BaseException:  # the task's time is over: local leaves the module running, too
        connection.send(b"d")
        raise
    if len(told) < 4:
        return 1, b"".join(output[stdout]), b"".join(output[stderr]) + b"the warm process ended before the module\n"
    (status,) = struct.unpack("!i", told)
    if status >= 0:
        return status, b"".join(output[stdout]), b"".join(output[stderr])
    # What the shell says and returns of a process that a signal has ended.
    output[stderr].append(f"{signal.strsignal(-status)}\n".encode())
    return 128 - status, b"".join(output[stdout]), b"".join(output[stderr])
