"""What a request on the wire means, and how an answer is written on it, in every protocol AWS speaks.

Rules work on plain dictionaries in the names of the API; moto's parsers and serializers turn them into JSON or XML.
"""

from __future__ import annotations

import gzip
import io
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import botocore.parsers
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from botocore.utils import parse_timestamp
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

if TYPE_CHECKING:
    from emulator.state import State

__all__ = ["ACCOUNT", "AwsError", "Call", "Wire"]

Wire = tuple[int, list[tuple[str, str]], bytes]  # an answer: status, headers, body

CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
SMITHY_PATH = re.compile(r"/service/[^/]+/operation/(?P<operation>\w+)$")
# Where botocore's name of a service is not the one that its requests are signed with.
BOTOCORE_NAMES = {
    "email": "sesv2",
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "s3express": "s3",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
CLASSIC_LOAD_BALANCING = "2012-06-01"  # signed like elbv2; only the version of the API differs


class AwsError(ServiceException):
    """An error as AWS gives it: C(AwsError(code, message)), with the HTTP status of the model or 400, if not said otherwise."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(code, message)
        self.status = status


@dataclass
class Call:
    """One request: C(signing_name) as in the signature, C(service) as botocore names it, C(-) where there is none."""

    environ: dict[str, Any]
    state: State
    body: bytes = field(init=False, default=b"")
    signing_name: str = field(init=False, default="-")
    region: str = field(init=False, default="-")

    def __post_init__(self) -> None:
        if length := int(self.environ.get("CONTENT_LENGTH") or 0):
            self.body = self.environ["wsgi.input"].read(length)
        presigned = "Credential=" + self.query.get("X-Amz-Credential", [""])[0]
        if match := CREDENTIAL.search(self.environ.get("HTTP_AUTHORIZATION", "")) or CREDENTIAL.search(presigned):
            self.signing_name, self.region = match["service"], match["region"]
        # Botocore packs what is long. In S3 it is the object that is packed, and stays so.
        if self.signing_name != "s3" and self.environ.get("HTTP_CONTENT_ENCODING") == "gzip":
            self.body = gzip.decompress(self.body)
            del self.environ["HTTP_CONTENT_ENCODING"]

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """Parameters of the URL."""
        return parse_qs(self.environ.get("QUERY_STRING", ""), keep_blank_values=True)

    @cached_property
    def form(self) -> dict[str, list[str]]:
        """Parameters of the query protocols, in the body or in the URL."""
        is_form = self.environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
        return self.query | (parse_qs(self.body.decode(), keep_blank_values=True) if is_form else {})

    @cached_property
    def service(self) -> str:
        """Botocore's name of the service."""
        if self.signing_name == "elasticloadbalancing" and self.form.get("Version") == [CLASSIC_LOAD_BALANCING]:
            return "elb"
        return BOTOCORE_NAMES.get(self.signing_name, self.signing_name)

    @cached_property
    def model(self) -> ServiceModel | None:
        """Botocore's description of the service."""
        return service_model(self.service)

    @cached_property
    def operation(self) -> str:
        """Name of the operation."""
        if target := self.environ.get("HTTP_X_AMZ_TARGET"):
            return target.rpartition(".")[2]
        if match := SMITHY_PATH.match(self.environ["PATH_INFO"]):
            return match["operation"]
        if "Action" in self.form:
            return self.form["Action"][0]
        return rest_operation(self.model, self) if self.model else "-"

    @cached_property
    def operation_model(self) -> OperationModel:
        """Botocore's description of the operation; an empty one where it is unknown."""
        assert self.model
        try:
            return self.model.operation_model(self.operation)
        except OperationNotFoundError:
            return OperationModel({}, self.model)

    @cached_property
    def protocol(self) -> str:
        """Protocol of this request; a service may speak several."""
        assert self.model
        if self.environ.get("HTTP_X_AMZ_TARGET"):
            return "json"
        if "Action" in self.form:
            return "ec2" if self.model.protocol == "ec2" else "query"
        return str(self.model.protocol)

    @cached_property
    def params(self) -> dict[str, Any]:
        """Parameters of the request, in the names of the API."""
        request = Request(self.environ | {"wsgi.input": io.BytesIO(self.body)})
        return PROTOCOL_PARSERS[self.protocol](self.operation_model).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": self.body,
                "url_path": request.path,
                "url_params": {},
            }
        )

    def write(self, result: dict[str, Any] | Exception) -> Wire:
        """Put a result, or an error, into the protocol of the request."""
        assert self.model
        if self.protocol not in PROTOCOL_PARSERS:
            return 501, [("Content-Type", "text/plain")], f"the emulator does not speak {self.protocol}".encode()
        response = get_serializer_class(self.service, self.protocol)(self.operation_model).serialize(result)
        body = response["body"]
        headers = [*response["headers"].items(), ("x-amzn-RequestId", str(uuid.uuid4()))]
        status = getattr(result, "status", None) or response["status_code"]
        return status, headers, body if isinstance(body, bytes) else body.encode()

    def read(self, answer: Wire) -> dict[str, Any]:
        """Take the result out of an answer, or raise the error that it is."""
        status, headers, body = answer
        factory = botocore.parsers.ResponseParserFactory()
        factory.set_parser_defaults(timestamp_parser=lambda value: parse_timestamp(value).astimezone())
        parser = factory.create_parser(self.protocol)
        result = parser.parse({"status_code": status, "headers": Headers(headers), "body": body}, self.operation_model.output_shape)
        result.pop("ResponseMetadata", None)
        if status >= 300:
            raise AwsError(result["Error"]["Code"], result["Error"]["Message"])
        return result


class Headers(dict[str, str]):
    """Headers by name in lower case, as botocore's parsers look them up."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__((name.lower(), value) for name, value in headers)

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


@cache
def service_model(service: str) -> ServiceModel | None:
    """Botocore's description of a service."""
    try:
        return get_service_model(service)
    except UnknownServiceError:
        return None


@cache
def routes(model: ServiceModel) -> list[tuple[str, re.Pattern[str], dict[str, list[str]], set[str], str]]:
    """Method, path, fixed query, required query and header names, and name of each operation, the most particular first."""
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.deprecated:  # it has a successor at the same address
            continue
        path, _, query = operation.http["requestUri"].partition("?")
        pattern = re.sub(r"\\\{\w+\\\+\\\}", ".+", re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path.rstrip("/"))))
        required = {*operation.input_shape.required_query_args, *operation.input_shape.required_headers} if operation.input_shape else set()
        found.append((operation.http["method"], re.compile(pattern + "/?$"), parse_qs(query, keep_blank_values=True), required, name))
    return sorted(found, key=lambda route: -len(route[2]) - len(route[3]))


def rest_operation(model: ServiceModel, call: Call) -> str:
    """Operation of a REST service, told from method, path, query and required headers."""
    headers = {name.removeprefix("HTTP_").replace("_", "-").lower() for name in call.environ if name.startswith("HTTP_")}
    for method, path, fixed, required, name in routes(model):
        if (
            method == call.environ["REQUEST_METHOD"]
            and path.match(call.environ["PATH_INFO"])
            and all(call.query.get(key) == value for key, value in fixed.items())
            and all(key in call.query or key.lower() in headers for key in required)
        ):
            return name
    return "-"
