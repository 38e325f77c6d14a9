# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""What a run does, or a preview would do, to each resource of each stack, and how people and programs read it.

The callback change_summary writes the ledger in Ansible's main process. A task's worker is a fork of that process, begun when all earlier
tasks of its host have been written down: so the action plugin drift reads the same ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# In the order of a module's return value `changes`; the verb for what a preview says, and the sign before it.
ACTIONS = {"created": ("create", "+"), "changed": ("change", "~"), "replaced": ("replace", "±"), "deleted": ("delete", "-")}

# Who notices when something of a layer is not as it is described.
AFFECTED = {
    "network": "both tiers: their addresses and their way out",
    "balancer": "visitors of the page, and the web tier's calls of the api tier",
    "database": "the items: what both tiers read and write",
    "registry": "the next deployment: images that it pulls",
    "identity": "both tiers and the instances: what they may do",
    "image": "the next deployment: the code that it brings",
    "cluster": "the api tier: the instances that its tasks run on",
    "alarms": "whoever is on call",
    "routes": "both tiers: the way out of the private subnets, and to AWS",
    "service": "the tier of that name: its tasks, and how they are replaced",
    "scaling": "the tier of that name: how many tasks it has",
    "reviewers": "those who look at the stack",
}
# The tag that runs a layer, where it is not the layer's name: what is scaled is a fact of the services.
TAGS = {"scaling": "service"}


@dataclass
class Change:
    """What happens to one resource; its fields by their path, each with the value before and after."""

    layer: str
    kind: str
    name: str
    action: str
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def as_data(self, stack: str) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "kind": self.kind,
            "name": self.name,
            "action": ACTIONS[self.action][0],
            "affects": AFFECTED.get(self.layer, ""),
            "repair": f"ansible-playbook playbooks/site.yml --limit {stack} --tags {TAGS.get(self.layer, self.layer)}",
            "fields": [{"field": path, "before": before, "after": after} for path, (before, after) in self.fields.items()],
        }


@dataclass
class Ledger:
    """One stack. A resource that several tasks look after is one resource: what happens to it first gives the verb, unless it ends deleted."""

    stack: str
    preview: bool = False
    error: str = ""
    changes: dict[tuple[str, str, str], Change] = field(default_factory=dict)
    unchanged: set[tuple[str, str, str]] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, layer: str, kind: str, result: Mapping[str, Any]) -> None:
        """Write down what a module of this collection returned; of others, that they changed something."""
        diff = result.get("diff") or {}
        for action, names in (result.get("changes") or {}).items():
            for name in names:
                key = (layer, kind, str(name))
                if action == "unchanged":
                    self.unchanged.add(key)
                    continue
                change = self.changes.setdefault(key, Change(*key, action))
                if action == "deleted":
                    change.action = action
                change.fields |= dict(field_changes((diff.get("before") or {}).get(name), (diff.get("after") or {}).get(name)))
        self.unchanged -= self.changes.keys()

    def count(self, action: str, layer: str | None = None) -> int:
        found = [(key[0], "unchanged") for key in self.unchanged] + [(change.layer, change.action) for change in self.changes.values()]
        return sum(1 for each in found if each[1] == action and layer in (None, each[0]))

    @property
    def layers(self) -> list[str]:
        """Those that took part, in their order."""
        return list(dict.fromkeys([*self.seconds, *(key[0] for key in self.changes)]))

    @property
    def status(self) -> str:
        """One word for programs: C(failed), C(as described), and for what differs C(drift) in a preview and C(changed) in a run."""
        if self.error:
            return "failed"
        return ("drift" if self.preview else "changed") if self.changes else "as described"

    def as_data(self) -> dict[str, Any]:
        counted = [*ACTIONS, "unchanged"]
        return {
            "stack": self.stack,
            "preview": self.preview,
            "status": self.status,
            "error": self.error,
            "seconds": round(sum(self.seconds.values()), 1),
            "layers": [
                {"layer": layer, "seconds": round(self.seconds.get(layer, 0), 1)} | {action: self.count(action, layer) for action in counted}
                for layer in self.layers
            ],
            "changes": [change.as_data(self.stack) for change in self.changes.values()],
        }


