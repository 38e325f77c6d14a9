"""Rules: what AWS does and moto does not, one small function each, beside moto.

A rule answers the operations it names. It is given the call and C(proceed), which calls on (to the next rule of the operation, in
the end to moto) and returns the answer as a dictionary in the names of the API, or raises AwsError. So a rule may look before moto,
amend what moto says, answer by itself, or raise AwsError(code, message)::

    @rule("dynamodb", "DeleteTable")
    def deletion_protection(call: Call, proceed: Proceed) -> Answer:
        '''What AWS does. What moto does. Moto could take it. Link to the AWS document.'''
        if protected(call.params["TableName"]):
            raise AwsError("ValidationException", "Resource cannot be deleted as it is currently protected against deletion.")
        return proceed()

"Moto could take it." ends the prose of a rule that needs nothing but the request and moto's own state: a check, an error code, a
field that is kept, pages. To look into another of moto's backends is moto's way too. A rule that needs the emulator's loop, clock or
policies lacks the sentence; "Moto could take a part of it: WHICH." says what remains. docs/conformance.md has a column for it.

Every module of this package is loaded at the start.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from emulator.wire import AwsError, Call

__all__ = ["Answer", "AwsError", "Call", "Proceed", "Rule", "answer", "load", "rule", "rules_of"]

Answer = dict[str, Any]
Proceed = Callable[[], Answer]
Rule = Callable[[Call, Proceed], Answer]

_RULES: dict[tuple[str, str], list[Rule]] = defaultdict(list)


def rule(service: str, *operations: str) -> Callable[[Rule], Rule]:
    """Register a rule for operations of a service (as botocore names it); later rules see the call first."""

    def register(function: Rule) -> Rule:
        assert function.__doc__, f"{function.__name__} must say what AWS does"
        for operation in operations:
            _RULES[service, operation].append(function)
        return function

    return register


def rules_of(call: Call) -> list[Rule]:
    """Rules for the operation of a call."""
    return _RULES.get((call.service, call.operation), [])


def answer(call: Call, moto: Proceed) -> Answer:
    """Answer a call by its rules and, as far as they call on, by moto."""
    proceed = moto
    for function in rules_of(call):
        proceed = partial(function, call, proceed)
    return proceed()


def load() -> None:
    """Import all modules of rules."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
