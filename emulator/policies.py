"""IAM's policy language: which statements speak for a request, and what a set of policies decides.

It knows nothing of callers and services; C(authorization.py) does. Moto reads policies too (C(moto/iam/access_control.py)), but takes
C(?) for a letter, knows four condition operators, and counts a condition that does not hold as a denial; it could take this over.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies.html
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from botocore.utils import parse_timestamp

# What a set of policies decides, in the words of SimulatePrincipalPolicy.
ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY = "allowed", "implicitDeny", "explicitDeny"

ARN_PARTS = 6
VARIABLE = re.compile(r"\$\{(?P<key>[^},]+)(?:,\s*'(?P<default>[^']*)')?\}")
LITERAL_WILDCARDS = str.maketrans({"*": "\ue000", "?": "\ue001"})  # those of a variable's value match only themselves
Tags = Callable[[], dict[str, str]]


def no_tags() -> dict[str, str]:
    """Tags of a resource that has none."""
    return {}


@dataclass
class Principal:
    """Who asks: the ARN of a user or role, of a role's session too, or the name of a service such as C(ecs-tasks.amazonaws.com)."""

    arn: str = ""
    session_arn: str = ""
    service: str = ""

    @property
    def account(self) -> str:
        """Account of a user or role; empty for a service."""
        return self.arn.split(":")[4] if self.arn else ""


@dataclass
class Request:
    """What is asked: an action on one resource, with the values of the condition keys (names in lower case).

    C(resource_tags) is only called when a policy asks for a tag. C(missing) collects the keys that policies ask for and that have no value.
    """

    action: str
    resource: str = "*"
    context: dict[str, list[str]] = field(default_factory=dict)
    resource_tags: Tags = no_tags
    missing: set[str] = field(default_factory=set)

    def values(self, key: str) -> list[str] | None:
        """Values of a condition key, None where it is missing."""
        found = self.context.get(key.lower())
        prefix, _, tag = key.partition("/")
        if found is None and tag and prefix.lower().endswith(":resourcetag") and tag in (tags := self.resource_tags()):
            found = [tags[tag]]
        if found is None:
            self.missing.add(key)
        return found


def decide(documents: Iterable[str], request: Request, principal: Principal | None = None) -> str:
    """What policy documents (JSON) decide together: a denial wins, and what nobody allows is denied implicitly.

    With a principal, only the statements of resource policies that name it count.
    """
    decision = IMPLICIT_DENY
    for document in documents:
        for statement in statements(document):
            if applies(statement, request, principal):
                if statement["Effect"] == "Deny":
                    return EXPLICIT_DENY
                decision = ALLOWED
    return decision


@lru_cache(maxsize=1024)
def statements(document: str) -> list[dict[str, Any]]:
    """Statements of a policy document; none where it cannot be read."""
    try:
        found = json.loads(document)["Statement"]
    except (ValueError, KeyError, TypeError):
        return []
    return listed(found)


def listed(value: Any) -> list[Any]:
    """Policies may leave out the brackets around a single value."""
    return value if isinstance(value, list) else [value]


