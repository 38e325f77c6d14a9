"""Load balancers that answer: each listener is an HTTP server on a loopback port.

The first listener (HTTP before HTTPS, then by port) answers at the port in the load balancer's DNSName, which is bound as long as the
load balancer exists; the others have ports of their own.
"""

from __future__ import annotations

import http.client
import random
import re
import secrets
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from moto.elbv2.models import FakeListener, FakeLoadBalancer, elbv2_backends

from emulator.targets import Target, Targets
from emulator.wire import ACCOUNT

BLOCK = 64 * 1024
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
IDLE_SECONDS = "60"


class Front(ThreadingHTTPServer):
    """The loopback port of one listener; C(listener_arn) is None for the port in the DNSName, whatever listener is first."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, balancer: FakeLoadBalancer, listener_arn: str | None, targets: Targets) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.balancer = balancer
        self.listener_arn = listener_arn
        self.targets = targets
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_port}"

    @property
    def listener(self) -> FakeListener | None:
        """The listener that answers here."""
        if self.listener_arn:
            return self.balancer.listeners.get(self.listener_arn)
        return next(iter(listeners_of(self.balancer)), None)

    def close(self) -> None:
        """Free the port, without waiting for it."""

        def end() -> None:
            self.shutdown()
            self.server_close()

        Thread(target=end, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are nobody's fault."""


class LoadBalancers:
    """All fronts, by the ARN of the load balancer or, for further listeners, of the listener."""

    def __init__(self, lock: RLock, targets: Targets) -> None:
        self._lock = lock
        self._targets = targets
        self._fronts: dict[str, Front] = {}

    def sync(self) -> None:
        """Have one front for each load balancer and for each of its further listeners, and none beside."""
        with self._lock:
            wanted: dict[str, tuple[FakeLoadBalancer, str | None]] = {}
            for backend in list(elbv2_backends[ACCOUNT].values()):
                for balancer in list(backend.load_balancers.values()):
                    wanted[balancer.arn] = balancer, None
                    wanted |= {listener.arn: (balancer, listener.arn) for listener in listeners_of(balancer)[1:]}
            for arn in self._fronts.keys() - wanted.keys():
                self._fronts.pop(arn).close()
            for arn in wanted.keys() - self._fronts.keys():
                self._fronts[arn] = Front(*wanted[arn], self._targets)
                balancer, listener_arn = wanted[arn]
                if listener_arn is None:
                    balancer.dns_name = self._fronts[arn].address

    def listeners(self) -> list[dict[str, Any]]:
        """Every listener and where it answers."""
        self.sync()
        with self._lock:
            return [
                {"load_balancer": front.balancer.name, "listener_port": int(front.listener.port), "address": front.address}
                for front in self._fronts.values()
                if front.listener
            ]


