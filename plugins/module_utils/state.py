# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""What the collection's modules share: comparing a wanted state with what AWS answers, and reporting the difference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any

try:
    from botocore.exceptions import ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

POLL_SECONDS = 3
# How long a new role, service-linked role or association may take until every part of AWS knows it.
PATIENCE_SECONDS = 120


PLANNED = "(known once "


class StateError(Exception):
    """What a module cannot do, in words for the person who runs it."""


def planned(name: str) -> str:
    """What stands for the id of a resource that a preview would create: nobody takes it for an id, and it says whose id is missing."""
    return f"{PLANNED}{name} exists)"


def is_planned(value: Any) -> bool:
    """Whether C(value) stands for the id of a resource that does not exist yet: then nothing can be in it, or refer to it."""
    return isinstance(value, str) and value.startswith(PLANNED)


def client(module: Any, service: str, **config: Any) -> Any:
    """A boto3 client of the module's account and region; C(config) as botocore's Config takes it.

    Calls that pass C(aws_retry=True) are repeated with jittered back-off when AWS throttles or errs on its side.
    """
    # The codes that the newer, JSON-speaking services use and AWSRetry does not know.
    codes = ["ThrottlingException", "ThrottledException", "InternalServiceError", "ConcurrentUpdateException", "ConcurrentModificationException"]
    decorator = AWSRetry.jittered_backoff(retries=8, delay=2, max_delay=30, catch_extra_error_codes=codes)
    return module.client(service, retry_decorator=decorator, config=config)


def pauses() -> Iterator[float]:
    """Seconds between one look and the next: what happens soon is seen soon, what takes minutes is asked for every POLL_SECONDS."""
    pause = 0.2
    while pause < POLL_SECONDS:
        yield pause
        pause *= 2
    yield from repeat(POLL_SECONDS)


def patiently(call: Callable[[], Any], refusals: Iterable[str], seconds: float | None = None) -> Any:
    """The answer of C(call), which is repeated for a bounded time while AWS refuses it for a reason that passes.

    C(refusals) are error codes or parts of AWS's messages. The last refusal is raised as it is.
    """
    deadline = time.monotonic() + (PATIENCE_SECONDS if seconds is None else seconds)
    waits = pauses()
    while True:
        try:
            return call()
        except ClientError as error:
            if time.monotonic() > deadline or not any(refusal in str(error) for refusal in refusals):
                raise
        time.sleep(next(waits))


def wait_for(read: Callable[[], Any], done: Callable[[Any], bool], seconds: float, what: str) -> Any:
    """What C(read) answers once it is C(done); after C(seconds) a StateError says that C(what) has not happened."""
    deadline = time.monotonic() + seconds
    waits = pauses()
    while not done(value := read()):
        if time.monotonic() > deadline:
            raise StateError(f"{what} has not happened within {seconds:g} s; run again to go on waiting, or look at it in the AWS console")
        time.sleep(next(waits))
    return value


def differences(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """The part of C(wanted) that C(current) does not hold yet, in C(wanted)'s shape.

    A value of None in C(wanted) means "no opinion". Fields that only AWS knows are no difference; nested mappings are
    compared the same way, everything else by value.
    """
    found: dict[str, Any] = {}
    for field, value in wanted.items():
        if value is None:
            continue
        if isinstance(value, Mapping) and isinstance(current.get(field), Mapping):
            nested = differences(value, current[field])
            if nested:
                found[field] = nested
        elif current.get(field) != value:
            found[field] = value
    return found


def outcome(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Iterable[str] = (), replaced: Iterable[str] = ()
) -> dict[str, Any]:
    """The part of a module's result that tells what happens, resource by resource: C(changed), C(diff) and C(changes).

    C(before) and C(after) hold what differs of each resource, by its name: one that only C(after) names is created, one that only
    C(before) names is deleted. C(names) are all resources that the module looks after; C(replaced) those that AWS cannot change in place.
    The callback change_summary and the drift report read nothing else, so all modules of this collection end with it.
    """
    replaced = list(replaced)
    return {
        "changed": bool(before or after),
        "diff": {"before": dict(before), "after": dict(after)},
        "changes": {
            "created": [name for name in after if name not in before],
            "changed": [name for name in after if name in before and name not in replaced],
            "replaced": [name for name in after if name in before and name in replaced],
            "deleted": [name for name in before if name not in after],
            "unchanged": [name for name in names if name not in before and name not in after],
        },
    }


def outcome_of(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, replaced: bool = False) -> dict[str, Any]:
    """The same of a module that looks after one resource: its fields that differ, None where it does not exist, both empty where nothing differs."""
    if before is not None and after is not None and not before and not after:
        return outcome({}, {}, [name])
    return outcome({} if before is None else {name: before}, {} if after is None else {name: after}, (), [name] if replaced else [])


def selected(like: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """C(source) cut down to the fields that C(like) has, so that a diff shows only what changes."""
    return {
        field: (
            selected(value, source[field]) if isinstance(value, Mapping) and isinstance(source.get(field), Mapping) else source.get(field)
        )
        for field, value in like.items()
    }


def without_none(value: Any) -> Any:
    """C(value) without the mapping entries that are None, at any depth: options that nobody set."""
    if isinstance(value, Mapping):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_none(item) for item in value]
    return value
