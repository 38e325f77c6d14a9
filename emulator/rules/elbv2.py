"""Application load balancers and target groups."""

from __future__ import annotations

from moto.elbv2.models import elbv2_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT


@rule("elbv2", "CreateLoadBalancer")
def loopback_name(call: Call, proceed: Proceed) -> Answer:
    """A load balancer answers at its DNSName. Moto's answers nowhere; here the name is a loopback address with a port.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancer.html
    """
    answer = proceed()
    call.state.balancers.sync()
    for balancer in answer["LoadBalancers"]:
        balancer["DNSName"] = elbv2_backends[ACCOUNT][call.region].load_balancers[balancer["LoadBalancerArn"]].dns_name
    return answer


@rule("elbv2", "DeleteLoadBalancer")
def deletion_protection(call: Call, proceed: Proceed) -> Answer:
    """A load balancer under deletion protection cannot be deleted. Moto deletes it.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html
    """
    arn = call.params["LoadBalancerArn"]
    balancer = elbv2_backends[ACCOUNT][call.region].load_balancers.get(arn)
    if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
        raise AwsError("OperationNotPermitted", f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled")
    answer = proceed()
    call.state.balancers.sync()
    return answer


@rule("elbv2", "DescribeTargetHealth")
def target_health(call: Call, proceed: Proceed) -> Answer:
    """Targets are initial, healthy, unhealthy or draining, as their health checks say. Moto calls every target healthy.

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
    others = [description for description in answer["TargetHealthDescriptions"] if description["Target"]["Id"] not in ids]
    return {"TargetHealthDescriptions": described + others}