def applies(statement: dict[str, Any], request: Request, principal: Principal | None = None) -> bool:
    """Whether a statement speaks of this action on this resource under these circumstances."""
    return (
        _speaks_of(statement, "Action", lambda pattern: matches(pattern.lower(), request.action.lower(), request))
        and _speaks_of(statement, "Resource", lambda pattern: matches_arn(pattern, request.resource, request))
        and (principal is None or _speaks_of(statement, "Principal", lambda named: is_named(named, principal)))
        and all(
            holds(operator, key, listed(wanted), request)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _speaks_of(statement: dict[str, Any], element: str, match: Callable[[Any], bool]) -> bool:
    if f"Not{element}" in statement:
        return not any(map(match, listed(statement[f"Not{element}"])))
    # Trust policies have no resource.
    return any(map(match, listed(statement[element]))) if element in statement else element == "Resource"


def is_named(named: Any, principal: Principal) -> bool:
    """Whether an entry of a Principal element means this principal. An account means all of its users and roles."""
    if isinstance(named, str):
        return named == "*"
    if principal.service:
        return any(matches(service, principal.service) for service in listed(named.get("Service", [])))
    names = {"*", principal.account, f"arn:aws:iam::{principal.account}:root", principal.arn, principal.session_arn}
    return bool(names.intersection(listed(named.get("AWS", []))))


def is_account(named: Any, account: str) -> bool:
    """Whether an entry of a Principal element means an account as a whole: then its own policies decide, too."""
    return isinstance(named, dict) and bool({account, f"arn:aws:iam::{account}:root"}.intersection(listed(named.get("AWS", []))))


def matches(pattern: str, value: str, request: Request | None = None) -> bool:
    """Whether a value fits a pattern with C(*), C(?) and policy variables."""
    expanded = expand(pattern, request) if request else pattern
    return expanded is not None and bool(_regex(expanded).fullmatch(value))


def matches_arn(pattern: str, arn: str, request: Request | None = None) -> bool:
    """Whether an ARN fits a pattern part by part; parts that the pattern leaves out at its end may be anything.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    expanded = expand(pattern, request) if request else pattern
    if expanded is None or expanded == "*":
        return expanded == "*"
    wanted, found = expanded.split(":", ARN_PARTS - 1), arn.split(":", ARN_PARTS - 1)
    wanted += ["*"] * (ARN_PARTS - len(wanted))
    return len(found) == ARN_PARTS and all(_regex(part).fullmatch(value) for part, value in zip(wanted, found, strict=True))


def expand(pattern: str, request: Request) -> str | None:
    """A pattern with the values of its variables; None where a variable has neither value nor default, and so matches nothing.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    if "${" not in pattern:
        return pattern
    known = True

    def value(match: re.Match[str]) -> str:
        nonlocal known
        if match["key"] in ("*", "?", "$"):
            return match["key"].translate(LITERAL_WILDCARDS)
        found = request.values(match["key"])
        if found is None and match["default"] is None:
            known = False
        return (found[0] if found else match["default"] or "").translate(LITERAL_WILDCARDS)

    expanded = VARIABLE.sub(value, pattern)
    return expanded if known else None


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    signs = {"*": ".*", "?": ".", "\ue000": r"\*", "\ue001": r"\?"}
    return re.compile("".join(signs.get(sign) or re.escape(sign) for sign in pattern), re.DOTALL)


Compare = Callable[[str, str, Request], bool]  # the policy's value, the request's value


def _date(first: str, second: str) -> float:
    return (parse_timestamp(second) - parse_timestamp(first)).total_seconds()


def _number(first: str, second: str) -> float:
    return float(second) - float(first)


def _in_network(wanted: str, found: str, _: Request) -> bool:
    return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)


def _equal(wanted: str, found: str, request: Request) -> bool:
    return matches((expand(wanted, request) or "\0").translate(LITERAL_WILDCARDS), found)


def _equal_ignoring_case(wanted: str, found: str, request: Request) -> bool:
    return _equal(wanted.lower(), found.lower(), request)


def _ordered(difference: Callable[[str, str], float], name: str) -> dict[str, Compare]:
    return {
        f"{name}Equals": lambda wanted, found, _: difference(wanted, found) == 0,
        f"{name}LessThan": lambda wanted, found, _: difference(wanted, found) < 0,
        f"{name}LessThanEquals": lambda wanted, found, _: difference(wanted, found) <= 0,
        f"{name}GreaterThan": lambda wanted, found, _: difference(wanted, found) > 0,
        f"{name}GreaterThanEquals": lambda wanted, found, _: difference(wanted, found) >= 0,
    }


def _like_arn(wanted: str, found: str, request: Request) -> bool:
    return matches_arn(wanted, found, request)


def _like(wanted: str, found: str, request: Request) -> bool:
    return matches(wanted, found, request)


OPERATORS: dict[str, Compare] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_ignoring_case,
    "StringLike": _like,
    "BinaryEquals": _equal,
    "Bool": _equal_ignoring_case,
    "ArnEquals": _like_arn,
    "ArnLike": _like_arn,
    "IpAddress": _in_network,
    **_ordered(_date, "Date"),
    **_ordered(_number, "Numeric"),
}


def holds(operator: str, key: str, wanted: list[Any], request: Request) -> bool:
    """Whether one key of a condition block holds.

    Several wanted values mean any of them, or none of them for an operator that negates. A key without a value fails the condition, except
    for operators that negate, C(...IfExists) and C(ForAllValues:).
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    wanted = [str(value).lower() if isinstance(value, bool) else str(value) for value in wanted]
    quantifier, _, name = operator.rpartition(":")
    found = request.values(key)
    if name == "Null":
        return (found is None) == (wanted == ["true"])
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    compare = OPERATORS.get(name.replace("Not", "", 1))
    if compare is None:
        return False
    if not found:
        return quantifier == "ForAllValues" or (quantifier != "ForAnyValue" and (if_exists or negated))

    def fits(value: str) -> bool:
        return any(_compared(compare, each, value, request) for each in wanted) != negated

    # Without a quantifier, several values of a key are AWS's to avoid; all of them must pass an operator that negates.
    return all(map(fits, found)) if quantifier == "ForAllValues" or (negated and not quantifier) else any(map(fits, found))


def _compared(compare: Compare, wanted: str, found: str, request: Request) -> bool:
    try:
        return compare(wanted, found, request)
    except ValueError:  # no date, number or address: it compares with nothing
        return False
