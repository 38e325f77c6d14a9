"""Elastic Load Balancing: listeners and their rules."""

from __future__ import annotations

from collections.abc import Iterator

from moto.elbv2.models import FakeListener, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.ssl_policies import SSL_POLICIES

from emulator.load_balancers import REDIRECT
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.elbv2 import elb_of, invalid, misconfigured, settings

FORWARDING = ("CreateListener", "ModifyListener", "CreateRule", "ModifyRule")
REMOVING = ("DeleteListener", "DeleteRule", "DeleteLoadBalancer")


def balancer_of(call: Call) -> FakeLoadBalancer | None:
    """The load balancer of the listener or rule that a call is about, told from its ARN."""
    arn = call.params.get("LoadBalancerArn") or call.params.get("ListenerArn") or call.params.get("RuleArn", "")
    kind, _, rest = arn.partition("/")
    return elb_of(call).load_balancers.get(f"{kind.rpartition(':')[0]}:loadbalancer/{'/'.join(rest.split('/')[:3])}")


def forwarded_groups(call: Call) -> Iterator[FakeTargetGroup]:
    """Target groups that a call forwards to, as far as they exist."""
    backend = elb_of(call)
    for action in [*call.params.get("DefaultActions", []), *call.params.get("Actions", [])]:
        for arn in {action.get("TargetGroupArn"), *backend._get_target_group_arns_from(action_data=action)}:
            if arn in backend.target_groups:
                yield backend.target_groups[arn]


@rule("elbv2", *FORWARDING, *REMOVING)
def target_group_knows_its_load_balancer(call: Call, proceed: Proceed) -> Answer:
    """A target group names the load balancer that forwards to it, as long as it does. In moto it keeps the name of a deleted one.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroup.html
    """
    answer, backend = proceed(), elb_of(call)
    users: dict[str, list[str]] = {arn: [] for arn in backend.target_groups}
    for balancer in backend.load_balancers.values():
        for action in (action for listener in balancer.listeners.values() for each in listener.rules.values() for action in each.actions):
            for arn in backend._get_target_group_arns_from(action_data=action.data):
                if balancer.arn not in users.setdefault(arn, []):
                    users[arn].append(balancer.arn)
    for group in backend.target_groups.values():
        group.load_balancer_arns = users[group.arn]
    return answer


@rule("elbv2", *FORWARDING)
def target_group_has_one_load_balancer(call: Call, proceed: Proceed) -> Answer:
    """A target group belongs to one load balancer: TargetGroupAssociationLimit. Moto takes any number.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
    """
    balancer = balancer_of(call)
    for group in forwarded_groups(call):
        if balancer and set(group.load_balancer_arns) - {balancer.arn}:
            message = f"The following target groups cannot be associated with more than one load balancer: {group.arn}"
            raise AwsError("TargetGroupAssociationLimit", message)
    return proceed()


@rule("elbv2", *FORWARDING)
def target_group_of_other_vpc(call: Call, proceed: Proceed) -> Answer:
    """Load balancer and target group are in one VPC: InvalidConfigurationRequest. Moto does not look.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
    """
    balancer = balancer_of(call)
    for group in forwarded_groups(call):
        if balancer and group.vpc_id and group.vpc_id != balancer.vpc_id:
            raise misconfigured(f"Target group '{group.arn}' is in a different VPC than load balancer '{balancer.arn}'")
    return proceed()


@rule("elbv2", "CreateListener", "ModifyListener")
def listener_needs_certificate(call: Call, proceed: Proceed) -> Answer:
    """HTTPS needs a certificate, else ValidationError, and one that exists, else CertificateNotFound. Moto makes the listener without.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/create-https-listener.html
    """
    certificates = call.params.get("Certificates", [])
    if call.params.get("Protocol") == "HTTPS":
        listener = listener_of(call)
        if not certificates and not (listener and listener.certificates):
            raise invalid("A certificate must be specified for HTTPS listeners")
        for certificate in certificates:
            if not elb_of(call)._certificate_exists(arn := certificate.get("CertificateArn", "")):
                raise AwsError("CertificateNotFound", f"Certificate '{arn}' not found")
    return proceed()


