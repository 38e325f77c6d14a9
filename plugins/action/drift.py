# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fails where the preview of this run found a difference. Documented in plugins/modules/drift.py."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.threetier.aws.plugins.plugin_utils.change_ledger import LEDGERS, headline


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        ledger = LEDGERS.get((task_vars or {}).get("inventory_hostname", ""))
        if ledger is None:
            return result | {
                "failed": True,
                "msg": "Nothing was written down: enable the callback, callbacks_enabled = threetier.aws.change_summary in ansible.cfg or "
                "ANSIBLE_CALLBACKS_ENABLED=threetier.aws.change_summary, and preview the stack in the same run",
            }
        return result | {"changed": False, "failed": bool(ledger.changes), "msg": headline(ledger), "report": ledger.as_data()}
