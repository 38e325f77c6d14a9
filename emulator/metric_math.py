"""Statistics of metric data, and the expressions of metric math.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import math
import operator
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

Series = dict[float, float]  # values by the start of their period, in seconds since the epoch
Value = float | Series | list[Series]


class Unsupported(ValueError):
    """The expression is none that the emulator can compute: C(ANOMALY_DETECTION_BAND), C(SEARCH), SQL, a function it does not know."""


@dataclass(frozen=True)
class Datum:
    """What one entry of PutMetricData says: single values with their counts, or, where C(values) is empty, a set of statistics."""

    at: float
    unit: str
    count: float
    total: float
    low: float
    high: float
    values: tuple[tuple[float, float], ...] = ()

    @classmethod
    def from_api(cls, entry: Mapping[str, Any], now: float) -> Datum:
        """The entry of a PutMetricData request, which counts for C(now) where it has no timestamp."""
        at = entry["Timestamp"].replace(tzinfo=UTC).timestamp() if "Timestamp" in entry else now  # moto reads times without a zone
        unit = entry.get("Unit", "None")
        if known := entry.get("StatisticValues"):
            return cls(at, unit, known["SampleCount"], known["Sum"], known["Minimum"], known["Maximum"])
        values = entry.get("Values") or [entry.get("Value", 0.0)]
        pairs = tuple(zip(values, entry.get("Counts") or [1.0] * len(values)))
        return cls(at, unit, sum(n for _v, n in pairs), sum(v * n for v, n in pairs), min(values), max(values), pairs)


BASIC: dict[str, Callable[[Sequence[Datum]], float]] = {
    "SampleCount": lambda data: sum(datum.count for datum in data),
    "Sum": lambda data: sum(datum.total for datum in data),
    "Average": lambda data: sum(datum.total for datum in data) / (sum(datum.count for datum in data) or 1.0),
    "Minimum": lambda data: min(datum.low for datum in data),
    "Maximum": lambda data: max(datum.high for datum in data),
}
UP_TO = re.compile(r"(p|tm|tc|ts|wm)(\d{1,2}(?:\.\d{0,10})?|100)", re.IGNORECASE)  # tm90 is the mean of the lower 90 percent
BETWEEN = re.compile(r"(TM|TC|TS|WM|PR)\((\d*\.?\d*)(%?):(\d*\.?\d*)(%?)\)", re.IGNORECASE)


def is_statistic(name: str) -> bool:
    """Whether it is a statistic, basic or extended."""
    return name in BASIC or name == "IQM" or bool(UP_TO.fullmatch(name) or BETWEEN.fullmatch(name))


def statistic(name: str, data: Sequence[Datum]) -> float | None:
    """A statistic of the data of one period; none where the data only hold sets of statistics and single values are needed."""
    if name in BASIC:
        return BASIC[name](data)
    # Sets of statistics can be used where they stand for one value only, as on AWS.
    if any(not datum.values and datum.low != datum.high for datum in data):
        return None
    pairs = [pair for datum in data for pair in (datum.values or ((datum.low, datum.count),))]
    values = sorted(value for value, count in pairs for _ in range(round(count)))
    if name == "IQM":
        name = "TM(25%:75%)"
    if match := UP_TO.fullmatch(name):
        kind, share = match[1].lower(), float(match[2]) / 100
        if kind == "p":
            return values[max(math.ceil(share * len(values)) - 1, 0)]
        return _trimmed(kind, values, values[: math.ceil(share * len(values))])
    if match := BETWEEN.fullmatch(name):
        kind, low, high = match[1].lower(), match[2], match[4]
        if match[3] or match[5]:
            first = math.floor(float(low or 0) / 100 * len(values))
            kept = values[first : math.ceil(float(high or 100) / 100 * len(values))]
        else:
            kept = [value for value in values if (not low or value > float(low)) and (not high or value <= float(high))]
        return 100 * len(kept) / len(values) if kind == "pr" else _trimmed(kind, values, kept)
    return None


def _trimmed(kind: str, values: list[float], kept: list[float]) -> float | None:
    if not kept:
        return None
    if kind == "wm":  # what lies outside counts as the nearest value inside
        kept = [min(max(value, kept[0]), kept[-1]) for value in values]
    return {"tm": statistics.fmean, "wm": statistics.fmean, "ts": math.fsum, "tc": len}[kind](kept)


def series(data: Iterable[Datum], name: str, unit: str | None, starts: Sequence[float], period: int) -> Series:
    """A statistic of each period that has data; C(starts) are the starts of the periods, in order."""
    by_start: dict[float, list[Datum]] = {}
    for datum in data:
        if starts[0] <= datum.at < starts[-1] + period and unit in (None, datum.unit):
            by_start.setdefault(datum.at // period * period, []).append(datum)
    values = {start: statistic(name, by_start[start]) for start in starts if start in by_start}
    return {start: value for start, value in values.items() if value is not None}


# --- Expressions ---

OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.And: lambda left, right: bool(left and right), ast.Or: lambda left, right: bool(left or right),
}  # fmt: skip
AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "SUM": math.fsum, "MAX": max, "MIN": min, "AVG": statistics.fmean, "STDDEV": statistics.pstdev,
}  # fmt: skip
EACH: dict[str, Callable[[float], float]] = {
    "ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor, "LOG": math.log, "LOG10": math.log10,
}  # fmt: skip
WORDS = {"^": "**", "&&": " and ", "||": " or ", "AND": " and ", "OR": " or "}


def parse(expression: str) -> ast.expr:
    """Read an expression: apart from C(^), C(&&), C(||), AND and OR, its grammar is Python's. Raises ValueError."""
    if re.match(r"\s*SELECT\s", expression, re.IGNORECASE):
        raise Unsupported("Metrics Insights")
    parts = re.split(r"""("[^"]*"|'[^']*')""", expression)
    parts[::2] = [re.sub(r"\^|&&|\|\||\b(?:AND|OR)\b", lambda match: WORDS[match[0]], part) for part in parts[::2]]
    try:
        return ast.parse("".join(parts).strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{error.msg} at char {error.offset}") from None


def names_in(tree: ast.expr) -> set[str]:
    """Ids of the other queries that an expression uses."""
    functions = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in functions}
    return {name for name in names if re.match("[a-z]", name)}


