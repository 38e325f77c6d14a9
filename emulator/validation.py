"""What a request must look like: the members, types, enums, lengths, ranges and patterns of the service's model.

Clients check little of it before they send: boto3 knows required members, types and lower bounds; it leaves enums, upper bounds and
patterns to the service, as a request by another client leaves everything. Moto, too, looks at none of it, but for what its authors wrote
down operation by operation.

Each constraint below is a rule of its own, with the service's own error; SERVICES says which services enforce which of them. A service that
is not listed, and a pattern that Python cannot express, is let pass: a false refusal is as bad as a false acceptance. Upstream, this could
become an option of moto's request parser, which has walked the same model already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS

from emulator.wire import AwsError, Call

MISSING, TYPE, ENUM, LENGTH, RANGE, PATTERN, UNION = "missing", "type", "enum", "length", "range", "pattern", "union"
ALL = frozenset({MISSING, TYPE, ENUM, LENGTH, RANGE, PATTERN, UNION})


@dataclass(frozen=True)
class Violation:
    """A value that does not fit: what it breaks, its path as AWS writes it (C(tags.1.member.key)), and what it must be."""

    constraint: str
    path: str
    value: str | None
    must: str


Visit = Callable[[Any, str, list[Violation]], None]
Errors = Callable[[str, list[Violation]], AwsError]


# --- how a service says it ---------------------------------------------------------------------------------------------------------------


def coral(code: str) -> Errors:
    """The sentence of most services: 1 validation error detected: Value 'x' at 'y' failed to satisfy constraint: ..."""

    def error(operation: str, violations: list[Violation]) -> AwsError:
        sentences = [
            f"Value {'' if each.value is None else each.value + ' '}at '{each.path}' failed to satisfy constraint: {each.must}"
            for each in violations
        ]
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        return AwsError(code, f"{count}: {'; '.join(sentences)}")

    return error


def ec2(operation: str, violations: list[Violation]) -> AwsError:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"""
    first = violations[0]
    path = first.path.replace(".member", "")
    if first.constraint == MISSING:
        return AwsError("MissingParameter", f"The request must contain the parameter {path}")
    value = (first.value or "").strip("'")
    return AwsError("InvalidParameterValue", f"Value ({value}) for parameter {path} is invalid. {first.must}")


def ecr(operation: str, violations: list[Violation]) -> AwsError:
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html#API_CreateRepository_Errors"""
    first = violations[0]
    must = re.sub(r"^Member (must satisfy regular expression) pattern: (.*)$", r"\1 '\2'", first.must)
    return AwsError("InvalidParameterException", f"Invalid parameter at '{first.path}' failed to satisfy constraint: '{must}'")


def ecs(operation: str, violations: list[Violation]) -> AwsError:
    """RegisterTaskDefinition says ClientException where the others say InvalidParameterException. The wording is not published.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html#API_RegisterTaskDefinition_Errors
    """
    code = "ClientException" if operation == "RegisterTaskDefinition" else "InvalidParameterException"
    return coral(code)(operation, violations)


def s3(operation: str, violations: list[Violation]) -> AwsError:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList"""
    first = violations[0]
    if "." in first.path or first.constraint != ENUM:
        return AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
    return AwsError("InvalidArgument", f"Invalid argument: {first.path} {first.must}")


@dataclass(frozen=True)
class Service:
    """How a service refuses, which constraints it enforces, and shapes of its model that it treats in another way."""

    error: Errors
    enforces: frozenset[str] = ALL
    except_shapes: frozenset[str] = frozenset()


# Only what is known to be enforced by the model. EC2, S3 and SNS check names and lengths by hand, with codes of their own.
SERVICES = {
    "application-autoscaling": Service(coral("ValidationException")),
    "autoscaling": Service(coral("ValidationError")),
    "cloudwatch": Service(coral("ValidationError")),
    "dynamodb": Service(coral("ValidationException")),
    "ec2": Service(ec2, frozenset({MISSING, ENUM, RANGE})),
    "ecr": Service(ecr),
    "ecs": Service(ecs),
    "elbv2": Service(coral("ValidationError")),
    "iam": Service(coral("ValidationError")),
    "kms": Service(coral("ValidationException")),
    "logs": Service(coral("InvalidParameterException")),
    "resourcegroupstaggingapi": Service(coral("InvalidParameterException")),
    "s3": Service(s3, frozenset({MISSING, ENUM}), frozenset({"BucketLocationConstraint"})),
    "secretsmanager": Service(coral("ValidationException")),
    "sns": Service(coral("ValidationError"), frozenset({MISSING})),
    "ssm": Service(coral("ValidationException")),
    "sts": Service(coral("ValidationError")),
}


def check(call: Call) -> None:
    """Raise the service's error where the request does not fit its model."""
    service = SERVICES.get(call.service)
    if service is None or call.protocol not in PROTOCOL_PARSERS or call.operation_model.input_shape is None:
        return
    try:
        params = call.params
    except Exception as error:  # moto's parsers fail on values of a wrong type, each in its own way
        raise unreadable(call, error) from error
    violations: list[Violation] = []
    visitor(service, call.operation_model)(params, "", violations)
    if wrong := [each for each in violations if each.constraint == TYPE]:
        raise AwsError("SerializationException", wrong[0].must)
    if violations:
        raise service.error(call.operation, violations)


