"""Elastic Load Balancing: target groups and the health of their targets."""

from __future__ import annotations

import re

from emulator.rules import Answer, Call, Proceed, rule
from emulator.rules.elbv2 import Legal, check, elb_of, invalid, misconfigured, settings

WEB = ("HTTP", "HTTPS")
LONGEST_DELAY = "3600"
# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
LEGAL: dict[str, Legal] = {
    "deregistration_delay.connection_termination.enabled": {"false", "true"},
    "deregistration_delay.timeout_seconds": (0, int(LONGEST_DELAY)),
    "lambda.multi_value_headers.enabled": {"false", "true"},
    "load_balancing.algorithm.anomaly_mitigation": {"off", "on"},
    "load_balancing.algorithm.type": {"least_outstanding_requests", "round_robin", "weighted_random"},
    "load_balancing.cross_zone.enabled": {"false", "true", "use_load_balancer_configuration"},
    "preserve_client_ip.enabled": {"false", "true"},
    "proxy_protocol_v2.enabled": {"false", "true"},
    "slow_start.duration_seconds": (0, 900),
    "stickiness.app_cookie.cookie_name": (),
    "stickiness.app_cookie.duration_seconds": (1, 604800),
    "stickiness.enabled": {"false", "true"},
    "stickiness.lb_cookie.duration_seconds": (1, 604800),
    "stickiness.type": {"app_cookie", "lb_cookie", "source_ip", "source_ip_dest_ip", "source_ip_dest_ip_proto"},
    "target_failover.on_deregistration": {"no_rebalance", "rebalance"},
    "target_failover.on_unhealthy": {"no_rebalance", "rebalance"},
    "target_group_health.dns_failover.minimum_healthy_targets.count": (),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": (),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": (),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": (),
    "target_health_state.unhealthy.connection_termination.enabled": {"false", "true"},
    "target_health_state.unhealthy.draining_interval_seconds": (0, 360000),
}
UNUSED = {
    "State": "unused",
    "Reason": "Target.NotInUse",
    "Description": "Target group is not configured to receive traffic from the load balancer",
}
NOBODY_ANSWERS = {"State": "unhealthy", "Reason": "Target.Timeout", "Description": "Request timed out"}


@rule("elbv2", "CreateTargetGroup", "ModifyTargetGroup")
def health_check_path(call: Call, proceed: Proceed) -> Answer:
    """The path of a health check begins with a slash: ValidationError. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
    """
    path = call.params.get("HealthCheckPath", "/")
    if not path.startswith("/"):
        raise invalid(f"Health check path '{path}' must begin with a '/' character")
    return proceed()


@rule("elbv2", "CreateTargetGroup", "ModifyTargetGroup")
def health_check_codes(call: Call, proceed: Proceed) -> Answer:
    """The codes of a healthy answer are between 200 and 499: ValidationError. Moto takes any number.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html
    """
    for code in re.findall(r"\d+", call.params.get("Matcher", {}).get("HttpCode", "")):
        if not 200 <= int(code) <= 499 and call.params.get("Protocol", WEB[0]) in WEB:
            raise invalid(f"Health check matcher HTTP code '{code}' must be within '200-499' inclusive")
    return proceed()


@rule("elbv2", "ModifyTargetGroup")
def health_check_timeout(call: Call, proceed: Proceed) -> Answer:
    """The time-out of a health check is shorter than its interval, also when only one of them changes: ValidationError.

    Moto checks on creation only. Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyTargetGroup.html
    """
    if group := elb_of(call).target_groups.get(call.params.get("TargetGroupArn", "")):
        timeout = int(call.params.get("HealthCheckTimeoutSeconds") or group.health_check_timeout_seconds)
        interval = int(call.params.get("HealthCheckIntervalSeconds") or group.health_check_interval_seconds)
        if timeout >= interval and group.protocol in WEB:
            raise invalid(f"Health check timeout '{timeout}' must be smaller than the interval '{interval}'")
    return proceed()


