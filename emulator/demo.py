"""`make demo` and `make demo-down`: an emulator in the background, and the stack of inventories/local on it.

Everything it leaves between the two is in .demo/: the emulator's process id, its output and its request log.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3

ROOT = Path(__file__).parent.parent
DEMO = ROOT / ".demo"
STACK = "demo"
REGION = "eu-central-1"
READY_SECONDS = 30
STOP_SECONDS = 60


def running() -> int | None:
    """Process id of the demo's emulator, None where there is none."""
    try:
        pid = int((DEMO / "pid").read_text())
        os.kill(pid, 0)
        return pid
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None


def start() -> str:
    """URL of the demo's emulator, started if it is not running."""
    if not running():
        DEMO.mkdir(exist_ok=True)
        with (DEMO / "output").open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "emulator", "--port", "0", "--request-log", DEMO / "requests.jsonl"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is not meant for the emulator
            )
        (DEMO / "pid").write_text(str(process.pid))
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        for line in (DEMO / "output").read_text().splitlines():
            if line.startswith("ready: "):
                return line.removeprefix("ready: ")
        time.sleep(0.1)
    sys.exit(f"the emulator did not start within {READY_SECONDS} s; it said:\n{(DEMO / 'output').read_text()}")


def up() -> None:
    """Deploy the stack and say where it is."""
    url = start()
    credentials = {"AWS_ACCESS_KEY_ID": "emulator-access-key", "AWS_SECRET_ACCESS_KEY": "emulator-secret-key"}
    os.environ.update(credentials, AWS_ENDPOINT_URL=url)
    playbook = Path(sys.executable).with_name("ansible-playbook")
    status = subprocess.run([playbook, "playbooks/site.yml", "-i", "inventories/local"], cwd=ROOT, check=False).returncode
    if status:
        sys.exit(status)
    balancer = boto3.client("elbv2", region_name=REGION).describe_load_balancers(Names=[f"{STACK}-public"])["LoadBalancers"][0]
    print(f"page: http://{balancer['DNSName']}/\nemulator: {url}")


def down() -> None:
    """Stop the emulator, and with it all that runs on it."""
    if pid := running():
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while running():
            if time.monotonic() > deadline:
                sys.exit(f"the emulator (process {pid}) is still there after {STOP_SECONDS} s")
            time.sleep(0.1)
    shutil.rmtree(DEMO, ignore_errors=True)


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]]()