def unreadable(call: Call, error: Exception) -> AwsError:
    """AWS's error for a body that its parser cannot read.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
    """
    if call.protocol == "json":
        return AwsError("SerializationException", f"The request cannot be read: {error}")
    if call.protocol == "rest-xml":
        return AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
    return AwsError("InvalidParameterValue" if call.protocol == "ec2" else "MalformedInput", f"The request cannot be read: {error}")


# --- the constraints ---------------------------------------------------------------------------------------------------------------------


@cache
def visitor(service: Service, operation: OperationModel) -> Visit:
    """Checks the parameters of an operation; made once for each operation, as a walk through the model costs more than the check."""
    typed = TYPE in service.enforces and operation.service_model.protocol == "json"
    return Builder(service, typed).visit(operation.input_shape) or (lambda value, path, found: None)


class Builder:
    """Makes the checks of one operation; None where a shape has nothing to check."""

    def __init__(self, service: Service, typed: bool) -> None:
        self._service = service
        self._typed = typed  # JSON has types; in the query protocols everything is text
        self._made: dict[str, Visit | None] = {}

    def visit(self, shape: Shape) -> Visit | None:
        """The check of a shape. A shape that contains itself refers to the check that is being made."""
        if shape.name in self._made:
            return self._made[shape.name]
        self._made[shape.name] = lambda value, path, found: (self._made[shape.name] or _nothing)(value, path, found)
        checks = [*self._own(shape), *self._inner(shape)]
        self._made[shape.name] = made = _all(checks) if checks else None
        return made

    def _own(self, shape: Shape) -> Iterable[Visit]:
        """Checks of a value by itself."""
        if shape.name in self._service.except_shapes:
            return
        enforces = self._service.enforces
        if self._typed and isinstance(shape, StringShape):
            yield wrong_type
        if ENUM in enforces and isinstance(shape, StringShape) and shape.enum:
            yield wrong_enum(shape.enum)
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None or most is not None:
            if LENGTH in enforces and shape.type_name in ("string", "list", "map", "blob"):
                yield wrong_length(least, most, bool(shape.metadata.get("sensitive")))
            elif RANGE in enforces and shape.type_name in ("integer", "long", "float", "double"):
                yield out_of_range(least, most)
        pattern = shape.metadata.get("pattern")
        if PATTERN in enforces and pattern and (compiled := python_pattern(pattern)):
            yield bad_pattern(pattern, compiled)

    def _inner(self, shape: Shape) -> Iterable[Visit]:
        """Checks of what a value holds."""
        enforces = self._service.enforces
        if isinstance(shape, StructureShape) and not shape.is_document_type:
            required = [name for name in shape.required_members if shape.members[name].serialization.get("location") != "uri"]
            if MISSING in enforces and required:
                yield missing_member(required)
            if UNION in enforces and shape.is_tagged_union:
                yield several_of_union(list(shape.members))
            checks = [(name, lower_first(name), made) for name, member in shape.members.items() if (made := self.visit(member))]
            if checks:
                yield _members(checks)
        elif isinstance(shape, ListShape):
            if made := self.visit(shape.member):
                yield _items(made)
        elif isinstance(shape, MapShape):
            if made := self.visit(shape.key):
                yield map_keys(made)
            if made := self.visit(shape.value):
                yield _values(made)


def missing_member(required: list[str]) -> Visit:
    """A required member is there."""

    def visit(value: Any, path: str, found: list[Violation]) -> None:
        for name in required:
            if value.get(name) is None:
                found.append(Violation(MISSING, join(path, lower_first(name)), "null", "Member must not be null"))

    return visit


def several_of_union(members: list[str]) -> Visit:
    """Exactly one member of a union is set."""

    def visit(value: Any, path: str, found: list[Violation]) -> None:
        if len([name for name in members if value.get(name) is not None]) != 1:
            found.append(Violation(UNION, path, shown(value), f"Exactly one of its members must be set: [{', '.join(members)}]"))

    return visit


def wrong_type(value: Any, path: str, found: list[Violation]) -> None:
    """Text is text: JSON numbers, booleans and structures are none."""
    if not isinstance(value, str):
        kinds = {bool: f"{str(value).upper()}_VALUE", int: "NUMBER_VALUE", float: "DECIMAL_VALUE"}
        kind = kinds.get(type(value))
        must = f"{kind} cannot be converted to String" if kind else "Start of structure or map found where not expected"
        found.append(Violation(TYPE, path, shown(value), must))


