# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows what the module of the same name waits for while it waits: a deployment takes minutes, and a module says nothing before its end.

The module keeps a line in a file of the run's private directory, so this needs a module that runs on the controller, as this collection's do.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import ansible.constants as C
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

LOCAL = ("local", "threetier.aws.warm")
LOOK_SECONDS = 1


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if self._task.check_mode or self._connection.transport not in LOCAL:
            return self._execute_module(module_args=arguments, task_vars=task_vars)
        file = Path(C.DEFAULT_LOCAL_TMP) / f"progress-{self._task._uuid}"
        over = Event()
        watcher = Thread(target=show, args=(file, over, (task_vars or {}).get("inventory_hostname", "")), daemon=True)
        watcher.start()
        try:
            return self._execute_module(module_args={"progress_file": str(file), **arguments}, task_vars=task_vars)
        finally:
            over.set()
            watcher.join()
            file.unlink(missing_ok=True)


def show(file: Path, over: Event, host: str) -> None:
    """Each new line, with the seconds since the wait began."""
    start, last = time.monotonic(), ""
    while not over.wait(LOOK_SECONDS):
        try:
            line = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        if line and line != last:
            display.display(f"waiting: [{host}] {time.monotonic() - start:.0f} s, {line}")
            last = line
