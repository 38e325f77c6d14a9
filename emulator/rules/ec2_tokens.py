"""EC2: client tokens, by which a request that is sent again makes nothing twice."""

from __future__ import annotations

from copy import deepcopy

# Their rules are for requests that make something: they come after the one here, which answers a repeated request in their place.
from emulator.rules import Answer, AwsError, Call, Proceed, ec2_endpoints, ec2_instances, ec2_nat_gateways, rule  # noqa: F401


@rule("ec2", "CreateLaunchTemplate", "CreateLaunchTemplateVersion", "CreateNatGateway", "CreateRouteTable", "CreateVpcEndpoint")
def same_token_same_answer(call: Call, proceed: Proceed) -> Answer:
    """A ClientToken that made something gives its answer again; with other parameters it is IdempotentParameterMismatch.

    SDKs give each request a token of its own, and repeat it when an answer is lost. Moto makes another one.
    Moto could take it.
    https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
    """
    if not (token := call.params.get("ClientToken")):
        return proceed()
    request, made = deepcopy(call.params), call.state.made_by_token
    key = (call.region, call.operation, token)
    if key not in made:
        made[key] = request, proceed()
    first, answer = made[key]
    if request != first:
        raise AwsError("IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")
    return answer
