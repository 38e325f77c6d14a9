"""Holding back the answer of one write: a client can be killed when AWS has done what it asked for, and it does not know yet.

What the client sends meanwhile waits, and is dropped in the end: a client that is killed right after the write would not have sent it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from socket import SHUT_RDWR
from threading import Event, Lock

from emulator.request_log import access
from emulator.wire import Call


class Hold:
    """C(held): the answer is held back now. The requests of the tasks neither count nor wait: they are other clients."""

    def __init__(self) -> None:
        self.held = False
        self._lock = Lock()
        self._writes_left = 0
        self._release: Event | None = None  # whoever waits, waits for this

    def set(self, writes: int | None) -> None:
        """Hold the answer of that write from now on, counted from 1, or of none. What is held or waits is let go."""
        with self._lock:
            if self._release:
                self._release.set()
            self._writes_left, self._release, self.held = writes or 0, None, False

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """While a request is carried out and logged. Raises ConnectionAbortedError in place of carrying out what waited."""
        if not call.model or "exec-env/AWS_ECS" in call.environ.get("HTTP_USER_AGENT", ""):
            yield
            return
        mine = None
        with self._lock:
            waits_for = self._release
            if not waits_for and self._writes_left and access(call) == "write":
                self._writes_left -= 1
                if not self._writes_left:
                    mine = self._release = Event()
        if waits_for:
            waits_for.wait()
            call.environ["werkzeug.socket"].shutdown(SHUT_RDWR)  # else it is kept for the next request
            raise ConnectionAbortedError
        yield
        if mine:
            with self._lock:
                self.held = self._release is mine
            mine.wait()
