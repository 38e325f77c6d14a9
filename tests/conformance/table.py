"""`make conformance`: run the suite against the emulator and against bare moto, and write docs/conformance.md.

Fails where a test fails on the emulator, and where one passes on bare moto: then moto has learnt the rule, and the emulator's own can go.
It fails, too, where moto breaks down (status 500) in another call than the rule's own: such a test proves nothing.
C(--second NAME URL RESET_PATH) asks another emulator too, and keeps its answers in second_opinion.json, for the tables to come.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from emulator import rules  # noqa: E402

PAGE = ROOT / "docs" / "conformance.md"
SECOND = Path(__file__).with_name("second_opinion.json")
Results = dict[str, dict[str, Any]]

HEAD = """# Conformance

What the [emulator](../emulator/README.md) does as AWS does and moto does not, rule by rule. Written by `make conformance`, which runs
`tests/conformance` twice: against the emulator, where every test must pass, and against bare moto, where every test must fail. A test that
passes on bare moto proves no rule: moto has learnt it, and the emulator's own can go.

A test is named as its rule. Moto could take what needs nothing but the request and moto's own state. That column is empty where a rule
needs the emulator's loop, clock or policies, and where none has the name: throttling, validation, authorization, more tests of one rule.

"""
MOTO_COULD = "Moto could take it."  # in the docstring of a rule
VERDICTS = AGREES, NO_RULE, NO_CALL, DISAGREES = "agrees", "lacks the rule", "lacks the call", "answers something else"
LACKS_CALL = (
    "UnknownOperation",
    "InvalidAction",
    "NotImplemented",
    "not implemented",
    "Unknown operation",
    "Unsupported",
    "Unknown action",
    "(400)",
    "with 400",
    "ParameterNotFound",
)


def run(*options: str) -> Results:
    """What became of each test, by its name in the suite."""
    with tempfile.TemporaryDirectory() as directory:
        results = Path(directory) / "results.json"
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "tests/conformance", f"--results={results}", *options]
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        return dict(json.loads(results.read_text()))


def ask_second(name: str, url: str, reset_path: str, emulator: Results) -> None:
    """Keep another emulator's answers; what somebody has written about a disagreement stays."""
    known = json.loads(SECOND.read_text())["tests"] if SECOND.exists() else {}
    answers = run("--endpoint", url, "--reset-path", reset_path)
    tests: dict[str, dict[str, str]] = {}
    for test in sorted(test for test in emulator if not needs_this_emulator(test)):
        answer = answers.get(test, {"passed": False, "error": "not run"})
        tests[test] = {"verdict": verdict_of(answer), "says": answer["error"]}
        if tests[test]["verdict"] == DISAGREES:
            tests[test]["decision"] = known.get(test, {}).get("decision", "")
    SECOND.write_text(json.dumps({"name": name, "tests": tests}, indent=1) + "\n")


def needs_this_emulator(test: str) -> bool:
    """Whether a test is of a module that asks for options, or for paths, which no other emulator has."""
    module = Path(__file__).with_name(test.partition("::")[0]).read_text()
    return "\nEMULATOR = " in module or "/emulator/" in module


def verdict_of(answer: dict[str, Any]) -> str:
    """What the other emulator's answer means: another error than AWS's is a disagreement, no error is only a rule that it lacks."""
    if answer["passed"]:
        return AGREES
    if any(word in answer["error"] for word in LACKS_CALL):
        return NO_CALL
    return DISAGREES if re.match(r"refused with|An error occurred", answer["error"]) else NO_RULE


def page(emulator: Results, moto: Results) -> str:
    """The page, a table for each module of the suite."""
    second = json.loads(SECOND.read_text()) if SECOND.exists() else {"name": "", "tests": {}}
    could = {test for test in emulator if moto_could_take(test)}
    lines = [f"{len(emulator)} rules. Moto could take {len(could)} of them."]
    module = ""
    for test in sorted(emulator):
        file, name = test.split("::")
        if file != module:
            module = file
            title = file.removeprefix("test_").removesuffix(".py").replace("_", " ")
            lines += [f"\n## {title}\n", "| rule | AWS document | emulator | bare moto | moto could take it |", "|---|---|---|---|---|"]
        document = emulator[test]["document"]
        label = document.rpartition("/")[2].replace(".html", "").replace("|", "") if document else ""
        verdicts = " | ".join("passed" if results.get(test, {}).get("passed") else "failed" for results in (emulator, moto))
        upstream = "yes" if test in could else ""
        lines.append(f"| {name.removeprefix('test_').replace('_', ' ')} | [{label}]({document}) | {verdicts} | {upstream} |")
    if second["tests"]:
        lines += second_opinion(second)
    return HEAD + "\n".join(lines) + "\n"


