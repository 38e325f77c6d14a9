"""Command line of the emulator: C(python -m emulator --port 0 --request-log FILE)."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from threading import Event, Thread


def time_scale(text: str) -> float:
    """A factor that is not negative."""
    if (factor := float(text)) < 0:
        raise argparse.ArgumentTypeError("must not be negative: 0 means no waiting, 1 the times of AWS")
    return factor


def main() -> int:
    """Serve until a signal says to stop."""
    parser = argparse.ArgumentParser(prog="emulator", description="An AWS on this machine.")
    parser.add_argument("--port", type=int, default=4566, help="port on 127.0.0.1; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--request-log", type=Path, metavar="FILE", help="append one JSON line for each request to this file")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", default=Path(__file__).parent.parent / "webapp",
        help="directory that holds one directory for each container image (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--time-scale", type=time_scale, metavar="FACTOR", default=os.environ.get("EMULATOR_TIME_SCALE", "0"),
        help="how long slow steps take: 0 no time, 1 as long as on AWS (default: EMULATOR_TIME_SCALE or 0)",
    )  # fmt: skip
    parser.add_argument(
        "--enforce-iam", action="store_true", default=os.environ.get("EMULATOR_ENFORCE_IAM") == "1",
        help="judge the calls of users and roles by their policies (default: only where EMULATOR_ENFORCE_IAM is 1)",
    )  # fmt: skip
    parser.add_argument(
        "--throttle", action="store_true", default=os.environ.get("EMULATOR_THROTTLE") == "1",
        help="refuse calls beyond AWS's published rates (default: only where EMULATOR_THROTTLE is 1)",
    )  # fmt: skip
    arguments = parser.parse_args()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    os.environ.setdefault("MOTO_ENABLE_AMI_VALIDATION", "true")
    # Rules give errors that botocore's models do not list, as AWS does; moto would warn of each.
    warnings.filterwarnings("ignore", message=r"Exception\(\w+\) with code")

    # Moto reads its settings when it is imported.
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    from emulator import authorization, validation
    from emulator.clock import Clock
    from emulator.request_log import RequestLog
    from emulator.server import Application
    from emulator.state import State
    from emulator.throttling import Throttling

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    log = RequestLog(arguments.request_log)
    state = State(arguments.images, Clock(arguments.time_scale, log.write_step))
    state.enforce_iam = arguments.enforce_iam
    checks = [validation.check, authorization.check]
    if arguments.throttle:
        checks.insert(0, Throttling().check)
    application = Application(state, log, checks)
    server = make_server("127.0.0.1", arguments.port, application, threaded=True, request_handler=MotoRequestHandler)
    url = f"http://127.0.0.1:{server.server_port}"
    state.start(url)
    Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready: {url}", flush=True)
    sys.stdout = sys.stderr  # moto prints now and then
    stop.wait()
    server.shutdown()
    state.stop()
    return 0


if __name__ == "__main__":
    # Everything has ended; to take moto's tables apart object by object would only cost a second.
    os._exit(main())
