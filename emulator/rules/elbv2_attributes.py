"""ELB: the attributes that every Application Load Balancer has."""

from __future__ import annotations

from emulator.rules import Answer, Call, Proceed, rule

# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
DEFAULTS = {
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


@rule("elbv2", "DescribeLoadBalancerAttributes")
def attributes_have_defaults(call: Call, proceed: Proceed) -> Answer:
    """AWS gives every attribute of an Application Load Balancer, with its default; moto only some, until they are set.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#load-balancer-attributes
    """
    answer = proceed()
    known = {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}
    answer["Attributes"] = [{"Key": key, "Value": value} for key, value in (DEFAULTS | known).items()]
    return answer
