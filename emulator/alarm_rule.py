"""The rule of a composite alarm: which alarms it looks at, and whether it holds.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-combining.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
MOST_CHILDREN, MOST_ELEMENTS = 100, 500
TOKEN = re.compile(r'\s*(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<sign>[(),])|(?P<word>[^\s(),"]+))')

Test = Callable[[Mapping[str, str]], bool]  # given the states of alarms by name, or by ARN where the rule names that


class RuleError(ValueError):
    """The rule cannot be read; the message is AWS's."""


@dataclass(frozen=True)
class AlarmRule:
    """A rule that was read: C(children) are the alarms as it names them, C(holds) tells whether it is true."""

    children: tuple[str, ...]
    holds: Test


def parse(text: str) -> AlarmRule:
    """Read a rule. NOT binds more strongly than AND, and AND more strongly than OR.

    Raises RuleError, with AWS's words: C(Error in AlarmRule [Unsupported token ')' at char 1]).
    """
    parser = _Parser(text)
    test = parser.either()
    parser.end()
    children = tuple(dict.fromkeys(parser.children))
    if len(children) > MOST_CHILDREN or parser.elements > MOST_ELEMENTS:
        raise RuleError(f"Error in AlarmRule [at most {MOST_CHILDREN} alarms and {MOST_ELEMENTS} elements are allowed]")
    return AlarmRule(children, test)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []  # kind, text, position
        self.children: list[str] = []
        position = 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if not match:  # a quote that nobody closes
                position = text.index('"', position)
                raise RuleError(f"Error in AlarmRule [Unsupported token '{text[position]}' at char {position}]")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind], match.start(kind) - (kind == "quoted")))
            position = match.end()
        self.tokens.append(("end", "<EOF>", len(text)))
        self.elements = sum(token[:2] != ("sign", ",") for token in self.tokens) - 1

    def refuse(self) -> RuleError:
        _kind, text, position = self.tokens[0]
        return RuleError(f"Error in AlarmRule [Unsupported token '{text}' at char {position}]")

    def next_is(self, *words: str) -> bool:
        kind, text, _position = self.tokens[0]
        return kind != "quoted" and text.upper() in words

    def take(self, *words: str) -> str:
        """The next token, which must be one of the words."""
        if not self.next_is(*words):
            raise self.refuse()
        return self.tokens.pop(0)[1].upper()

    def end(self) -> None:
        if self.tokens[0][0] != "end":
            raise self.refuse()

    def either(self) -> Test:
        tests = [self.both()]
        while self.next_is("OR"):
            self.take("OR")
            tests.append(self.both())
        return lambda states: any(test(states) for test in tests)

    def both(self) -> Test:
        tests = [self.term()]
        while self.next_is("AND"):
            self.take("AND")
            tests.append(self.term())
        return lambda states: all(test(states) for test in tests)

    def term(self) -> Test:
        if self.next_is("NOT"):
            self.take("NOT")
            negated = self.term()
            return lambda states: not negated(states)
        if self.next_is("("):
            self.take("(")
            inner = self.either()
            self.take(")")
            return inner
        if self.next_is("AT_LEAST"):
            return self.at_least()
        word = self.take("TRUE", "FALSE", *STATES)
        if word in ("TRUE", "FALSE"):
            return lambda _states: word == "TRUE"
        self.take("(")
        child = self.child()
        self.take(")")
        return lambda states: states.get(child) == word

    def at_least(self) -> Test:
        """C(AT_LEAST(2, ALARM, (a, b, c))), C(AT_LEAST(50%, NOT OK, (a, b)))."""
        self.take("AT_LEAST")
        self.take("(")
        least = re.fullmatch(r"(\d+)(%?)", self.tokens[0][1])
        if not least:
            raise self.refuse()
        self.tokens.pop(0)
        self.take(",")
        wanted = not self.next_is("NOT")
        if not wanted:
            self.take("NOT")
        state = self.take(*STATES)
        self.take(",")
        self.take("(")
        children = [self.child()]
        while self.next_is(","):
            self.take(",")
            children.append(self.child())
        self.take(")")
        self.take(")")
        count = int(least[1]) * len(children) / 100 if least[2] else int(least[1])
        return lambda states: sum((states.get(child) == state) == wanted for child in children) >= count

    def child(self) -> str:
        kind, text, _position = self.tokens[0]
        if kind not in ("quoted", "word"):
            raise self.refuse()
        self.tokens.pop(0)
        self.children.append(re.sub(r"\\(.)", r"\1", text) if kind == "quoted" else text)
        return self.children[-1]
