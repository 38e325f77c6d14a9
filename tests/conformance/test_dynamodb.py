"""DynamoDB: what a table can be and become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

API = "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference"
Aws = Callable[..., Any]
UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}


def request(name: str, **options: Any) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    } | options


@conforms("https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html")
def test_table_name_invalid(aws: Aws) -> None:
    for name in ("ab", "a b c", "a" * 256):
        refused("ValidationException", aws("dynamodb").create_table, **request(name))
    aws("dynamodb").create_table(**request("a.b-c_d"))


@conforms(f"{API}/API_CreateTable.html")
def test_key_schema_invalid(aws: Aws) -> None:
    keys = [{"AttributeName": name, "KeyType": kind} for name, kind in (("id", "HASH"), ("at", "RANGE"))]
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "at")]
    for schema in (keys[::-1], [keys[0], keys[1] | {"KeyType": "HASH"}], [keys[0], keys[1] | {"AttributeName": "id"}]):
        refused("ValidationException", aws("dynamodb").create_table, **request("keys", KeySchema=schema, AttributeDefinitions=attributes))
    aws("dynamodb").create_table(**request("keys", KeySchema=keys, AttributeDefinitions=attributes))


@conforms(f"{API}/API_SSESpecification.html")
def test_table_key_not_usable(aws: Aws) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["KeyId"]
    encryption = {"Enabled": True, "SSEType": "KMS"}
    for wanted in (key[:-4] + "0000", "alias/none", "alias/aws/dynamodb"):
        specification = encryption | {"KMSMasterKeyId": wanted}
        refused("ValidationException", aws("dynamodb").create_table, **request("encrypted", SSESpecification=specification))
    aws("dynamodb").create_table(**request("encrypted", SSESpecification=encryption | {"KMSMasterKeyId": key}))


@conforms(f"{API}/API_UpdateTable.html")
def test_update_of_nothing(aws: Aws) -> None:
    update = aws("dynamodb").update_table
    aws("dynamodb").create_table(**request("updated", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS))
    refused("ValidationException", update, TableName="updated")
    assert "will not change" in refused("ValidationException", update, TableName="updated", ProvisionedThroughput=UNITS)
    update(TableName="updated", ProvisionedThroughput=UNITS | {"ReadCapacityUnits": 2})


@conforms(f"{API}/API_UpdateTable.html")
def test_throughput_and_billing_mode(aws: Aws) -> None:
    update = aws("dynamodb").update_table
    aws("dynamodb").create_table(**request("billed"))
    refused("ValidationException", update, TableName="billed", BillingMode="PROVISIONED")
    refused("ValidationException", update, TableName="billed", ProvisionedThroughput=UNITS)
    update(TableName="billed", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS)
    refused("ValidationException", update, TableName="billed", BillingMode="PAY_PER_REQUEST", ProvisionedThroughput=UNITS)
    update(TableName="billed", BillingMode="PAY_PER_REQUEST")


@conforms(f"{API}/API_UpdateTimeToLive.html")
def test_time_to_live_set_already(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    dynamodb.create_table(**request("expiring"))

    def change(attribute: str, enabled: bool, table: str = "expiring") -> None:
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute})

    refused("ResourceNotFoundException", change, attribute="at", enabled=True, table="none")
    assert refused("ValidationException", change, attribute="at", enabled=False) == "TimeToLive is already disabled"
    change("at", True)
    assert refused("ValidationException", change, attribute="at", enabled=True) == "TimeToLive is already enabled"
    assert "different AttributeName" in refused("ValidationException", change, attribute="other", enabled=True)
    change("at", False)


@conforms(f"{API}/API_TableDescription.html")
def test_table_id(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    first = dynamodb.create_table(**request("identified"))["TableDescription"]["TableId"]
    assert dynamodb.describe_table(TableName="identified")["Table"]["TableId"] == first
    dynamodb.delete_table(TableName="identified")
    assert dynamodb.create_table(**request("identified"))["TableDescription"]["TableId"] != first


@conforms(f"{API}/API_UpdateTable.html")
def test_encryption(aws: Aws) -> None:
    dynamodb, key = aws("dynamodb"), aws("kms").create_key()["KeyMetadata"]["Arn"]
    dynamodb.create_table(**request("rekeyed"))
    dynamodb.update_table(TableName="rekeyed", SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key})
    assert dynamodb.describe_table(TableName="rekeyed")["Table"]["SSEDescription"]["KMSMasterKeyArn"] == key
    dynamodb.update_table(TableName="rekeyed", SSESpecification={"Enabled": False})
    assert "SSEDescription" not in dynamodb.describe_table(TableName="rekeyed")["Table"]
