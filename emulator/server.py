"""The WSGI layer around moto's server: it applies the rules and writes the request log."""

from __future__ import annotations

import io
import json
import time
import traceback
from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any

from moto.core.exceptions import ServiceException
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import run_wsgi_app

from emulator import rules
from emulator.inventory import inventory
from emulator.request_log import RequestLog
from emulator.state import State
from emulator.wire import AwsError, Call, Wire

Check = Callable[[Call], None]

OWN_PATHS: dict[str, Callable[[State], Any]] = {
    "/emulator/inventory": inventory,
    "/emulator/listeners": lambda state: state.balancers.listeners(),
    "/emulator/hold": lambda state: {"held": state.hold.held},
}

# What a POST of a JSON value does.
OWN_SETTINGS: dict[str, Callable[[State, Any], None]] = {
    "/emulator/enforce-iam": lambda state, value: setattr(state, "enforce_iam", value),
    "/emulator/hold": lambda state, value: state.hold.set(value),
}

NOT_IMPLEMENTED = {"ec2": "InvalidAction", "query": "InvalidAction", "rest-xml": "NotImplemented"}


class Application:
    """Moto's server with rules and a request log.

    The checks see every call of a service before its rules do, in this order; a check raises AwsError where AWS would refuse the call.
    """

    def __init__(self, state: State, log: RequestLog, checks: Iterable[Check] = ()) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._state = state
        self._log = log
        self._checks = tuple(checks)
        rules.load()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start = time.time()
        call = Call(environ, self._state)
        with self._state.hold.around(call):
            status, headers, body = self._answer(call)
            # The log line is written before the caller sees any of the answer, so that whoever has an answer finds it in the log.
            self._log.write(call, status, start, time.time())
        start_response(f"{status} {responses.get(status, '')}", headers)
        return [body]

    def _answer(self, call: Call) -> Wire:
        if call.environ["REQUEST_METHOD"] == "POST" and (setting := OWN_SETTINGS.get(call.environ["PATH_INFO"])):
            setting(self._state, json.loads(call.body))
            return 200, [("Content-Type", "application/json")], call.body
        if answer := OWN_PATHS.get(call.environ["PATH_INFO"]):
            return 200, [("Content-Type", "application/json")], json.dumps(answer(self._state)).encode()
        if not call.model:
            return self._ask_moto(call)
        try:
            # One call at a time: rules keep things on what moto has made, and expect them on all that is there.
            with self._state.lock:
                for check in self._checks:
                    check(call)
                if not rules.rules_of(call):
                    return self._ask_moto(call)
                return call.write(rules.answer(call, lambda: call.read(self._ask_moto(call))))
        except ServiceException as error:
            return call.write(error)
        except Exception as error:
            traceback.print_exc()
            return call.write(AwsError("InternalFailure", f"the emulator failed: {error!r}"))

    def _ask_moto(self, call: Call) -> Wire:
        if call.body:
            # a rule may have changed the body
            call.environ |= {"wsgi.input": io.BytesIO(call.body), "CONTENT_LENGTH": str(len(call.body))}
        try:
            blocks, line, headers = run_wsgi_app(self._moto, call.environ, buffered=True)
        except NotImplementedError:
            return self._not_implemented(call)
        except Exception as error:
            traceback.print_exc()
            return call.write(AwsError("InternalFailure", f"moto failed: {error!r}")) if call.model else (500, [], repr(error).encode())
        if call.environ["PATH_INFO"] == "/moto-api/reset":
            self._state.reset()
        status, body = int(line.split()[0]), b"".join(blocks)
        # Flask answers requests that match none of moto's routes with a page for people.
        if status in (404, 405) and call.model and headers.get("Content-Type", "").startswith("text/html") and b"<title>" in body:
            return self._not_implemented(call)
        return status, list(headers), body

    def _not_implemented(self, call: Call) -> Wire:
        message = f"The action {call.operation} is not valid for this web service: moto does not implement it."
        if not call.model:
            return 501, [("Content-Type", "text/plain")], message.encode()
        return call.write(AwsError(NOT_IMPLEMENTED.get(call.protocol, "UnknownOperationException"), message))
