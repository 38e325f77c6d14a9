"""DynamoDB: the states of a table, and what it can be and become."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table

from emulator.authorization import find_key
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT

TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
SWITCHES_TO_ON_DEMAND = 4
UPDATES = (
    "AttributeDefinitions", "BillingMode", "DeletionProtectionEnabled", "GlobalSecondaryIndexUpdates", "GlobalTableWitnessUpdates",
    "MultiRegionConsistency", "OnDemandThroughput", "ProvisionedThroughput", "ReplicaUpdates", "SSESpecification", "StreamSpecification",
    "TableClass", "WarmThroughput",
)  # fmt: skip
STATES = {"CREATING": "created", "UPDATING": "updated", "DELETING": "deleted"}


def table_of(call: Call) -> Table | None:
    """The table that a call names by its name or ARN, None where there is none."""
    return dynamodb_backends[ACCOUNT][call.region].tables.get(call.params["TableName"].rpartition("/")[2])


def status_of(table: Table | None) -> str:
    """Status of a table, which moto does not have."""
    return str(getattr(table, "table_status", "ACTIVE"))


def pass_through(call: Call, table: Table, status: str, step: str) -> None:
    """Give a table a status until a step is over."""

    def end() -> None:
        if status_of(table) == status:
            table.table_status = "ACTIVE"  # type: ignore[attr-defined]

    table.table_status = status  # type: ignore[attr-defined]
    call.state.clock.after(step, table.name, end)


@rule("dynamodb", "CreateTable", "DescribeTable", "UpdateTable", "DeleteTable")
def table_id(call: Call, proceed: Proceed) -> Answer:
    """A table has a TableId, another one each time it is made anew. Moto leaves it out.

    Moto could take it.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
    """
    answer = proceed()
    for table in answer.values():
        if isinstance(table, dict):
            table["TableId"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{table['TableArn']} {table['CreationDateTime'].timestamp()}"))
    return answer


@rule("dynamodb", "UpdateTable")
def encryption(call: Call, proceed: Proceed) -> Answer:
    """SSESpecification changes the key of a table, or gives it back to DynamoDB's own key. Moto ignores it here.

    Moto could take it.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
    """
    table = table_of(call)
    if table and "SSESpecification" in call.params:
        specification = dict(call.params["SSESpecification"])
        specification.setdefault("KMSMasterKeyId", table._get_default_encryption_key(ACCOUNT, call.region))
        table.sse_specification = specification
    return proceed()


# The states of a table


@rule("dynamodb", "CreateTable", "DescribeTable", "UpdateTable")
def table_status(call: Call, proceed: Proceed) -> Answer:
    """A table is CREATING, then ACTIVE; a change makes it UPDATING. CreateTable and UpdateTable answer so. Moto's is always ACTIVE.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
    """
    answer = proceed()
    table = table_of(call)
    described = answer.get("Table") or answer.get("TableDescription") or {}
    if table and call.operation == "CreateTable":
        pass_through(call, table, "CREATING", "table_active")
        table.backups_pending = 1  # type: ignore[attr-defined]
        call.state.clock.after(
            "continuous_backups_available",
            table.name,
            lambda: setattr(table, "backups_pending", 0),
        )
        described["TableStatus"] = "CREATING"
    elif table and call.operation == "UpdateTable":
        pass_through(call, table, "UPDATING", "table_updated")
        described["TableStatus"] = "UPDATING"
    else:
        described["TableStatus"] = status_of(table)
    return answer


@rule("dynamodb", "DeleteTable")
def table_is_deleted_in_time(call: Call, proceed: Proceed) -> Answer:
    """A table is DELETING for some seconds, and its name is taken meanwhile. Moto's is gone at once.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteTable.html
    """
    table = table_of(call)
    if table is None or table.deletion_protection_enabled or not call.state.clock.scale:
        return proceed()
    tables = dynamodb_backends[ACCOUNT][call.region].tables
    table.table_status = "DELETING"  # type: ignore[attr-defined]
    call.state.clock.after("table_deleted", table.name, lambda: tables.pop(table.name, None))
    return {"TableDescription": {"TableName": table.name, "TableArn": table.table_arn, "TableStatus": "DELETING"}}


@rule("dynamodb", "UpdateTable", "DeleteTable", "UpdateTimeToLive")
def table_in_use(call: Call, proceed: Proceed) -> Answer:
    """Only an ACTIVE table takes a change: ResourceInUseException. Moto's always does.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
    """
    table = table_of(call)
    status = status_of(table)
    if table and status != "ACTIVE":
        message = f"Attempt to change a resource which is still in use: Table is being {STATES[status]}: {table.name}"
        raise AwsError("ResourceInUseException", message)
    return proceed()


@rule("dynamodb", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
def table_not_ready(call: Call, proceed: Proceed) -> Answer:
    """A table that is being created or deleted takes no items: ResourceNotFoundException. Moto's does.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
    """
    tables = dynamodb_backends[ACCOUNT][call.region].tables
    for name in call.params.get("RequestItems") or [call.params.get("TableName", "")]:
        if status_of(tables.get(name.rpartition("/")[2])) in ("CREATING", "DELETING"):
            raise AwsError("ResourceNotFoundException", "Requested resource not found")
    return proceed()


@rule("dynamodb", "UpdateContinuousBackups")
def backups_not_available(call: Call, proceed: Proceed) -> Answer:
    """Recovery cannot be switched on in the first seconds of a table: ContinuousBackupsUnavailableException. In moto it can.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateContinuousBackups.html
    """
    table = table_of(call)
    if getattr(table, "backups_pending", 0) or status_of(table) != "ACTIVE":
        name = call.params["TableName"]
        message = f"Backups are being enabled for the table: {name}. Please retry later"
        raise AwsError("ContinuousBackupsUnavailableException", message)
    return proceed()


# What a table can be and become


@rule("dynamodb", "CreateTable")
def table_name_invalid(call: Call, proceed: Proceed) -> Answer:
    """A table's name has 3 to 255 letters, digits, underscores, hyphens and points: ValidationException. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
    """
    name = call.params["TableName"]
    if not TABLE_NAME.fullmatch(name):
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: Member must satisfy regular "
            f"expression pattern: {TABLE_NAME.pattern}",
        )
    return proceed()


@rule("dynamodb", "CreateTable")
def key_schema_invalid(call: Call, proceed: Proceed) -> Answer:
    """A table's key is one hash key, then at most one range key: ValidationException. Moto takes any order and number.

    Moto could take it.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
    """
    schema = call.params.get("KeySchema", [])
    kinds = [key.get("KeyType") for key in schema]
    problem = None
    if kinds[:1] != ["HASH"]:
        problem = "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"
    elif kinds[1:] not in ([], ["RANGE"]):
        problem = "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"
    elif len({key["AttributeName"] for key in schema}) < len(schema):
        problem = "Both the Hash Key and the Range Key element in the KeySchema have the same name"
    if problem:
        raise AwsError("ValidationException", f"One or more parameter values were invalid: {problem}")
    return proceed()


@rule("dynamodb", "CreateTable", "UpdateTable")
def table_key_not_usable(call: Call, proceed: Proceed) -> Answer:
    """The key of a table is a key of the customer that is there and enabled: ValidationException. Moto takes any.

    DynamoDB's own key, C(alias/aws/dynamodb), cannot be named.
    Moto could take it.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_SSESpecification.html
    """
    wanted = call.params.get("SSESpecification", {}).get("KMSMasterKeyId")
    key = find_key(call.region, wanted) if wanted else None
    if wanted and (key is None or not key.enabled or wanted.endswith("alias/aws/dynamodb")):
        raise AwsError(
            "ValidationException", f"One or more parameter values were invalid: KMS key {wanted} does not exist or cannot be used"
        )
    return proceed()


@rule("dynamodb", "UpdateTable")
def update_of_nothing(call: Call, proceed: Proceed) -> Answer:
    """An update changes something: ValidationException. Moto takes one that is empty, or that sets the throughput there is.

    Moto could take it.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
    """
    if not any(call.params.get(name) is not None for name in UPDATES):
        raise AwsError(
            "ValidationException",
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or "
            "ReplicaUpdates is required",
        )
    table, wanted = table_of(call), call.params.get("ProvisionedThroughput")
    units = ("ReadCapacityUnits", "WriteCapacityUnits")
    if (
        table
        and wanted
        and table.billing_mode != "PAY_PER_REQUEST"
        and all((table.throughput or {}).get(unit) == wanted.get(unit) for unit in units)
    ):
        raise AwsError(
            "ValidationException",
            "The provisioned throughput for the table will not change. The requested value equals the current value. "
            + " ".join(f"Current {unit} provisioned for the table: {wanted[unit]}. Requested {unit}: {wanted[unit]}." for unit in units)
            + " Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
        )
    return proceed()


@rule("dynamodb", "UpdateTable")
def throughput_and_billing_mode(call: Call, proceed: Proceed) -> Answer:
    """Provisioned capacity needs its throughput, and on-demand has none: ValidationException. Moto checks this for new tables only.

    Moto could take it.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
    """
    table, throughput = table_of(call), call.params.get("ProvisionedThroughput")
    mode = call.params.get("BillingMode") or (table.billing_mode if table else None) or "PROVISIONED"
    if mode == "PAY_PER_REQUEST" and throughput:
        raise AwsError(
            "ValidationException",
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode "
            "is PAY_PER_REQUEST",
        )
    if table and mode == "PROVISIONED" and (table.billing_mode or "PROVISIONED") != "PROVISIONED" and not throughput:
        raise AwsError(
            "ValidationException",
            "One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
        )
    return proceed()


@rule("dynamodb", "UpdateTable")
def billing_mode_too_often(call: Call, proceed: Proceed) -> Answer:
    """A table becomes on-demand four times in 24 hours (times the time scale): LimitExceededException. In moto it does any time.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-switching-capacity-modes.html
    """
    table = table_of(call)
    if not (table and call.params.get("BillingMode") == "PAY_PER_REQUEST" and table.billing_mode != "PAY_PER_REQUEST"):
        return proceed()
    begin = time.monotonic() - call.state.clock.seconds("capacity_mode_window")
    switches = [at for at in getattr(table, "switches", []) if at > begin]
    if len(switches) >= SWITCHES_TO_ON_DEMAND:
        message = f"Subscriber limit exceeded: Update to PayPerRequest mode are limited to {SWITCHES_TO_ON_DEMAND} times in 1 day(s)."
        raise AwsError("LimitExceededException", message)
    answer = proceed()
    table.switches = [*switches, time.monotonic()]  # type: ignore[attr-defined]
    return answer


# Expiry


@rule("dynamodb", "UpdateTimeToLive", "DescribeTimeToLive")
def time_to_live_in_time(call: Call, proceed: Proceed) -> Answer:
    """A change of expiry takes up to an hour, and bars another one: ENABLING, DISABLING, ValidationException. Moto's takes no time.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
    """
    table = table_of(call)
    if table is None:
        raise AwsError("ResourceNotFoundException", f"Requested resource not found: Table: {call.params['TableName']} not found")
    changing = getattr(table, "time_to_live_changing", False)
    if call.operation == "DescribeTimeToLive":
        answer: dict[str, Any] = proceed()
        description = answer["TimeToLiveDescription"]
        if changing:
            description["TimeToLiveStatus"] = description["TimeToLiveStatus"].replace("ED", "ING")
        return answer
    if changing:
        raise AwsError("ValidationException", "Time to live has been modified multiple times within a fixed interval")
    answer = proceed()
    table.time_to_live_changing = True  # type: ignore[attr-defined]
    call.state.clock.after("time_to_live_changed", table.name, lambda: setattr(table, "time_to_live_changing", False))
    return answer


@rule("dynamodb", "UpdateTimeToLive")
def time_to_live_set_already(call: Call, proceed: Proceed) -> Answer:
    """Expiry that is on cannot be switched on, nor moved to another attribute, nor off twice: ValidationException. Moto takes all.

    Moto could take it.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
    """
    table = table_of(call)
    wanted = call.params["TimeToLiveSpecification"]
    if table:
        attribute = table.ttl.get("AttributeName") if table.ttl["TimeToLiveStatus"] == "ENABLED" else None
        if wanted.get("Enabled") and attribute and attribute != wanted.get("AttributeName"):
            message = f"TimeToLive is active on a different AttributeName: current AttributeName is {attribute}"
            raise AwsError("ValidationException", message)
        if bool(wanted.get("Enabled")) == bool(attribute):
            raise AwsError("ValidationException", f"TimeToLive is already {'enabled' if attribute else 'disabled'}")
    return proceed()