def field_changes(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The paths of the fields that differ, with both values: C(before) and C(after) are what a diff shows of one resource."""
    if before != after and all(side is None or isinstance(side, Mapping) for side in (before, after)):
        for name in dict.fromkeys([*(before or {}), *(after or {})]):
            yield from field_changes((before or {}).get(name), (after or {}).get(name), f"{path}.{name}" if path else str(name))
    elif before != after:
        yield path, (before, after)


def headline(ledger: Ledger) -> str:
    """The whole run in one line."""
    seconds = sum(ledger.seconds.values())
    if ledger.error:
        return f"{ledger.stack}: failed after {seconds:.1f} s"
    if not ledger.changes:
        return f"{ledger.stack}: all {len(ledger.unchanged)} resources are as described ({seconds:.1f} s)"
    said = {action: f"to {verb}" if ledger.preview else action for action, (verb, _sign) in ACTIONS.items()}
    counts = [f"{ledger.count(action)} {word}" for action, word in said.items() if ledger.count(action)]
    return f"{ledger.stack}: {', '.join(counts)}, {len(ledger.unchanged)} as described ({seconds:.1f} s)"


def as_table(ledger: Ledger) -> Iterator[str]:
    """A line a layer."""
    width = max(len(layer) for layer in [*ledger.layers, "layer"])
    columns = [*ACTIONS, "unchanged"]
    yield "  ".join([f"  {'layer':{width}}", *(f"{column:>9}" for column in columns), f"{'seconds':>8}"])
    for layer in ledger.layers:
        counts = [ledger.count(column, layer) or "" for column in columns]
        yield "  ".join([f"  {layer:{width}}", *(f"{count!s:>9}" for count in counts), f"{ledger.seconds.get(layer, 0):8.1f}"])


def as_list(ledger: Ledger) -> Iterator[str]:
    """A line for each resource that something happens to, and one for each field that is to become something else."""
    for change in ledger.changes.values():
        _, sign = ACTIONS[change.action]
        yield f"  {sign} {change.layer}: {change.kind} {change.name}"
        if change.action in ("changed", "replaced"):
            yield from (f"      {path}: {shown(before)} → {shown(after)}" for path, (before, after) in change.fields.items())


def as_text(ledger: Ledger) -> str:
    """For a terminal. What a preview would do is listed; what a run did is counted, as its tasks have told it."""
    lines = [headline(ledger)]
    if ledger.error:
        lines.append(f"  {ledger.error}")
    if ledger.preview:
        lines += as_list(ledger)
    if ledger.changes:
        lines += as_table(ledger)
    return "\n".join(lines)


def as_markdown(ledger: Ledger) -> str:
    """For a merge request, a chat or a ticket."""
    lines = [f"## {headline(ledger)}", ""]
    if ledger.error:
        lines += ["```", ledger.error, "```", ""]
    for layer in ledger.layers:
        changes = [change for change in ledger.changes.values() if change.layer == layer]
        if not changes:
            continue
        lines += [f"### {layer}", "", f"Affected: {AFFECTED[layer]}." if layer in AFFECTED else "", ""]
        lines += ["| | resource | field | before | after |", "|---|---|---|---|---|"]
        for change in changes:
            start = [ACTIONS[change.action][1], f"{change.kind} `{change.name}`"]
            # what is created or deleted is a line: its fields are in the JSON
            fields = change.fields.items() if change.action in ("changed", "replaced") else [("", ("", ""))]
            for path, (before, after) in fields:
                lines.append("| " + " | ".join([*start, *(cell(part) for part in (path, before, after))]) + " |")
        lines += ["", f"To repair: `{changes[0].as_data(ledger.stack)['repair']}`", ""]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A value on one line, and not longer than a person reads."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split())
    return text if len(text) <= 120 else f"{text[:117]}..."


def cell(value: Any) -> str:
    text = "" if value in ("", None) else shown(value)
    return f"`{text}`".replace("|", "\\|") if text else ""


def write_reports(ledger: Ledger, directory: Path) -> None:
    """The same three times: C(STACK.txt), C(STACK.json) and C(STACK.md)."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{ledger.stack}.txt").write_text(as_text(ledger) + "\n", encoding="utf-8")
    (directory / f"{ledger.stack}.json").write_text(json.dumps(ledger.as_data(), indent=2, default=str) + "\n", encoding="utf-8")
    (directory / f"{ledger.stack}.md").write_text(as_markdown(ledger) + "\n", encoding="utf-8")


# One of each stack of this run, by host name. Empty where the callback is not enabled.
LEDGERS: dict[str, Ledger] = {}