@rule("elbv2", "CreateTargetGroup")
def target_group_is_made_once(call: Call, proceed: Proceed) -> Answer:
    """The same creation again answers with what is there; another one of that name is DuplicateTargetGroupName. Moto refuses both.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
    """
    for group in elb_of(call).target_groups.values():
        if group.name == call.params.get("Name") and group.request == settings(call):
            return {"TargetGroups": [group.answer["TargetGroups"][0] | {"LoadBalancerArns": group.load_balancer_arns}]}
    answer = proceed()
    group = elb_of(call).target_groups[answer["TargetGroups"][0]["TargetGroupArn"]]
    group.request, group.answer = settings(call), answer
    return answer


@rule("elbv2", "ModifyTargetGroupAttributes")
def deregistration_delay_of_an_hour(call: Call, proceed: Proceed) -> Answer:
    """The longest deregistration delay is 3600 seconds. Moto refuses this one value: its range lacks the end.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#deregistration-delay
    """
    delay = next((each for each in call.params.get("Attributes", []) if each["Key"] == "deregistration_delay.timeout_seconds"), {})
    if delay.get("Value") != LONGEST_DELAY:
        return proceed()
    call.body = call.body.replace(f"Value={LONGEST_DELAY}".encode(), b"Value=3599")
    answer = proceed()
    elb_of(call).target_groups[call.params["TargetGroupArn"]].attributes[delay["Key"]] = LONGEST_DELAY
    for attribute in answer["Attributes"]:
        if attribute["Key"] == delay["Key"]:
            attribute["Value"] = LONGEST_DELAY
    return answer


@rule("elbv2", "ModifyTargetGroupAttributes")
def target_group_attribute_values(call: Call, proceed: Proceed) -> Answer:
    """Attributes have names, ranges and words: ValidationError. Moto checks the deregistration delay only.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
    """
    for attribute in call.params.get("Attributes", []):
        if (key := attribute.get("Key", "")) not in LEGAL:
            raise invalid(f"Target group attribute key '{key}' is not recognized")
    check("Target group", call.params.get("Attributes", []), LEGAL)
    return proceed()


@rule("elbv2", "ModifyTargetGroupAttributes")
def slow_start_needs_round_robin(call: Call, proceed: Proceed) -> Answer:
    """Slow start works with the algorithm round_robin only: InvalidConfigurationRequest. Moto takes both.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#slow-start-mode
    """
    group = elb_of(call).target_groups.get(call.params.get("TargetGroupArn", ""))
    wanted = (group.attributes if group else {}) | {each["Key"]: each.get("Value") for each in call.params.get("Attributes", [])}
    algorithm = wanted.get("load_balancing.algorithm.type", "round_robin")
    if str(wanted.get("slow_start.duration_seconds", "0")) != "0" and algorithm != "round_robin":
        raise misconfigured(f"Slow start is not supported with the load balancing algorithm '{algorithm}'")
    return proceed()


@rule("elbv2", "DescribeTargetHealth")
def target_health(call: Call, proceed: Proceed) -> Answer:
    """Targets are initial, healthy, unhealthy or draining, as their health checks say, and unused without a load balancer.

    Moto calls every target healthy. Here nobody answers at the address of a target that no task has registered.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html
    """
    answer = proceed()
    ours = [target.describe() for target in call.state.targets.of(call.params["TargetGroupArn"])]
    ids = {description["Target"]["Id"] for description in ours}
    wanted = [(target["Id"], target.get("Port")) for target in call.params.get("Targets", [])]
    described = [
        description
        for description in ours
        if not wanted or {(description["Target"]["Id"], port) for port in (None, description["Target"]["Port"])} & set(wanted)
    ]
    for other in answer["TargetHealthDescriptions"]:
        if other["Target"]["Id"] not in ids:
            described.append(other)
            if other["TargetHealth"]["State"] == "healthy":
                other["TargetHealth"] = NOBODY_ANSWERS
    if not elb_of(call).target_groups[call.params["TargetGroupArn"]].load_balancer_arns:
        for description in described:
            if description["TargetHealth"]["State"] != "draining":
                description["TargetHealth"] = UNUSED
    return {"TargetHealthDescriptions": described}
