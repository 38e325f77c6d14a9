"""The stack that the tests of this directory share, because a run of site.yml takes more than a minute."""

from __future__ import annotations

import functools
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack as molecule deploys it. Nothing of it is left at the end, whatever happened."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="threetier-") as directory:
        stack = Stack(Path(directory), port)
        try:
            stack.molecule("create")
            stack.molecule("converge")
            yield stack
        finally:
            stack.molecule("destroy")


@pytest.fixture(scope="session")
def client(stack: Stack) -> Callable[[str], Any]:
    """Makes boto3 clients of the stack's account."""
    return functools.cache(stack.client)
