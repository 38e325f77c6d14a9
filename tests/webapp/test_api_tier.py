"""The api tier against moto's DynamoDB."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any

import api
import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from moto import mock_aws

pytestmark = pytest.mark.filterwarnings("error")

TABLE = "demo-items"
REGION = "eu-central-1"


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """Moto, with one difference to DynamoDB taken away: a Query that meets its limit names a key to go on from, even at the very end."""
    real = botocore.client.BaseClient._make_api_call

    def call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        answer = real(self, operation, parameters)
        if operation == "Query" and len(answer["Items"]) == parameters["Limit"]:
            answer["LastEvaluatedKey"] = {name: answer["Items"][-1][name] for name in ("list", "id")}
        return answer

    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        yield boto3.resource("dynamodb", region_name=REGION)


@pytest.fixture(scope="module")
def app(dynamodb: Any) -> Flask:
    return api.create_app({"TABLE_NAME": TABLE, "AWS_REGION": REGION})


@pytest.fixture
def table(dynamodb: Any) -> Iterator[Any]:
    """The table as the database role makes it."""
    table = dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "list", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("list", "id")],
    )
    yield table
    table.delete()


@pytest.fixture
def client(app: Flask, table: Any) -> FlaskClient:
    return app.test_client()


def walk(client: FlaskClient, limit: int, direction: str, cursor: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the pages from the cursor on in one direction."""
    while True:
        page = client.get("/items", query_string={"limit": limit} | ({"cursor": cursor} if cursor else {})).json
        yield page
        cursor = page[direction]
        if cursor is None:
            return


def texts(page: dict[str, Any]) -> list[str]:
    return [item["text"] for item in page["items"]]


def test_an_added_item_is_the_first_of_the_list(client: FlaskClient) -> None:
    client.post("/items", json={"text": "older"})
    answer = client.post("/items", json={"text": "  newer \n"})
    assert answer.status_code == 201
    assert answer.json["text"] == "newer"
    assert client.get("/items").json["items"][0] == answer.json
    assert texts(client.get("/items").json) == ["newer", "older"]


def test_deleting_twice_is_no_error(client: FlaskClient) -> None:
    item = client.post("/items", json={"text": "one"}).json
    assert [client.delete(f"/items/{item['id']}").status_code for _ in range(2)] == [204, 204]
    assert client.get("/items").json["items"] == []
    assert client.delete(f"/items/{'x' * 1100}").status_code == 204


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(0, 12), limit=st.integers(1, 7))
def test_paging_shows_every_item_exactly_once_and_never_an_empty_page(client: FlaskClient, table: Any, size: int, limit: int) -> None:
    with table.batch_writer() as batch:
        for item in table.scan()["Items"]:
            batch.delete_item(Key={"list": "items", "id": item["id"]})
    with table.batch_writer() as batch:
        for number in range(size):
            batch.put_item(Item={"list": "items", "id": f"{number:04}", "text": str(number)})
    newest_first = [str(number) for number in reversed(range(size))]

    older = list(walk(client, limit, "next_cursor"))
    assert [text for page in older for text in texts(page)] == newest_first
    assert all(page["items"] for page in older[1:])

    if len(older) > 1:  # and back to a full first page
        newer = list(walk(client, limit, "previous_cursor", older[-1]["previous_cursor"]))
        assert texts(newer[-1]) == newest_first[:limit]
        for page in newer:
            place = newest_first.index(texts(page)[0])
            assert texts(page) == newest_first[place : place + limit]


def test_a_cursor_survives_the_deletion_of_its_item(client: FlaskClient) -> None:
    ids = [client.post("/items", json={"text": str(number)}).json["id"] for number in range(4)]
    cursor = client.get("/items?limit=2").json["next_cursor"]
    client.delete(f"/items/{ids[2]}")
    assert texts(client.get(f"/items?cursor={cursor}").json) == ["1", "0"]


def test_an_expired_item_is_not_shown(client: FlaskClient, table: Any) -> None:
    for name, epoch in {"past": 1, "future": 99_999_999_999}.items():
        table.put_item(Item={"list": "items", "id": name, "text": name, "expires_at": epoch})
    assert texts(client.get("/items").json) == ["future"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "ten", "", "٣", "9" * 5000])
