# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""What CloudWatch and the tagging API are asked about alarms."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict
from ansible_collections.threetier.aws.plugins.module_utils.alarm_set import OWNER_TAG, Alarm, alarm_name, described_alarm
from ansible_collections.threetier.aws.plugins.module_utils.state import client
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange

PAGE = 100  # the most that DescribeAlarms, DeleteAlarms and GetResources take
# AWS takes about three PutMetricAlarm a second; more calls at once would only be throttled.
WORKERS = 4


# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
PATIENT = {"mode": "standard", "max_attempts": 10}
# All threads together keep to the rate at which CloudWatch does not throttle, which leaves others in the account their share of the quota.
# Not for reading: one throttled call at the start makes the whole client slow, and of reads AWS takes more than we send.
ADAPTIVE = {"mode": "adaptive", "max_attempts": 10}


def reader(module: Any) -> Any:
    """A client that asks CloudWatch."""
    return client(module, "cloudwatch", retries=PATIENT, max_pool_connections=WORKERS)


def writer(module: Any) -> Any:
    """A client that writes alarms as fast as CloudWatch lets it."""
    return client(module, "cloudwatch", retries=ADAPTIVE, max_pool_connections=WORKERS)


def tagging_reader(module: Any) -> Any:
    """A client that asks the index of tags."""
    return client(module, "resourcegroupstaggingapi", retries=PATIENT)


def in_batches(names: Iterable[str]) -> list[list[str]]:
    ordered = sorted(names)
    return [ordered[start : start + PAGE] for start in range(0, len(ordered), PAGE)]


def indexed_tags(tagging: Any, set_name: str) -> dict[str, dict[str, str]]:
    """The tags of the set's alarms by name, as the tagging API's index has them: it lags some seconds behind the alarms."""
    pages = tagging.get_paginator("get_resources").paginate(
        TagFilters=[{"Key": OWNER_TAG, "Values": [set_name]}],
        ResourceTypeFilters=["cloudwatch:alarm"],
        PaginationConfig={"PageSize": PAGE},
    )
    resources = pages.build_full_result()["ResourceTagMappingList"]
    return {alarm_name(resource["ResourceARN"]): boto3_tag_list_to_ansible_dict(resource["Tags"]) for resource in resources}


def list_tags(cloudwatch: Any, arn: str) -> dict[str, str]:
    """The tags of one alarm or dashboard, as they are now."""
    return boto3_tag_list_to_ansible_dict(cloudwatch.list_tags_for_resource(ResourceARN=arn, aws_retry=True)["Tags"])


def set_tags(cloudwatch: Any, arn: str, tags: TagChange) -> None:
    """Change the tags of an alarm or a dashboard."""
    if tags.to_set:
        cloudwatch.tag_resource(ResourceARN=arn, Tags=ansible_dict_to_boto3_tag_list(tags.to_set), aws_retry=True)
    if tags.to_remove:
        cloudwatch.untag_resource(ResourceARN=arn, TagKeys=tags.to_remove, aws_retry=True)


def describe(cloudwatch: Any, **selection: Any) -> dict[str, Alarm]:
    """The alarms of a C(selection), in DescribeAlarms' words, by name."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmTypes=["MetricAlarm", "CompositeAlarm"], PaginationConfig={"PageSize": PAGE}, **selection
    )
    answer, model = pages.build_full_result(), cloudwatch.meta.service_model
    return {
        alarm["AlarmName"]: described_alarm(alarm, is_composite, model)
        for field, is_composite in (("MetricAlarms", False), ("CompositeAlarms", True))
        for alarm in answer.get(field, [])
    }


def describe_names(cloudwatch: Any, names: Iterable[str]) -> dict[str, Alarm]:
    """Those of the alarms that exist, by name."""
    with ThreadPoolExecutor(WORKERS) as pool:
        batches = pool.map(lambda batch: describe(cloudwatch, AlarmNames=batch), in_batches(names))
        return {name: alarm for batch in batches for name, alarm in batch.items()}