def listeners_of(balancer: FakeLoadBalancer) -> list[FakeListener]:
    """Listeners of a load balancer, the first one first."""
    return sorted(list(balancer.listeners.values()), key=lambda listener: (listener.protocol == "HTTPS", int(listener.port)))


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    server: Front
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Load balancers write no log here."""

    def serve(self) -> None:
        """Do what the listener says."""
        listener = self.server.listener
        if listener is None or self.server.balancer.state == "provisioning":
            self.close_connection = True  # on AWS nobody would answer
            return
        action = next(rule for rule in rules_of(listener) if all(self._meets(condition) for condition in rule.conditions)).actions[-1].data
        if action["Type"] == "forward":
            self._forward(listener, action)
            return
        self._skip_body()
        if action["Type"] == "redirect":
            self._redirect(listener, action["RedirectConfig"])
        elif action["Type"] == "fixed-response":
            fixed = action["FixedResponseConfig"]
            self._reply(int(fixed["StatusCode"]), fixed.get("MessageBody", ""), {"Content-Type": fixed.get("ContentType", "text/plain")})
        else:
            self._refuse(501)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def _meets(self, condition: dict[str, Any]) -> bool:
        """Whether the request meets a condition of a rule."""
        name = condition["Field"]
        url = urlsplit(self.path)
        if name == "path-pattern":
            return any(glob(value).fullmatch(url.path) for value in values_of(condition, "PathPatternConfig"))
        if name == "host-header":
            host = (self.headers.get("Host") or "").partition(":")[0].lower()
            return any(glob(value.lower()).fullmatch(host) for value in values_of(condition, "HostHeaderConfig"))
        if name == "http-request-method":
            return self.command in values_of(condition, "HttpRequestMethodConfig")
        if name == "http-header":
            sent = self.headers.get_all(condition["HttpHeaderConfig"]["HttpHeaderName"], [])
            return any(glob(value, re.IGNORECASE).fullmatch(text) for value in values_of(condition, "HttpHeaderConfig") for text in sent)
        if name == "query-string":
            pairs = parse_qsl(url.query, keep_blank_values=True)
            return any(
                glob(wanted["Value"], re.IGNORECASE).fullmatch(value) and (not wanted.get("Key") or wanted["Key"].lower() == key.lower())
                for wanted in values_of(condition, "QueryStringConfig")
                for key, value in pairs
            )
        return True  # source-ip: all clients are on this machine

    def _forward(self, listener: FakeListener, action: dict[str, Any]) -> None:
        groups = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
        weights = [int(group.get("Weight", 1)) for group in groups]
        chosen = random.choices(groups, weights if any(weights) else None)[0]
        target = self.server.targets.take(chosen["TargetGroupArn"])
        if target is None:
            self._skip_body()
            self._refuse(503)
            return
        try:
            self._pass_on(listener, target)
        finally:
            self.server.targets.release(target)

    def _pass_on(self, listener: FakeListener, target: Target) -> None:
        idle = float(self.server.balancer.attrs.get("idle_timeout.timeout_seconds", IDLE_SECONDS))
        connection = http.client.HTTPConnection(*target.address, timeout=idle)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self._headers_to_target(listener):
                connection.putheader(name, value)
            connection.endheaders(self._body(), encode_chunked=self._is_chunked)
            response = connection.getresponse()
        except TimeoutError:
            self._refuse(504)
        except (OSError, http.client.HTTPException):
            self._refuse(502)
        else:
            self._pass_back(response)
        finally:
            connection.close()

    def _headers_to_target(self, listener: FakeListener) -> Iterator[tuple[str, str]]:
        dropped = HOP_BY_HOP - ({"transfer-encoding"} if self._is_chunked else set())
        forwarded = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"}
        for name, value in self.headers.items():
            if name.lower() not in dropped | forwarded:
                yield name, value
        yield "X-Forwarded-For", ", ".join([*self.headers.get_all("X-Forwarded-For", []), self.client_address[0]])
        yield "X-Forwarded-Proto", listener.protocol.lower()
        yield "X-Forwarded-Port", str(listener.port)
        yield "X-Amzn-Trace-Id", self.headers.get("X-Amzn-Trace-Id") or f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"

    @property
    def _is_chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    def _body(self) -> Iterator[bytes] | None:
        """The request's body, as it comes in."""
        if self._is_chunked:
            return self._chunks()
        if length := int(self.headers.get("Content-Length") or 0):
            return self._blocks(length)
        return None

    def _skip_body(self) -> None:
        for _ in self._body() or ():
            pass  # nobody wants it, but the next request begins behind it

    def _blocks(self, left: int) -> Iterator[bytes]:
        while left and (block := self.rfile.read1(min(left, BLOCK))):  # type: ignore[attr-defined]
            left -= len(block)
            yield block

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers

    def _pass_back(self, response: http.client.HTTPResponse) -> None:
        """Hand the target's answer on, as it comes in."""
        has_body = self.command != "HEAD" and response.status not in (204, 304) and response.status >= 200
        chunked = has_body and response.length is None and self.request_version == "HTTP/1.1"
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif has_body and response.length is None:
            self.close_connection = True
        self.end_headers()
        if not has_body:
            return
        try:
            while block := response.read1(BLOCK):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # the answer is broken off, and the client shall see that
            return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        elif response.length:
            self.close_connection = True  # the target sent less than it had promised

    def _redirect(self, listener: FakeListener, config: dict[str, Any]) -> None:
        url = urlsplit(self.path)
        own = {
            "protocol": listener.protocol,
            "host": (self.headers.get("Host") or "").partition(":")[0],
            "port": str(listener.port),
            "path": url.path.removeprefix("/"),
            "query": url.query,
        }
        fields = {name: re.sub(r"#\{(\w+)\}", lambda match: own[match[1]], config.get(name, default)) for name, default in REDIRECT.items()}
        location = f"{fields['Protocol'].lower()}://{fields['Host']}:{fields['Port']}{fields['Path']}"
        location += f"?{fields['Query']}" if fields["Query"] else ""
        self._reply(int(config["StatusCode"].removeprefix("HTTP_")), "", {"Location": location})

    def _refuse(self, status: int) -> None:
        """Answer for the load balancer itself."""
        self.close_connection = True  # what is left of the request's body is not read
        title = f"{status} {http.client.responses[status]}"
        page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
        self._reply(status, page, {"Content-Type": "text/html"})

    def _reply(self, status: int, text: str, headers: dict[str, str]) -> None:
        body = text.encode()
        self.send_response_only(status)
        for name, value in {"Server": "awselb/2.0", **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


# Parts of a redirect's address, and what stands for them where the action does not say.
REDIRECT = {"Protocol": "#{protocol}", "Host": "#{host}", "Port": "#{port}", "Path": "/#{path}", "Query": "#{query}"}


def rules_of(listener: FakeListener) -> list[Any]:
    """Rules of a listener in the order in which they are tried, the default rule last."""
    return sorted(listener.rules.values(), key=lambda rule: (rule.is_default, 0 if rule.is_default else int(rule.priority)))


def values_of(condition: dict[str, Any], config: str) -> list[Any]:
    """Values of a condition, in either of the two forms of the API."""
    return list(condition.get(config, {}).get("Values") or condition.get("Values") or [])


def glob(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern of a condition: * for any characters, ? for one."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), flags)
