"""A process that outlives the emulator by a moment: when its input ends, it kills the process groups that are still there.

So no task is left behind, whatever the emulator died of. It runs without the emulator's modules.
"""

from __future__ import annotations

import os
import signal
import sys

groups = set()
for line in sys.stdin:
    verb, group = line.split()
    (groups.add if verb == "add" else groups.discard)(int(group))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
