"""Application load balancers and target groups."""

from __future__ import annotations

from moto.elbv2.models import elbv2_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT

# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
ATTRIBUTES = {
    "access_logs.s3.bucket": "",
    "access_logs.s3.enabled": "false",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}


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


@rule("elbv2", "DescribeLoadBalancerAttributes")
def attributes_have_defaults(call: Call, proceed: Proceed) -> Answer:
    """AWS gives every attribute of an Application Load Balancer, with its default; moto only some, until they are set.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#load-balancer-attributes
    """
    answer = proceed()
    known = {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}
    answer["Attributes"] = [{"Key": key, "Value": value} for key, value in (ATTRIBUTES | known).items()]
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
