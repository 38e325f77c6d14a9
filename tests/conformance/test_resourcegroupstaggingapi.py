"""Resource Groups Tagging: resources by their tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

Aws = Callable[..., Any]


@conforms("https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html")
def test_tagged_resources_are_read_in_pages(aws: Aws) -> None:
    alarm = {
        "MetricName": "Load",
        "Namespace": "Test",
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    tags = [{"Key": key, "Value": "x"} for key in ("set", "b", "c")]
    for number in range(60):
        aws("cloudwatch").put_metric_alarm(AlarmName=f"tagged-{number:02}", Tags=tags, **alarm)
    tagging = aws("resourcegroupstaggingapi")
    asked = {"TagFilters": [{"Key": "set", "Values": ["x"]}], "ResourceTypeFilters": ["cloudwatch:alarm"]}

    def sizes(**page_size: int) -> list[int]:
        return [len(page["ResourceTagMappingList"]) for page in tagging.get_paginator("get_resources").paginate(**asked, **page_size)]

    assert sizes() == [50, 10]
    assert sizes(ResourcesPerPage=40) == [40, 20]
    assert sizes(TagsPerPage=100) == [33, 27], "a resource is not split"
    first = tagging.get_resources(**asked, ResourcesPerPage=40)
    aws("cloudwatch").delete_alarms(AlarmNames=["tagged-00"])
    second = tagging.get_resources(**asked, ResourcesPerPage=40, PaginationToken=first["PaginationToken"])
    names = [each["ResourceARN"].rpartition(":")[2] for page in (first, second) for each in page["ResourceTagMappingList"]]
    assert names == [f"tagged-{number:02}" for number in range(60)], "none is lost where another goes"
    assert second["PaginationToken"] == "", "there is no more"
    for wrong in (
        {"ResourcesPerPage": 101},
        {"TagsPerPage": 150},
        {"ResourcesPerPage": 10, "TagsPerPage": 100},
        {"PaginationToken": "mine"},
    ):
        refused("InvalidParameterException", tagging.get_resources, **wrong)
    cloudwatch, arn = aws("cloudwatch"), "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:tagged-"
    cloudwatch.put_composite_alarm(AlarmName="tagged-all", AlarmRule="TRUE", Tags=tags)
    cloudwatch.untag_resource(ResourceARN=f"{arn}01", TagKeys=["set"])
    last = tagging.get_resources(**asked, ResourcesPerPage=100)["ResourceTagMappingList"]
    assert [each["ResourceARN"] for each in last] == [*(f"{arn}{number:02}" for number in range(2, 60)), f"{arn}all"]
