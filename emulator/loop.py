"""One turn of the loop: it brings what runs nearer to what was asked for, and never waits for anything."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from emulator import alarms, capacity, ecs_services, tasks
from emulator.state import State


def turn(state: State) -> None:
    """Reconcile everything once; what fails for one thing does not keep the loop from the others."""
    for action in state.clock.due():
        _attempt(action)
    _attempt(state.balancers.sync)
    _attempt(lambda: capacity.reconcile(state))
    _attempt(lambda: alarms.evaluate(state))
    for service in list(state.services.values()):
        _attempt(lambda service=service: ecs_services.reconcile(state, service))  # type: ignore[misc]
    for task in list(state.tasks.values()):
        _attempt(lambda task=task: tasks.advance(state, task))  # type: ignore[misc]


def _attempt(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception:
        traceback.print_exc()