def second_opinion(second: dict[str, Any]) -> list[str]:
    """What the other emulator says; where it disagrees, AWS's documentation has decided."""
    tests = second["tests"]
    counts = Counter(answer["verdict"] for answer in tests.values())
    lines = [
        f"\n## A second opinion: {second['name']}\n",
        "An emulator that shares no code with moto, asked the same: "
        + ", ".join(f"{verdict} {counts[verdict]}" for verdict in VERDICTS)
        + ".",
        "Where it answers something else, AWS's documentation has decided.\n",
    ]
    for verdict in (AGREES, NO_RULE, NO_CALL):
        names = [f"`{test.split('::')[1].removeprefix('test_')}`" for test, answer in tests.items() if answer["verdict"] == verdict]
        if names:
            lines.append(f"**{verdict[0].upper()}{verdict[1:]}**: {', '.join(names)}.\n")
    disagreements = {test: answer for test, answer in tests.items() if answer["verdict"] == DISAGREES}
    if disagreements:
        lines += ["| answers something else | it says | decided |", "|---|---|---|"]
        for test, answer in disagreements.items():
            says = answer["says"].replace("|", "\\|")[:160]
            lines.append(f"| {test.split('::')[1].removeprefix('test_').replace('_', ' ')} | {says} | {answer['decision']} |")
    return lines


def rules_of(test: str) -> dict[str, rules.Rule]:
    """The rule that is named as a test, by each of its operations; nothing where there is none."""
    rules.load()
    name = test.rpartition("::test_")[2]
    return {operation: each for (_, operation), functions in rules._RULES.items() for each in functions if each.__name__ == name}


def moto_could_take(test: str) -> bool:
    """Whether the rule of a test says so."""
    return any(MOTO_COULD in " ".join((each.__doc__ or "").split()) for each in rules_of(test).values())


# Calls that are themselves what moto lacks: whatever rests on them, it cannot have.
LACKED_CALLS = ("PutCompositeAlarm",)


def breaks_elsewhere(test: str, error: str) -> bool:
    """Whether moto broke down in a call that makes what the test needs, not in one of the rule's own."""
    if not (broken := re.match(r"An error occurred \(500\) when calling the ((Create|Put|Register|Run)\w+) operation", error)):
        return False
    return broken[1] not in {*rules_of(test), *LACKED_CALLS}


def main() -> int:
    """Status 0 where all pass on the emulator and none on bare moto."""
    parser = argparse.ArgumentParser(description="Write docs/conformance.md.")
    parser.add_argument("--second", nargs=3, metavar=("NAME", "URL", "RESET_PATH"), help="ask another emulator too")
    arguments = parser.parse_args()
    emulator, moto = run(), run("--bare-moto")
    if arguments.second:
        ask_second(*arguments.second, emulator)
    PAGE.write_text(page(emulator, moto))
    broken = [test for test, result in emulator.items() if not result["passed"]]
    learnt = [test for test, result in moto.items() if result["passed"]]
    unproven = [test for test, result in moto.items() if breaks_elsewhere(test, result["error"])]
    undocumented = [test for test, result in emulator.items() if not result["document"]]
    problems = {
        "fails on the emulator": broken,
        "passes on bare moto": learnt,
        "breaks on bare moto before it comes to its rule": unproven,
        "names no AWS document": undocumented,
    }
    for what, tests in problems.items():
        for test in tests:
            print(f"{what}: {test}", emulator[test]["error"] if tests is broken else "")
    print(f"{len(emulator)} rules, {PAGE.relative_to(ROOT)} written")
    return 1 if any(problems.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
