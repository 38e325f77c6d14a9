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


def main() -> int:
    """Serve until a signal says to stop."""
    parser = argparse.ArgumentParser(prog="emulator", description="An AWS on this machine.")
    parser.add_argument("--port", type=int, default=4566, help="port on 127.0.0.1; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--request-log", type=Path, metavar="FILE", help="append one JSON line for each request to this file")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", default=Path(__file__).parent.parent / "webapp",
        help="directory that holds one directory for each container image (default: %(default)s)",
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

    from emulator.request_log import RequestLog
    from emulator.server import Application
    from emulator.state import State

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    state = State(arguments.images)
    application = Application(state, RequestLog(arguments.request_log))
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