@dataclass
class Expressions:
    """Values of queries by id; C(metrics) are the series of those that are metrics, C(trees) the expressions that were read."""

    metrics: Mapping[str, Series]
    trees: Mapping[str, ast.expr]
    starts: Sequence[float]
    period: int

    def value(self, query_id: str) -> Value:
        """Value of a query. Raises Unsupported, or RecursionError where expressions go round in a circle."""
        return self.metrics[query_id] if query_id in self.metrics else self.evaluate(self.trees[query_id])

    def evaluate(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self.metrics or name in self.trees:
                return self.value(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return combine(operator.mul, -1.0, self.evaluate(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.evaluate(operand)
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
                return combine(OPERATORS[type(sign)], self.evaluate(left), self.evaluate(right))
            case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in OPERATORS:
                return combine(OPERATORS[type(sign)], self.evaluate(left), self.evaluate(right))
            case ast.BoolOp(op=sign, values=[first, *others]):
                value = self.evaluate(first)
                for other in others:
                    value = combine(OPERATORS[type(sign)], value, self.evaluate(other))
                return value
            case ast.List(elts=elements):
                return [as_series(value, self.starts) for value in map(self.evaluate, elements)]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self.call(name.upper(), arguments)
        raise Unsupported(ast.unparse(node))

    def call(self, name: str, nodes: list[ast.expr]) -> Value:
        if name == "METRICS":
            part = str(nodes[0].value) if nodes and isinstance(nodes[0], ast.Constant) else ""
            return [found for query_id, found in self.metrics.items() if part in query_id]
        if name == "FILL" and len(nodes) == 2:
            return self.fill(self.evaluate(nodes[0]), nodes[1])
        values = [self.evaluate(node) for node in nodes]
        match name, values:
            case _, [float() | dict() | list() as value] if name in EACH:
                return each(lambda one: apply(EACH[name], one), value)
            case _, [list() as several] if name in AGGREGATES:
                starts = sorted({start for one in several for start in one})
                return {start: AGGREGATES[name]([one[start] for one in several if start in one]) for start in starts}
            case _, [dict() as one] if name in AGGREGATES:
                return AGGREGATES[name](list(one.values())) if one else math.nan
            case "IF", [test, then, *otherwise] if len(otherwise) < 2:
                return self.choose(test, then, otherwise[0] if otherwise else {})
            case "METRIC_COUNT", [list() as several]:
                return float(len(several))
            case "PERIOD", [_]:
                return float(self.period)
            case "TIME_SERIES", [float() as number]:
                return dict.fromkeys(self.starts, number)
            case ("FIRST" | "LAST"), [list() as several] if several:
                return several[0 if name == "FIRST" else -1]
            case ("RATE" | "DIFF" | "DIFF_TIME" | "RUNNING_SUM"), [dict() as one]:
                return over_time(name, one)
            case ("RATE" | "DIFF" | "DIFF_TIME" | "RUNNING_SUM"), [list() as several]:
                return [over_time(name, one) for one in several]
        raise Unsupported(f"{name} of {len(values)}")

    def choose(self, test: Value, then: Value, otherwise: Value) -> Value:
        if isinstance(test, float):
            return then if test else otherwise
        if isinstance(test, list) or isinstance(then, list) or isinstance(otherwise, list):
            raise Unsupported("IF of several series")
        chosen: Series = {}
        for start, holds in test.items():
            side = then if holds else otherwise
            if isinstance(side, float) or start in side:
                chosen[start] = side if isinstance(side, float) else side[start]
        return chosen

    def fill(self, value: Value, filling: ast.expr) -> Value:
        if isinstance(value, list):
            return [as_series(self.fill(one, filling), self.starts) for one in value]
        if isinstance(value, float):
            return value
        if isinstance(filling, ast.Name) and filling.id.upper() == "REPEAT":
            filled: Series = {}
            for start in self.starts:
                if start in value:
                    filled[start] = value[start]
                elif filled:
                    filled[start] = list(filled.values())[-1]
            return filled
        if isinstance(filling, ast.Name) and filling.id.upper() == "LINEAR":
            raise Unsupported("FILL with LINEAR")
        missing = as_series(self.evaluate(filling), self.starts)
        return {start: value.get(start, missing.get(start, math.nan)) for start in self.starts if start in value or start in missing}


def as_series(value: Value, starts: Sequence[float]) -> Series:
    """A number counts for every period."""
    if isinstance(value, list):
        raise Unsupported("several series where one is needed")
    return dict.fromkeys(starts, value) if isinstance(value, float) else value


def each(function: Callable[[float], float | None], value: Value) -> Value:
    """The function of every number in the value; what has none becomes missing."""
    if isinstance(value, list):
        return [{start: done for start, number in one.items() if (done := function(number)) is not None} for one in value]
    if isinstance(value, dict):
        return {start: done for start, number in value.items() if (done := function(number)) is not None}
    done = function(value)
    return math.nan if done is None else done


def apply(function: Callable[..., float], *numbers: float) -> float | None:
    """A result, or none where there is none: a division by zero, the logarithm of a negative number."""
    try:
        result = float(function(*numbers))
    except (ArithmeticError, ValueError, TypeError):
        return None
    return result if math.isfinite(result) else None


def combine(function: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """The function of two values, period by period; a period that either lacks is missing."""
    if isinstance(left, list):
        return [as_series(combine(function, one, right), list(one)) for one in left]
    if isinstance(right, list):
        return [as_series(combine(function, left, one), list(one)) for one in right]
    if isinstance(left, float):
        return each(lambda number: apply(function, left, number), right)
    if isinstance(right, float):
        return each(lambda number: apply(function, number, right), left)
    results = {start: apply(function, number, right[start]) for start, number in left.items() if start in right}
    return {start: result for start, result in results.items() if result is not None}


def over_time(name: str, one: Series) -> Series:
    """What compares each value with the one before."""
    points = sorted(one.items())
    if name == "RUNNING_SUM":
        return {start: math.fsum(value for _start, value in points[: number + 1]) for number, (start, _value) in enumerate(points)}
    pairs = [(start, value - before, start - earlier) for (earlier, before), (start, value) in zip(points, points[1:])]
    return {start: {"DIFF": change, "DIFF_TIME": seconds, "RATE": change / seconds}[name] for start, change, seconds in pairs}
