"""The request log: one JSON line for each request, on disk before the caller has its answer, and one for each slow step that is over."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

from emulator.wire import Call

READ = re.compile(
    r"(Batch|Transact)?(Assume|Check|Decode|Decrypt|Describe|Discover|Estimate|Filter|Get|Head|List|Lookup|Query|Scan|Search|Select"
    r"|Simulate|Test|Validate|Verify)(?![a-z])"
)
READS_WITH_OTHER_NAMES = {"StartQuery", "StopQuery"}  # CloudWatch Logs Insights
UNKNOWN = "-"


class RequestLog:
    """Appends to a file, or to nothing when there is none."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", encoding="utf-8") if path else None
        self._lock = threading.Lock()

    def write(self, call: Call, status: int, start: float, end: float) -> None:
        """Add one request."""
        if self._file:
            self._append(service=call.signing_name, operation=call.operation, access=access(call), status=status, start=start, end=end)

    def write_step(self, step: str, resource: str, start: float, end: float) -> None:
        """Add one step of the clock."""
        if self._file:
            self._append(step=step, resource=resource, start=start, end=end)

    def _append(self, **entry: str | float) -> None:
        assert self._file
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()


def access(call: Call) -> str:
    """C(read) or C(write): told from the name of the operation, and from the HTTP method where there is none."""
    if call.operation == UNKNOWN:
        return "read" if call.environ["REQUEST_METHOD"] in ("GET", "HEAD") else "write"
    return "read" if READ.match(call.operation) or call.operation in READS_WITH_OTHER_NAMES else "write"