def wrong_enum(values: list[str]) -> Visit:
    """A value is one of the enum."""
    allowed, must = frozenset(values), f"Member must satisfy enum value set: [{', '.join(values)}]"

    def visit(value: Any, path: str, found: list[Violation]) -> None:
        if isinstance(value, str) and value not in allowed:
            found.append(Violation(ENUM, path, shown(value), must))

    return visit


def wrong_length(least: int | None, most: int | None, sensitive: bool) -> Visit:
    """Text, lists, maps and blobs are neither too short nor too long."""

    def visit(value: Any, path: str, found: list[Violation]) -> None:
        if not hasattr(value, "__len__"):
            return
        if least is not None and len(value) < least:
            must = f"Member must have length greater than or equal to {least}"
        elif most is not None and len(value) > most:
            must = f"Member must have length less than or equal to {most}"
        else:
            return
        found.append(Violation(LENGTH, path, None if sensitive else shown(value), must))

    return visit


def out_of_range(least: float | None, most: float | None) -> Visit:
    """Numbers are within their range."""

    def visit(value: Any, path: str, found: list[Violation]) -> None:
        if least is not None and value < least:
            found.append(Violation(RANGE, path, shown(value), f"Member must have value greater than or equal to {least}"))
        elif most is not None and value > most:
            found.append(Violation(RANGE, path, shown(value), f"Member must have value less than or equal to {most}"))

    return visit


def bad_pattern(pattern: str, compiled: re.Pattern[str]) -> Visit:
    """Text has the form that the model's pattern gives."""
    must = f"Member must satisfy regular expression pattern: {pattern}"

    def visit(value: Any, path: str, found: list[Violation]) -> None:
        if isinstance(value, str) and not compiled.search(value):
            found.append(Violation(PATTERN, path, shown(value), must))

    return visit


def map_keys(visit_key: Visit) -> Visit:
    """The keys of a map follow their own constraints."""

    def visit(value: Any, path: str, found: list[Violation]) -> None:
        wrong: list[Violation] = []
        for key in value:
            visit_key(key, path, wrong)
        for each in wrong[:1]:
            found.append(Violation(each.constraint, path, shown(value), f"Map keys must satisfy constraint: [{each.must}]"))

    return visit


def _members(checks: list[tuple[str, str, Visit]]) -> Visit:
    def visit(value: Any, path: str, found: list[Violation]) -> None:
        for name, shown_name, inner in checks:
            if (member := value.get(name)) is not None:
                inner(member, join(path, shown_name), found)

    return visit


def _items(inner: Visit) -> Visit:
    def visit(value: Any, path: str, found: list[Violation]) -> None:
        for number, item in enumerate(value, 1):
            inner(item, f"{path}.{number}.member", found)

    return visit


def _values(inner: Visit) -> Visit:
    def visit(value: Any, path: str, found: list[Violation]) -> None:
        for key, item in value.items():
            inner(item, f"{path}.{key}.member", found)

    return visit


def _all(checks: list[Visit]) -> Visit:
    if len(checks) == 1:
        return checks[0]

    def visit(value: Any, path: str, found: list[Violation]) -> None:
        for each in checks:
            each(value, path, found)

    return visit


def _nothing(value: Any, path: str, found: list[Violation]) -> None:
    return


# --- words -------------------------------------------------------------------------------------------------------------------------------


def join(path: str, name: str) -> str:
    """Path of a member."""
    return f"{path}.{name}" if path else name


@cache
def lower_first(name: str) -> str:
    """A member's name as AWS's messages write it."""
    return name[:1].lower() + name[1:]


def shown(value: Any) -> str:
    """A value as AWS's messages write it."""
    return f"'{value}'" if not isinstance(value, list) else f"'[{', '.join(map(str, value))}]'"


# Java's classes of characters, as part of a Python set; letters and marks beyond ASCII are not told apart from other characters there.
JAVA_CLASSES = {
    r"\p{L}": r"A-Za-z\u00aa-\U0010ffff",
    r"\p{M}": r"\u0300-\U0010ffff",
    r"\p{N}": r"0-9",
    r"\p{Z}": r" \u00a0\u2000-\u3000",
    r"\p{S}": r"$+<=>\^`|~\u00a2-\U0010ffff",
    r"\p{P}": r"!\"#%&'()*,\-./:;?@\[\\\]_{}\u00a1-\U0010ffff",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010ffff",
}


@cache
def python_pattern(pattern: str) -> re.Pattern[str] | None:
    """A pattern of the model for C(search); None where Python cannot express it.

    A pattern with an anchor means what it says; one without means the whole text, as AWS's services take it, whatever Smithy says.
    https://smithy.io/2.0/spec/constraint-traits.html#pattern-trait
    """
    for java, python in JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    if not pattern.startswith("^") and not (pattern.endswith("$") and not pattern.endswith("\\$")):
        pattern = rf"\A(?:{pattern})\Z"
    try:
        return re.compile(pattern, re.ASCII)  # Java's \w and \d are ASCII
    except re.error:
        return None
