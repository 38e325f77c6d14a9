# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: change_summary
type: aggregate
short_description: Say at the end of a run what happened to each resource
version_added: 0.1.0
description:
  - After the play recap, one line for each stack says how many resources were created, changed, replaced, deleted or found as described.
    Where anything happened, a table follows with a line for each layer (a role) and the seconds that it took.
  - After a preview (C(--check)), each resource is listed that a run would create, change, replace or delete, with the fields that would
    become something else.
  - With O(report_directory), the same is written as text, JSON and Markdown, a file for each stack.
  - It knows what the modules of this collection return as C(changes) and C(diff). Other modules are left out.
author:
  - threetier.aws contributors
requirements:
  - enable in configuration - V(callbacks_enabled = threetier.aws.change_summary)
options:
  report_directory:
    description:
      - Where the reports are written, as C(STACK.txt), C(STACK.json) and C(STACK.md). It is made if it does not exist.
      - Values of fields are in them, as in a run with C(--diff).
    type: path
    env:
      - name: THREETIER_REPORT_DIRECTORY
    ini:
      - section: callback_change_summary
        key: report_directory
"""

import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.threetier.aws.plugins.plugin_utils.change_ledger import LEDGERS, Ledger, as_text, write_reports

COLLECTION = "threetier.aws."


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "threetier.aws.change_summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._preview: bool | None = None
        self._layer, self._since = "", time.monotonic()
        self._items: dict[str, list[str]] = {}  # by host, what the items of the loop that runs have failed with

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._next_layer("")
        # A play's own check mode may be a template that nobody has resolved yet; its first task knows.
        self._preview = None

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._next_layer(layer_of(task))
        self._items = {}

    def _next_layer(self, layer: str) -> None:
        """All stacks of a play go through the layers together, so that each of them took the time that passed."""
        if layer == self._layer:
            return
        now = time.monotonic()
        for ledger in LEDGERS.values():
            if self._layer:
                ledger.seconds[self._layer] = ledger.seconds.get(self._layer, 0) + now - self._since
        self._layer, self._since = layer, now

    def v2_runner_on_ok(self, result: Any) -> None:
        self._note(result)

    # The callback that writes to the terminal takes the items away from a loop's result before the others see it.
    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._note(result)

    # A loop's own message is only that "one or more items failed".
    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._items.setdefault(result.host.get_name(), []).append(result.result.get("msg", "failed"))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._note(result)
        if not ignore_errors and result.task.action != f"{COLLECTION}drift":
            host = result.host.get_name()
            reasons = self._items.get(host) or [result.result.get("msg", "failed")]
            LEDGERS[host].error = f"{result.task.get_name()}: {'; '.join(dict.fromkeys(reasons))}"

    def _note(self, result: Any) -> None:
        ledger = LEDGERS.setdefault(result.host.get_name(), Ledger(result.host.get_name()))
        task = result.task
        if self._preview is None:
            self._preview = bool(task.check_mode)
        # A task that only looks, in a run that does more, says what is there and not what happens.
        if not task.action.startswith(COLLECTION) or bool(task.check_mode) != self._preview:
            return
        if "changes" in result.result and not result.result.get("failed"):
            ledger.preview = self._preview
            ledger.add(layer_of(task), task.action.removeprefix(COLLECTION), result.result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._next_layer("")
        directory = self.get_option("report_directory")
        for name in sorted(LEDGERS):
            if not (LEDGERS[name].changes or LEDGERS[name].unchanged or LEDGERS[name].error):
                continue
            self._display.display("\n" + as_text(LEDGERS[name]))
            if directory:
                write_reports(LEDGERS[name], Path(directory))


def layer_of(task: Any) -> str:
    """The role that a task belongs to, by its short name."""
    return task._role.get_name().rpartition(".")[2] if task._role else ""
