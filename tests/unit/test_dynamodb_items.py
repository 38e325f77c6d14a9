"""The module dynamodb_items."""

from __future__ import annotations

import pytest

from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.threetier.aws.plugins.modules import dynamodb_items
from support import ModuleFailed

ITEMS = [{"id": str(number), "price": number + 0.5, "tags": ["a", {"b": None}], "on": True} for number in range(120)]


@pytest.fixture
def table(aws, request):
    """A table of the test's own, with a string for its key."""
    name = request.node.name
    aws("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def test_writes_and_deletes_more_items_than_one_read_takes(aws, table, check_run_check_run):
    done = check_run_check_run("dynamodb_items", table=table, items=ITEMS)
    assert done["missing"] == [{"id": item["id"]} for item in ITEMS]
    assert aws("dynamodb").get_item(TableName=table, Key={"id": {"S": "7"}})["Item"] == {
        "id": {"S": "7"},
        "price": {"N": "7.5"},
        "tags": {"L": [{"S": "a"}, {"M": {"b": {"NULL": True}}}]},
        "on": {"BOOL": True},
    }
    check_run_check_run("dynamodb_items", table=table, items=[{"id": item["id"]} for item in ITEMS], state="absent")
    assert aws("dynamodb").scan(TableName=table)["Count"] == 0


def test_writes_only_what_is_missing(aws, table, run_module, check_run_check_run):
    run_module("dynamodb_items", table=table, items=[{"id": "1", "text": "first"}])
    wanted = [{"id": "1", "text": "other"}, {"id": "2", "price": 100.0}]
    done = check_run_check_run("dynamodb_items", table=table, items=wanted)
    assert done["diff"] == {"before": {}, "after": {"id=2": {"id": "2", "price": 100}}}
    assert aws("dynamodb").get_item(TableName=table, Key={"id": {"S": "1"}})["Item"]["text"] == {"S": "first"}


def test_overwrites_what_differs_when_told_so(table, run_module, check_run_check_run):
    run_module("dynamodb_items", table=table, items=[{"id": "1", "on": 1}, {"id": "2", "price": 100}])
    done = check_run_check_run("dynamodb_items", table=table, items=[{"id": "1", "on": True}, {"id": "2", "price": 100.0}], overwrite=True)
    assert done["diff"] == {"before": {"id=1": {"on": 1}}, "after": {"id=1": {"on": True}}}
    assert done["changes"]["unchanged"] == ["id=2"]


def test_says_all_that_is_wrong_with_the_items(table, run_module):
    items = [{"id": 1}, {"text": "no key"}, {"id": "1"}, {"id": "1"}, {"id": "2", "n": 10**40 + 1}]
    with pytest.raises(ModuleFailed) as failed:
        run_module("dynamodb_items", check=True, table=table, items=items)
    for words in ("items[0]: the key attribute id must be a string", "items[1]: the key attribute id must be a string, and is missing"):
        assert words in str(failed.value)
    assert "items[3]: another item has the same key, id=1" in str(failed.value)
    assert "items[4]: DynamoDB cannot hold" in str(failed.value)


def test_previews_items_of_a_table_that_is_still_to_be_created(run_module):
    predicted = run_module("dynamodb_items", check=True, table="none-yet", items=[{"id": "1"}])
    assert predicted["changes"]["created"] == ["items[0]"] and predicted["missing"] == [{"id": "1"}]
    item, keys = {"text": "first", "id": 1.0, "list": "x"}, {"list": "STRING", "id": "NUMBER"}
    predicted = run_module("dynamodb_items", check=True, table="none-yet", items=[item], keys=keys)
    assert predicted["diff"] == {"before": {}, "after": {"list=x, id=1": {"text": "first", "id": 1, "list": "x"}}}
    assert predicted["missing"] == [{"list": "x", "id": 1}]
    assert not run_module("dynamodb_items", check=True, table="none-yet", items=[item], state="absent")["changed"]
    with pytest.raises(ModuleFailed, match=r"items\[0\]: the key attribute id must be a number, and is missing"):
        run_module("dynamodb_items", check=True, table="none-yet", items=[{"list": "x"}], keys=keys)
    for options in ({}, {"keys": keys}):
        with pytest.raises(ModuleFailed, match="there is no table none-yet"):
            run_module("dynamodb_items", table="none-yet", items=[item], **options)


def test_asks_a_table_whose_keys_are_given_for_nothing_but_the_items(table, requests, check_run_check_run, run_module):
    check_run_check_run("dynamodb_items", table=table, items=[{"id": "1"}], keys={"id": "STRING"})
    assert "DescribeTable" not in requests
    with pytest.raises(ModuleFailed, match="keys: id must be one of STRING, NUMBER, BINARY, not 'S'"):
        run_module("dynamodb_items", table=table, items=[{"id": "1"}], keys={"id": "S"})


def test_an_item_that_somebody_else_wrote_meanwhile_stays_theirs(aws, table):
    dynamodb = with_retry_option(aws("dynamodb"))
    for text in ("theirs", "ours"):
        dynamodb_items.put(dynamodb, table, {"id": {"S": "1"}, "text": {"S": text}}, "id", replace=False)
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "1"}})["Item"]["text"] == {"S": "theirs"}


def test_asks_again_for_keys_that_aws_hands_back(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    answers = [
        {"Responses": {"t": [{"id": {"S": "1"}}]}, "UnprocessedKeys": {"t": {"Keys": [{"id": {"S": "2"}}], "ConsistentRead": True}}},
        {"Responses": {"t": [{"id": {"S": "2"}}]}, "UnprocessedKeys": {}},
    ]

    class Throttled:
        def batch_get_item(self, **request):
            return answers.pop(0)

    assert dynamodb_items.read(Throttled(), "t", {"id": "S"}, [{"id": {"S": "1"}}, {"id": {"S": "2"}}]).keys() == {"id=1", "id=2"}


def with_retry_option(boto_client):
    """The client with the wrapper that the module's own has, for C(aws_retry=True)."""
    return RetryingBotoClientWrapper(boto_client, AWSRetry.jittered_backoff())