def listener_of(call: Call) -> FakeListener | None:
    """The listener that a call names by its ARN."""
    balancer = balancer_of(call)
    return balancer.listeners.get(call.params.get("ListenerArn", "")) if balancer else None


@rule("elbv2", "CreateListener", "ModifyListener")
def listener_policy(call: Call, proceed: Proceed) -> Answer:
    """The security policy exists: SSLPolicyNotFound. Moto looks in ModifyListener only.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
    """
    name = call.params.get("SslPolicy")
    if name and name not in SSL_POLICIES:
        raise AwsError("SSLPolicyNotFound", f"SSL policy '{name}' not found")
    return proceed()


@rule("elbv2", "ModifyListener")
def listener_changes_are_checked(call: Call, proceed: Proceed) -> Answer:
    """What creation refuses, a change is refused too: TargetGroupNotFound, DuplicateListener. Moto checks on creation only.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyListener.html
    """
    backend, balancer, arn = elb_of(call), balancer_of(call), call.params.get("ListenerArn")
    for action in call.params.get("DefaultActions", []):
        for group in backend._get_target_group_arns_from(action_data=action):
            if group not in backend.target_groups:
                raise AwsError("TargetGroupNotFound", f"Target group '{group}' not found")
    for other in balancer.listeners.values() if balancer else []:
        if other.arn != arn and other.port == call.params.get("Port"):
            raise AwsError("DuplicateListener", "A listener already exists on this port for this load balancer")
    return proceed()


@rule("elbv2", "CreateRule")
def rule_needs_a_condition(call: Call, proceed: Proceed) -> Answer:
    """A rule has a condition: ValidationError. Moto makes it without, and it meets every request.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html
    """
    if not call.params.get("Conditions"):
        raise invalid("A condition must be specified")
    return proceed()


@rule("elbv2", "CreateRule", "ModifyRule", "CreateListener", "ModifyListener")
def redirect_leads_elsewhere(call: Call, proceed: Proceed) -> Answer:
    """A redirect changes protocol, host, port, path or query, else it never ends: InvalidLoadBalancerAction. Moto takes it.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RedirectActionConfig.html
    """
    for action in [*call.params.get("DefaultActions", []), *call.params.get("Actions", [])]:
        config = action.get("RedirectConfig")
        if config and all(config.get(name, default) == default for name, default in REDIRECT.items()):
            raise AwsError("InvalidLoadBalancerAction", "The redirect configuration is not valid because it creates a loop.")
    return proceed()


@rule("elbv2", "DeleteRule")
def default_rule_stays(call: Call, proceed: Proceed) -> Answer:
    """The default rule goes with its listener only: OperationNotPermitted; an unknown rule is RuleNotFound. Moto breaks, or says nothing.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteRule.html
    """
    balancer, arn = balancer_of(call), call.params.get("RuleArn", "")
    for each in (each for listener in balancer.listeners.values() for each in listener.rules.values()) if balancer else []:
        if each.arn == arn:
            if each.is_default:
                raise AwsError("OperationNotPermitted", f"Default rule '{arn}' cannot be deleted")
            return proceed()
    raise AwsError("RuleNotFound", f"One or more rules not found: '{arn}'")


@rule("elbv2", "CreateListener")
def listener_is_made_once(call: Call, proceed: Proceed) -> Answer:
    """The same creation again answers with what is there; another listener of that port is DuplicateListener. Moto makes a second one.

    Moto looks for the port among ARNs. Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html
    """
    balancer, port = balancer_of(call), call.params.get("Port")
    for listener in balancer.listeners.values() if balancer else []:
        if listener.port == port:
            if listener.request != settings(call):
                raise AwsError("DuplicateListener", "A listener already exists on this port for this load balancer")
            return dict(listener.answer)
    answer = proceed()
    if balancer:
        listener = balancer.listeners[answer["Listeners"][0]["ListenerArn"]]
        listener.request, listener.answer = settings(call), answer
    return answer
