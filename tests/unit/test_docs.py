"""Pages that are made from data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import ROOT


def test_the_pages_are_as_their_data_makes_them():
    """If this fails, run C(make docs) and commit what it writes."""
    command = ["ansible-playbook", "playbooks/docs.yml", "-i", "inventories/production", "--check", "--diff"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout + done.stderr
