"""The table of items. Only this module speaks to DynamoDB."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError
from flask import Flask
from flask import current_app

# All items share one hash key, so that one Query returns them in the order of the range key.
_LIST = {"S": "items"}
MAX_ID_BYTES = 1024  # DynamoDB's limit for a range key

# DynamoDB answers within milliseconds. Three attempts and the pauses between them stay below the web tier's patience of 10 s.
_CONFIG = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 3})


class TableUnavailable(Exception):
    """DynamoDB does not do what it is asked for; C(code) is its own word for the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Page:
    """Some items, newest first, and the ids between which they lie: None where the list ends."""

    items: list[dict[str, Any]]
    newer_than: str | None
    older_than: str | None


class Store:
    """The items of one table."""

    def __init__(self, table: str, region: str) -> None:
        self._table = table
        self._client = botocore.session.get_session().create_client("dynamodb", region_name=region, config=_CONFIG)

    def page(self, limit: int, *, older_than: str | None = None, newer_than: str | None = None) -> Page:
        """Return the newest items, or those next to the item with the given id, which itself need not exist any more."""
        start = older_than or newer_than
        found, more = self._query(limit, start, forward=newer_than is not None)
        if newer_than:
            if not more:
                return self.page(limit)  # the top is reached: a full page from there, not the few that are newer
            found.reverse()
        now = time.time()
        return Page(
            # DynamoDB deletes an expired item up to days later.
            items=[_item(record) for record in found if float(record.get("expires_at", {}).get("N", "inf")) > now],
            newer_than=found[0]["id"]["S"] if found and start else None,
            older_than=found[-1]["id"]["S"] if found and (more or newer_than) else None,
        )

    def add(self, text: str) -> dict[str, Any]:
        """Put an item at the top of the list and return it."""
        # Time first, in fixed width, so that ids sort by age; then chance, so that two tasks never choose the same one.
        record = {
            "id": {"S": f"{time.time_ns():016x}-{secrets.token_hex(4)}"},
            "text": {"S": text},
            "created_at": {"S": datetime.now(UTC).isoformat(timespec="milliseconds")},
        }
        self._call("put_item", Item={"list": _LIST, **record})
        return _item(record)

    def delete(self, item_id: str) -> None:
        """Delete an item; it is no error if there is none."""
        self._call("delete_item", Key={"list": _LIST, "id": {"S": item_id}})

    def probe(self) -> None:
        """Read one key that does not exist: the cheapest call that the task's role may make."""
        self._call("get_item", Key={"list": _LIST, "id": {"S": "readyz"}})

    def _query(self, limit: int, start: str | None, *, forward: bool) -> tuple[list[dict[str, Any]], bool]:
        """Return up to C(limit) records after the start, and whether there are more."""
        answer = self._call(
            "query",
            KeyConditionExpression="#list = :list",
            ExpressionAttributeNames={"#list": "list"},
            ExpressionAttributeValues={":list": _LIST},
            ScanIndexForward=forward,
            ConsistentRead=True,  # who adds an item is sent to the list at once, and must find it there
            Limit=limit + 1,  # LastEvaluatedKey alone may promise a page that turns out empty
            **({"ExclusiveStartKey": {"list": _LIST, "id": {"S": start}}} if start else {}),
        )
        records = answer["Items"]
        # With records near DynamoDB's size limit an answer ends at 1 MB, before the limit.
        return records[:limit], len(records) > limit or "LastEvaluatedKey" in answer

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            return getattr(self._client, operation)(TableName=self._table, **parameters)
        except ClientError as error:
            raise TableUnavailable(error.response["Error"]["Code"]) from error
        except BotoCoreError as error:  # no answer, no credentials, ...
            raise TableUnavailable(type(error).__name__) from error


def _item(record: dict[str, Any]) -> dict[str, Any]:
    """Make an API item of a DynamoDB record. An item that the api did not write itself may lack what is not its key."""
    return {
        "id": record["id"]["S"],
        "text": record.get("text", {}).get("S", ""),
        "created_at": record.get("created_at", {}).get("S"),
    }


def init_app(app: Flask) -> None:
    """Give the application its store. The client is thread-safe, and its connections are shared by all requests."""
    app.extensions["store"] = Store(app.config["TABLE_NAME"], app.config["AWS_REGION"])


def get_store() -> Store:
    """Return the store of the current application."""
    return current_app.extensions["store"]
