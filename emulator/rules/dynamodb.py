"""DynamoDB."""

from __future__ import annotations

import uuid

from moto.dynamodb.models import dynamodb_backends

from emulator.rules import Answer, Call, Proceed, rule
from emulator.wire import ACCOUNT


@rule("dynamodb", "CreateTable", "DescribeTable", "UpdateTable", "DeleteTable")
def table_id(call: Call, proceed: Proceed) -> Answer:
    """A table has a TableId, another one each time it is made anew. Moto leaves it out.

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

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
    """
    table = dynamodb_backends[ACCOUNT][call.region].tables.get(call.params["TableName"].rpartition("/")[2])
    if table and "SSESpecification" in call.params:
        specification = dict(call.params["SSESpecification"])
        specification.setdefault("KMSMasterKeyId", table._get_default_encryption_key(ACCOUNT, call.region))
        table.sse_specification = specification
    return proceed()
