"""Processes that stand for containers: started, read, stopped, and never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

SECONDS_TO_END = 2.0  # for all processes together, when the emulator itself ends


class ContainerProcess:
    """The process of one container, in a process group of its own."""

    def __init__(self, processes: Processes, command: list[str], directory: Path, environment: dict[str, str], logged: bool) -> None:
        self.lines: deque[tuple[int, str]] = deque()  # epoch milliseconds and text, to be taken away by the reader
        self._processes = processes
        self._directory, self._environment = directory, environment
        self._others: list[ContainerProcess] = []
        self._ended = False  # its number may belong to another process by now
        self._popen = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if logged else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        processes.add(self)
        if logged:
            threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """Number of the process and of its group."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code as a container engine tells it (128 + signal), None while the process runs."""
        code = self._popen.poll()
        if code is not None and not self._ended:
            self.kill()  # a container ends with its first process
            self._ended = True
            self._processes.discard(self)
        return code if code is None or code >= 0 else 128 - code

    def terminate(self) -> None:
        """Ask the process to end."""
        self._popen.send_signal(signal.SIGTERM)

    def execute(self, command: list[str]) -> ContainerProcess:
        """Run another command in the container; it ends with the container at the latest. Raises OSError where there is no such command."""
        other = ContainerProcess(self._processes, command, self._directory, self._environment, logged=False)
        self._others = [*(each for each in self._others if each.exit_code is None), other]
        return other

    def kill(self) -> None:
        """End the process and all that it started, and what runs beside it in the container."""
        if self._ended:
            return
        for other in self._others:
            other.kill()
            self._processes.discard(other)
        self._others = []
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _read(self) -> None:
        assert self._popen.stdout
        for line in self._popen.stdout:
            self.lines.append((int(time.time() * 1000), line.decode(errors="replace").rstrip("\r\n")))


class Processes:
    """All processes that run."""

    def __init__(self) -> None:
        self._running: set[ContainerProcess] = set()
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper_file()], stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
        )

    def add(self, process: ContainerProcess) -> None:
        """Have a process killed when the emulator ends."""
        self._running.add(process)
        self._tell("add", process)

    def discard(self, process: ContainerProcess) -> None:
        """Forget a process that has ended."""
        if process in self._running:
            self._running.discard(process)
            self._tell("discard", process)

    def close(self) -> None:
        """End every process: politely first."""
        for process in list(self._running):
            process.terminate()
        deadline = time.monotonic() + SECONDS_TO_END
        while time.monotonic() < deadline and any(process.exit_code is None for process in list(self._running)):
            time.sleep(0.02)
        self._reaper.communicate()

    def _tell(self, verb: str, process: ContainerProcess) -> None:
        assert self._reaper.stdin
        self._reaper.stdin.write(f"{verb} {process.pid}\n")


def reaper_file() -> str:
    """Where the reaper's program lies."""
    return str(Path(__file__).with_name("reaper.py"))


def free_port() -> int:
    """A port on loopback that nobody uses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