def test_a_bad_limit_is_refused_with_the_limits(client: FlaskClient, limit: str) -> None:
    answer = client.get("/items", query_string={"limit": limit})
    assert (answer.status_code, answer.json) == (400, {"error": "limit must be a whole number from 1 to 100."})


def encoded(text: str | bytes) -> str:
    return base64.urlsafe_b64encode(text.encode() if isinstance(text, str) else text).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "äöü", *map(encoded, (b"older_than=\xff", "id", "limit=1", "older_than=", "older_than=" + "x" * 1025))],
)
def test_a_bad_cursor_is_refused_with_what_is_allowed(client: FlaskClient, cursor: str) -> None:
    answer = client.get("/items", query_string={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json["error"].startswith("cursor must be the next_cursor or previous_cursor of an earlier answer")


def test_a_cursor_that_was_tampered_with_is_refused(client: FlaskClient) -> None:
    for text in ("one", "two"):
        client.post("/items", json={"text": text})
    cursor = client.get("/items?limit=1").json["next_cursor"]
    for tampered in (cursor + "=", cursor + "!", cursor[1:], "A" + cursor[1:]):
        assert client.get("/items", query_string={"cursor": tampered}).status_code == 400, tampered


@pytest.mark.parametrize(
    ("status", "body", "content_type", "word"),
    [
        (400, {"text": " \t\n"}, "application/json", "1 to 500 characters"),
        (400, {"text": "x" * 501}, "application/json", "this one has 501"),
        (400, {"text": 1}, "application/json", 'a string "text"'),
        (400, ["text"], "application/json", 'a string "text"'),
        (400, {"text": "\ud800"}, "application/json", "valid Unicode"),
        (415, {"text": "x"}, "text/plain", "Content-Type: application/json"),
        (413, {"text": "x" * 20_000}, "application/json", "too large"),
    ],
)
def test_a_bad_item_is_refused_in_words(client: FlaskClient, status: int, body: Any, content_type: str, word: str) -> None:
    answer = client.post("/items", data=json.dumps(body), content_type=content_type)
    assert answer.status_code == status
    assert word in answer.json["error"]


def test_a_body_that_is_not_json_is_refused(client: FlaskClient) -> None:
    answer = client.post("/items", data="{", content_type="application/json")
    assert (answer.status_code, "JSON object" in answer.json["error"]) == (400, True)


def test_the_longest_text_is_taken_in_any_script(client: FlaskClient) -> None:
    assert client.post("/items", json={"text": "🙂" * 500}).status_code == 201


def test_errors_of_the_framework_are_json_too(client: FlaskClient) -> None:
    assert client.get("/nothing").json["error"]
    answer = client.put("/items")
    assert (answer.status_code, bool(answer.json["error"]), "POST" in answer.headers["Allow"]) == (405, True, True)


def test_a_throttled_table_is_503_and_the_reason_is_logged(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def throttle(self: Any, operation: str, parameters: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, operation)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", throttle)
    answer = client.post("/items", json={"text": "one"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "ThrottlingException" in answer.json["error"]
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.fields == {"error_code": "ThrottlingException"}


def test_a_tier_with_its_table_is_ready(client: FlaskClient) -> None:
    assert client.get("/readyz").status_code == 200


def test_without_a_table_the_tier_is_healthy_and_not_ready(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, "ResourceNotFoundException" in answer.json["error"]) == (503, True)


def test_only_the_four_calls_of_the_task_role_are_made(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: set[str] = set()
    real = botocore.client.BaseClient._make_api_call

    def record(self: Any, operation: str, parameters: Any) -> Any:
        calls.add(operation)
        return real(self, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", record)
    item = client.post("/items", json={"text": "one"}).json
    client.get("/items")
    client.delete(f"/items/{item['id']}")
    client.get("/readyz")
    assert calls == {"PutItem", "Query", "DeleteItem", "GetItem"}


@pytest.mark.parametrize("name", ["TABLE_NAME", "AWS_REGION"])
def test_a_missing_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in {"TABLE_NAME", "AWS_REGION"} - {name}:
        monkeypatch.setenv(other, "some-value")
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match=f"{name} is not set"):
        api.create_app()
