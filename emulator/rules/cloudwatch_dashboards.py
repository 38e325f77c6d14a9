"""CloudWatch dashboards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.cloudwatch.utils import make_arn_for_dashboard

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.cloudwatch import DASHBOARD_REGION, place_of, token_of, valid_params
from emulator.wire import ACCOUNT

WIDGET_TYPES = ("metric", "text", "log", "alarm", "explorer", "custom", "chart")
WIDGET_LIMITS = {"x": (0, 23), "y": (0, None), "width": (1, 24), "height": (1, 1000)}
MOST_WIDGETS, MOST_ALARMS = 500, 100


def problems_of(body: Any) -> Iterator[tuple[str, str]]:
    """What AWS finds wrong in a dashboard's body: where, and why.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    """
    if not isinstance(body, dict) or not isinstance(body.get("widgets"), list):
        yield "", "Should have required property 'widgets', an array"
        return
    if len(body["widgets"]) > MOST_WIDGETS:
        yield "/widgets", f"Should NOT have more than {MOST_WIDGETS} items"
    for number, widget in enumerate(body["widgets"]):
        path = f"/widgets/{number}"
        if not isinstance(widget, dict) or widget.get("type") not in WIDGET_TYPES or not isinstance(widget.get("properties"), dict):
            yield path, f"Should have a type, which is one of {', '.join(WIDGET_TYPES)}, and properties"
            continue
        for field, (least, most) in WIDGET_LIMITS.items():
            value = widget.get(field, least)
            if not isinstance(value, int) or value < least or (most is not None and value > most):
                yield f"{path}/{field}", f"Should be an integer >= {least}" + (f" and <= {most}" if most is not None else "")
        properties = widget["properties"]
        if widget["type"] == "text" and not isinstance(properties.get("markdown"), str):
            yield f"{path}/properties", "Should have required property 'markdown'"
        if widget["type"] == "alarm" and not 1 <= len(properties.get("alarms", [])) <= MOST_ALARMS:
            yield f"{path}/properties/alarms", f"Should have 1 to {MOST_ALARMS} items"
        if widget["type"] == "metric":
            yield from metric_problems(properties.get("metrics", []), f"{path}/properties/metrics")


def metric_problems(metrics: list[Any], path: str) -> Iterator[tuple[str, str]]:
    """What is wrong in the metrics of a widget: each is namespace, name, dimensions by name and value, and perhaps an object."""
    for number, metric in enumerate(metrics):
        words = metric[:-1] if isinstance(metric, list) and metric and isinstance(metric[-1], dict) else metric
        if not isinstance(metric, list):
            yield f"{path}/{number}", "Should be an array"
        elif wrong := [place for place, word in enumerate(words) if not isinstance(word, str)]:
            yield f"{path}/{number}/{wrong[0]}", 'Invalid metric field type, only "String" type is allowed'
        elif len(words) % 2 and "..." not in words:
            yield f"{path}/{number}", "Should have a namespace, a name, and a value for each dimension"


@rule("cloudwatch", "PutDashboard")
def a_dashboard_has_widgets(call: Call, _proceed: Proceed) -> Answer:
    """The body is JSON with a list of widgets that can be shown; tags are only taken for a new dashboard.

    Moto takes any JSON and forgets tags. Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
    """
    params = valid_params(call)
    name, backend = params["DashboardName"], cloudwatch_backends[ACCOUNT][DASHBOARD_REGION]
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name):
        raise AwsError("InvalidParameterValue", f"The value {name} for DashboardName is invalid: only A-Z, a-z, 0-9, - and _ are allowed")
    try:
        problems = list(problems_of(json.loads(params["DashboardBody"])))
    except ValueError:
        problems = [("", "Should be valid JSON")]
    if problems:
        told = json.dumps([{"dataPath": path, "message": words} for path, words in problems], indent=2)
        raise AwsError("InvalidParameterInput", f"The dashboard body is invalid, there are {len(problems)} validation errors:\n{told}")
    if name not in backend.dashboards and params.get("Tags"):
        backend.tagger.tag_resource(make_arn_for_dashboard(ACCOUNT, call.region, name), params["Tags"])
    backend.put_dashboard(name, params["DashboardBody"])
    backend.dashboards[name].last_modified = datetime.now(UTC)
    backend.dashboards[name].arn = make_arn_for_dashboard(ACCOUNT, call.region, name)
    return {"DashboardValidationMessages": []}


@rule("cloudwatch", "GetDashboard")
def a_dashboard_belongs_to_no_region(call: Call, _proceed: Proceed) -> Answer:
    """A dashboard is found from every region. In moto each region has its own.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetDashboard.html
    """
    name = valid_params(call)["DashboardName"]
    dashboard = cloudwatch_backends[ACCOUNT][DASHBOARD_REGION].dashboards.get(name)
    if dashboard is None:
        raise AwsError("ResourceNotFound", f"Dashboard {name} does not exist")
    return {"DashboardArn": dashboard.arn, "DashboardBody": dashboard.body, "DashboardName": name}


@rule("cloudwatch", "ListDashboards")
def dashboards_are_listed(call: Call, _proceed: Proceed) -> Answer:
    """The dashboards of the account, whose names begin with a prefix, in pages of 1,000. Moto has a single page.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListDashboards.html
    """
    params = valid_params(call)
    after = place_of(params["NextToken"])[0] if params.get("NextToken") else ""
    known = dict(cloudwatch_backends[ACCOUNT][DASHBOARD_REGION].dashboards)
    names = sorted(name for name in known if name.startswith(params.get("DashboardNamePrefix", "")) and name > after)
    entries = [
        {"DashboardName": name, "DashboardArn": known[name].arn, "LastModified": known[name].last_modified, "Size": known[name].size}
        for name in names[:1000]
    ]
    return {"DashboardEntries": entries, **({"NextToken": token_of(names[999])} if len(names) > 1000 else {})}


@rule("cloudwatch", "DeleteDashboards")
def dashboards_are_deleted_as_far_as_they_exist(call: Call, _proceed: Proceed) -> Answer:
    """Deletes the dashboards that exist, and is an error if one does not. Moto then deletes none, and keeps tags.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteDashboards.html
    """
    names, backend = valid_params(call)["DashboardNames"], cloudwatch_backends[ACCOUNT][DASHBOARD_REGION]
    gone = [(name, backend.dashboards.pop(name, None)) for name in names]
    for _name, dashboard in gone:
        if dashboard:
            backend.tagger.delete_all_tags_for_resource(dashboard.arn)
    if missing := [name for name, dashboard in gone if dashboard is None]:
        raise AwsError("ResourceNotFound", f"Dashboard {', '.join(missing)} does not exist")
    return {}
