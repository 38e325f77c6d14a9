"""Resource Groups Tagging."""

from __future__ import annotations

import base64
import binascii

from moto.resourcegroupstaggingapi.models import resourcegroupstaggingapi_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT


@rule("resourcegroupstaggingapi", "GetResources")
def tagged_resources_are_read_in_pages(call: Call, _proceed: Proceed) -> Answer:
    """A page has ResourcesPerPage resources, or TagsPerPage tags where only that is given. The token after the last page is empty.

    Moto ends every page at 100 tags, and fails where resources come or go between two pages. Moto could take it.
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    params = call.params
    most, most_tags = params.get("ResourcesPerPage"), params.get("TagsPerPage")
    if most is not None and not 1 <= most <= 100:
        raise AwsError("InvalidParameterException", "ResourcesPerPage must be between 1 and 100")
    if most_tags is not None and most_tags not in range(100, 501, 100):
        raise AwsError("InvalidParameterException", "TagsPerPage must be between 100 and 500, in steps of 100")
    if most is not None and most_tags is not None:
        raise AwsError("InvalidParameterException", "ResourcesPerPage and TagsPerPage cannot be given together")
    try:
        after = base64.urlsafe_b64decode(params.get("PaginationToken") or "").decode()
    except (binascii.Error, ValueError):
        raise AwsError("InvalidParameterException", "PaginationToken is invalid") from None
    filters = params.get("TagFilters"), params.get("ResourceTypeFilters"), params.get("ResourceARNList")
    found = list(resourcegroupstaggingapi_backends[ACCOUNT][call.region]._get_resources_generator(*filters))
    found = sorted((resource for resource in found if resource.arn > after), key=lambda resource: resource.arn)
    page, tags = [], 0
    for resource in found:
        tags += max(len(resource.tags), 1)
        if len(page) == (most or (len(found) if most_tags else 50)) or (most_tags and tags > most_tags):
            break
        page.append({"ResourceARN": resource.arn, "Tags": [{"Key": key, "Value": value} for key, value in resource.tags.items()]})
    token = base64.urlsafe_b64encode(str(page[-1]["ResourceARN"]).encode()).decode() if len(page) < len(found) else ""
    return {"ResourceTagMappingList": page, "PaginationToken": token}
