"""IAM: what goes only when nothing hangs on it, what policies may be, what is not usable yet, and the roles of services."""

from __future__ import annotations

import re
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.iam.models import Group, Role, User

from emulator.authorization import (
    documents,
    find_instance_profile,
    find_role,
    iam,
    role_caller,
    service_may_assume,
    user_caller,
)
from emulator.policies import ALLOWED, IMPLICIT_DENY, Principal, Request, applies, decide, listed, statements
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT

IN_POLICY = re.compile(r"arn:aws:iam::(?P<account>\d{12}):(?P<kind>user|role)/(?P<name>.+)")


def entity_of(call: Call) -> User | Role | Group:
    """The user, role or group that a call names. Raises NoSuchEntity where there is none."""
    params = call.params
    if "RoleName" in params:
        return iam().get_role(params["RoleName"])
    return iam().get_user(params["UserName"]) if "UserName" in params else iam().get_group(params["GroupName"])


@rule("iam", "ListServiceSpecificCredentials")
def no_user_has_such_credentials(call: Call, proceed: Proceed) -> Answer:
    """A user's credentials for CodeCommit and the like, which must go before the user does. Moto knows none and lacks the call.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServiceSpecificCredentials.html
    """
    iam().get_user(call.params["UserName"])
    return {"ServiceSpecificCredentials": []}


# What goes only when nothing hangs on it


@rule("iam", "DeleteUser")
def user_with_belongings(call: Call, proceed: Proceed) -> Answer:
    """A user goes without groups, keys, password, devices and certificates only: DeleteConflict. Moto looks at its policies alone.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html
    """
    user = iam().get_user(call.params["UserName"])
    for belongings, what in (
        (iam().get_groups_for_user(user.name), "remove users from group"),
        (user.access_keys, "delete access keys"),
        (user.password, "delete login profile"),
        (user.mfa_devices, "delete MFA device"),
        (user.signing_certificates, "delete signing certificates"),
        (user.ssh_public_keys, "delete public keys"),
    ):
        if belongings:
            raise AwsError("DeleteConflict", f"Cannot delete entity, must {what} first.")
    return proceed()


@rule("iam", "DeleteGroup")
def group_with_members(call: Call, proceed: Proceed) -> Answer:
    """A group goes without members and policies only: DeleteConflict. Moto deletes it with both.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteGroup.html
    """
    group = iam().get_group(call.params["GroupName"])
    for belongings, what in (
        (group.users, "remove users from group"),
        (group.managed_policies, "detach all policies"),
        (group.policies, "delete policies"),
    ):
        if belongings:
            raise AwsError("DeleteConflict", f"Cannot delete entity, must {what} first.")
    return proceed()


@rule("iam", "DeletePolicy")
def policy_in_use(call: Call, proceed: Proceed) -> Answer:
    """A policy goes when nothing has it, as policy or as boundary, and only its default version is left: DeleteConflict. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
    """
    arn = call.params["PolicyArn"]
    policy = iam().get_policy(arn)
    bounded = (*iam().roles.values(), *iam().users.values())
    if policy.attachment_count or any(getattr(entity, "permissions_boundary_arn", None) == arn for entity in bounded):
        raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.")
    if len(policy.versions) > 1:
        raise AwsError(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy.",
        )
    return proceed()


@rule(
    "iam", "DeleteRole", "UpdateAssumeRolePolicy", "PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy", "UpdateRole"
)
def role_of_a_service(call: Call, proceed: Proceed) -> Answer:
    """A service-linked role is its service's: UnmodifiableEntity. Moto lets anyone change and delete it.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
    """
    name = call.params["RoleName"]
    role = find_role(name)
    if role and role.path.startswith("/aws-service-role/"):
        raise AwsError(
            "UnmodifiableEntity",
            f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS",
        )
    return proceed()


# What names and policies may be


@rule("iam", "CreateRole", "CreateUser", "CreateGroup", "CreateInstanceProfile")
def name_taken_in_another_case(call: Call, proceed: Proceed) -> Answer:
    """Names that differ by case alone are the same name: EntityAlreadyExists. Moto makes both.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
    """
    kind = call.operation.removeprefix("Create")
    name = call.params[f"{kind}Name"]
    found = {"Role": iam().roles, "User": iam().users, "Group": iam().groups, "InstanceProfile": iam().instance_profiles}[kind]
    if any(each.name.lower() == name.lower() for each in found.values()):
        raise AwsError("EntityAlreadyExists", f"{kind} with name {name} already exists.")
    return proceed()


@rule("iam", "PutUserPolicy", "PutRolePolicy", "PutGroupPolicy")
def inline_policies_too_long(call: Call, proceed: Proceed) -> Answer:
    """All inline policies of a user, role or group together have at most 2048, 10240 or 5120 characters: LimitExceeded. Moto: no limit.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    kind = call.operation.removeprefix("Put").removesuffix("Policy")
    limit = {"User": 2048, "Role": 10240, "Group": 5120}[kind]
    policies = entity_of(call).policies | {call.params["PolicyName"]: call.params["PolicyDocument"]}
    if sum(map(policy_length, policies.values())) > limit:
        raise AwsError("LimitExceeded", f"Maximum policy size of {limit} bytes exceeded for {kind.lower()} {call.params[f'{kind}Name']}")
    return proceed()


@rule("iam", "CreatePolicy", "CreatePolicyVersion")
def managed_policy_too_long(call: Call, proceed: Proceed) -> Answer:
    """A managed policy has at most 6144 characters besides white space: LimitExceeded. Moto knows no limit.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    if policy_length(call.params["PolicyDocument"]) > 6144:
        raise AwsError("LimitExceeded", "Cannot exceed quota for PolicySize: 6144")
    return proceed()


@rule("iam", "CreateRole", "UpdateAssumeRolePolicy")
def trust_policy_too_long(call: Call, proceed: Proceed) -> Answer:
    """A trust policy has at most 2048 characters: LimitExceeded. Moto knows no limit.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    if policy_length(call.params.get("AssumeRolePolicyDocument") or call.params.get("PolicyDocument") or "") > 2048:
        raise AwsError("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")
    return proceed()


def policy_length(text: str) -> int:
    """Characters of a policy as IAM counts them: white space does not count."""
    return len(re.sub(r"\s", "", text))


@rule("iam", "AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy")
def too_many_policies(call: Call, proceed: Proceed) -> Answer:
    """Ten managed policies can be attached: LimitExceeded. Moto attaches any number.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    attached = entity_of(call).managed_policies
    if call.params["PolicyArn"] not in attached and len(attached) >= 10:
        kind = call.operation.removeprefix("Attach").removesuffix("Policy")
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PoliciesPer{kind}: 10")
    return proceed()


@rule("iam", "CreateRole", "UpdateAssumeRolePolicy")
def trust_in_nobody(call: Call, proceed: Proceed) -> Answer:
    """A user or role that a trust policy names must be there: MalformedPolicyDocument. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    text = call.params.get("AssumeRolePolicyDocument") or call.params.get("PolicyDocument") or ""
    check_principals(text, "MalformedPolicyDocument", "Invalid principal in policy: {}")
    return proceed()


def check_principals(text: str, code: str, message: str) -> None:
    """Raise AwsError if a policy names a user or role of this account that is not there; C(message) has a place for its name."""
    for statement in statements(text):
        principal = statement.get("Principal")
        for arn in listed(principal.get("AWS", [])) if isinstance(principal, dict) else []:
            match = IN_POLICY.fullmatch(arn) if isinstance(arn, str) else None
            entities = (iam().users if match["kind"] == "user" else iam().roles).values() if match else ()
            if match and match["account"] == ACCOUNT and not any(entity.arn == arn for entity in entities):
                raise AwsError(code, message.format(f'"AWS":"{arn}"'))


# Permissions boundaries


@rule("iam", "CreateUser", "PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary", "GetUser")
def boundary_of_a_user(call: Call, proceed: Proceed) -> Answer:
    """A user has a permissions boundary as a role has. Moto forgets it, and has two of the calls for roles only.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html
    """
    if "PermissionsBoundary" in call.params:
        iam().get_policy(call.params["PermissionsBoundary"])
    if call.operation.endswith("Boundary"):
        user = iam().get_user(call.params["UserName"])
        user.permissions_boundary_arn = call.params.get("PermissionsBoundary")  # type: ignore[attr-defined]
        return {}
    answer = proceed()
    found = iam().users.get(answer["User"]["UserName"])
    if found and call.operation == "CreateUser":
        found.permissions_boundary_arn = call.params.get("PermissionsBoundary")  # type: ignore[attr-defined]
    if arn := getattr(found, "permissions_boundary_arn", None):
        answer["User"]["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}
    return answer


@rule("iam", "CreateRole", "PutRolePermissionsBoundary")
def boundary_that_is_none(call: Call, proceed: Proceed) -> Answer:
    """A permissions boundary is a managed policy that is there: NoSuchEntity. Moto takes any ARN.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePermissionsBoundary.html
    """
    arn = call.params.get("PermissionsBoundary")
    if arn and arn not in iam().managed_policies:
        raise AwsError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.")
    return proceed()


# Simulation


@rule("iam", "SimulatePrincipalPolicy", "SimulateCustomPolicy")
def simulation(call: Call, proceed: Proceed) -> Answer:
    """Tells what policies decide, without a call. Moto has neither operation.

    Context keys have the values that the caller gives, and no others; the keys that were asked for in vain are listed.
    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    params = call.params
    identity, boundaries = list(params.get("PolicyInputList", [])), list(params.get("PermissionsBoundaryPolicyInputList", []))
    context = {entry["ContextKeyName"].lower(): entry.get("ContextKeyValues", []) for entry in params.get("ContextEntries", [])}
    if source := params.get("PolicySourceArn"):
        own, own_boundary = simulated(source)
        identity += own
        boundaries = boundaries or own_boundary
    resource_policies = [params["ResourcePolicy"]] if "ResourcePolicy" in params else []
    caller = Principal(params.get("CallerArn") or source or "")
    results = []
    for action in params["ActionNames"]:
        for resource in params.get("ResourceArns") or ["*"]:
            request = Request(action, resource, context)
            decisions = [decide(identity, request)] + ([decide(boundaries, request)] if boundaries else [])
            if resource_policies and (by_resource := decide(resource_policies, request, caller)) != IMPLICIT_DENY:
                decisions[0] = by_resource if decisions[0] in (IMPLICIT_DENY, ALLOWED) else decisions[0]
            matched = [text for text in identity if any(applies(statement, request) for statement in statements(text))]
            results.append(
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": min(decisions, key=["explicitDeny", "implicitDeny", "allowed"].index),
                    "MatchedStatements": [{"SourcePolicyId": f"PolicyInputList.{identity.index(text) + 1}"} for text in matched],
                    "MissingContextValues": sorted(request.missing),
                }
            )
    return {"EvaluationResults": results, "IsTruncated": False}


def simulated(arn: str) -> tuple[list[str], list[str]]:
    """Policies and boundary of a user, role or group."""
    for entities in (iam().users, iam().roles, iam().groups):
        for entity in entities.values():  # type: ignore[attr-defined]
            if entity.arn == arn:
                if isinstance(entity, Group):
                    return documents(entity), []
                caller = user_caller(entity) if isinstance(entity, User) else role_caller(entity)
                return caller.identity, [caller.boundary] if caller.boundary else []
    raise AwsError("NoSuchEntity", f"The ARN {arn} cannot be found.")


# What is not usable yet: IAM tells its regions of a new role or profile within seconds, not at once.


def settle(call: Call, step: str, entity: Any) -> None:
    """Leave a role or profile unusable until the step is over; C(fresh) counts what is under way."""
    entity.fresh = getattr(entity, "fresh", 0) + 1
    call.state.clock.after(step, entity.name, lambda: setattr(entity, "fresh", entity.fresh - 1))


@rule("iam", "CreateRole")
def role_is_new(call: Call, proceed: Proceed) -> Answer:
    """A new role cannot be taken at once. In moto it can.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    """
    answer = proceed()
    settle(call, "role_usable", iam().get_role(call.params["RoleName"]))
    return answer


@rule("iam", "CreateInstanceProfile", "AddRoleToInstanceProfile")
def instance_profile_is_new(call: Call, proceed: Proceed) -> Answer:
    """A new instance profile, or one with a new role, is unknown to EC2 at first. In moto it is not.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    """
    answer = proceed()
    settle(call, "instance_profile_usable", iam().get_instance_profile(call.params["InstanceProfileName"]))
    return answer


@rule("ec2", "RunInstances")
@rule("autoscaling", "CreateAutoScalingGroup", "UpdateAutoScalingGroup")
def instance_profile_not_usable(call: Call, proceed: Proceed) -> Answer:
    """Instances need a profile that EC2 knows and that has a role: InvalidParameterValue, from auto-scaling ValidationError.

    Moto does not look at the profile, neither that of the call nor that of its launch template.
    Moto could take a part of it: that the profile is there and has a role.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshoot-iam.html
    """
    code = "ValidationError" if call.service == "autoscaling" else "InvalidParameterValue"
    mixed = call.params.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("LaunchTemplateSpecification")
    template = launch_template_data(call, call.params.get("LaunchTemplate") or mixed or {})
    wanted = call.params.get("IamInstanceProfile") or template.get("IamInstanceProfile") or {}
    kind, value = next(((kind, wanted[kind]) for kind in ("Name", "Arn") if wanted.get(kind)), ("", ""))
    if kind:
        prefix = "You must use a valid fully-formed launch template. " if call.service == "autoscaling" else ""
        profile = find_instance_profile(value)
        parameter = f"{prefix}Value ({value}) for parameter iamInstanceProfile.{kind.lower()} is invalid."
        if profile is None or getattr(profile, "fresh", 0):
            raise AwsError(code, f"{parameter} Invalid IAM Instance Profile {'name' if kind == 'Name' else 'ARN'}")
        if not profile.roles:
            raise AwsError(code, f"{parameter} IAM Instance Profile has no associated IAM Roles")
    return proceed()


def launch_template_data(call: Call, specification: dict[str, Any]) -> dict[str, Any]:
    """What the version of a launch template says; nothing where there is none, for others to complain of."""
    backend = ec2_backends[ACCOUNT][call.region]
    identifier = specification.get("LaunchTemplateId") or backend.launch_template_name_to_ids.get(
        specification.get("LaunchTemplateName", ""), ""
    )
    template = backend.launch_templates.get(identifier)
    if not template:
        return {}
    try:
        return template.get_version(specification.get("Version") or "$Default").data
    except Exception:  # no such version
        return {}


@rule("ec2", "CreateFlowLogs")
def flow_log_role_not_usable(call: Call, proceed: Proceed) -> Answer:
    """The role of a flow log must be there, known and trust C(vpc-flow-logs.amazonaws.com): InvalidParameter. Moto takes any ARN.

    Moto could take a part of it: that the role is there.
    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    """
    role = call.params.get("DeliverLogsPermissionArn")
    source = f"arn:aws:ec2:{call.region}:{ACCOUNT}:vpc-flow-log/*"
    if role and not service_may_assume(role, "vpc-flow-logs.amazonaws.com", source):
        raise AwsError("InvalidParameter", f"Unable to assume given IAM role: '{role}'")
    return proceed()


@rule("ecs", "RunTask")
def task_role_not_usable(call: Call, proceed: Proceed) -> Answer:
    """ECS takes the roles of a task when it starts it; they must be there, known and trust C(ecs-tasks.amazonaws.com): ClientException.

    Moto takes any ARN. A service has the same trouble, and says so in its events. Moto could take a part of it: that the role is there.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-task-iam-roles.html
    """
    overrides = call.params.get("overrides", {})
    try:
        definition = ecs_backends[ACCOUNT][call.region].describe_task_definition(call.params["taskDefinition"])
    except Exception:  # the call will say so
        return proceed()
    given = [("taskRoleArn", "task_role_arn"), ("executionRoleArn", "execution_role_arn")]
    for role in filter(None, [overrides.get(name) or getattr(definition, attribute, None) for name, attribute in given]):
        if reason := unusable_task_role(call.region, role):
            raise AwsError("ClientException", reason)
    return proceed()


def unusable_task_role(region: str, arn: str) -> str | None:
    """Why ECS cannot give a role to a task, in its own words; None where it can."""
    if service_may_assume(arn, "ecs-tasks.amazonaws.com", f"arn:aws:ecs:{region}:{ACCOUNT}:*"):
        return None
    return (
        f"ECS was unable to assume the role '{arn}' that was provided for this task. Please verify that the role being passed has the "
        "proper trust relationship and permissions and that your IAM user has permissions to pass this role."
    )


# Roles that services make themselves, on their first use in an account

SERVICE_LINKED_ROLES = {
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "dynamodb.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable",
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
}


def service_linked_role(call: Call, service: str) -> Role:
    """The role of a service, made now if this is its first use."""
    name = SERVICE_LINKED_ROLES[service]
    role = find_role(name)
    if role is None:
        role = iam().create_service_linked_role(service, "", "")
        role.name = name
        settle(call, "role_usable", role)
    return role


@rule("iam", "CreateServiceLinkedRole")
def service_linked_role_twice(call: Call, proceed: Proceed) -> Answer:
    """A service has one such role: InvalidInput for a second. Moto makes another, and gets the names of some wrong.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html
    """
    service = call.params["AWSServiceName"]
    name = SERVICE_LINKED_ROLES.get(service)
    if name is None:
        return proceed()
    if find_role(name):
        raise AwsError("InvalidInput", f"Service role name {name} has been taken in this account, please try a different suffix.")
    role = service_linked_role(call, service)
    role.description = call.params.get("Description", "")
    return {
        "Role": {
            "Path": role.path,
            "RoleName": role.name,
            "RoleId": role.id,
            "Arn": role.arn,
            "CreateDate": role.create_date,
            "AssumeRolePolicyDocument": role.assume_role_policy_document,
        }
    }


@rule("elbv2", "CreateLoadBalancer")
@rule("autoscaling", "CreateAutoScalingGroup")
def service_linked_role_appears(call: Call, proceed: Proceed) -> Answer:
    """The first load balancer and the first group of an account make their service's role; neither waits for it. Moto makes none.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-service-linked-roles.html
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html
    """
    answer = proceed()
    service_linked_role(call, "autoscaling.amazonaws.com" if call.service == "autoscaling" else "elasticloadbalancing.amazonaws.com")
    return answer


@rule("ecs", "CreateCluster", "CreateService", "PutClusterCapacityProviders")
def ecs_role_races(call: Call, proceed: Proceed) -> Answer:
    """The first cluster makes ECS's role; what needs it within the next seconds is refused: InvalidParameterException. Moto makes none.

    The first cluster itself is refused if it has capacity providers. The same call succeeds later.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/818
    """
    role = service_linked_role(call, "ecs.amazonaws.com")
    if getattr(role, "fresh", 0) and (call.operation != "CreateCluster" or call.params.get("capacityProviders")):
        raise AwsError(
            "InvalidParameterException",
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
        )
    return proceed()


@rule("ecs", "CreateCapacityProvider")
def capacity_provider_without_role(call: Call, proceed: Proceed) -> Answer:
    """A capacity provider does not make ECS's role but needs it: ClientException. Moto has no such role.

    With a time scale of 0, where nothing races, the role is taken to be there.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
    https://github.com/hashicorp/terraform-provider-aws/issues/19977
    """
    if call.state.clock.scale and not find_role(SERVICE_LINKED_ROLES["ecs.amazonaws.com"]):
        raise AwsError(
            "ClientException", "ECS Service Linked Role does not exist. Please create a Service linked role for ECS and try again."
        )
    return proceed()


@rule("application-autoscaling", "RegisterScalableTarget")
def scaling_role_races(call: Call, proceed: Proceed) -> Answer:
    """The first target of a service makes a role for its scaling, which cannot be taken at once: ValidationException. Moto makes none.

    https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
    """
    service = f"{call.params['ServiceNamespace']}.application-autoscaling.amazonaws.com"
    if service in SERVICE_LINKED_ROLES:
        role = service_linked_role(call, service)
        if getattr(role, "fresh", 0):
            raise AwsError("ValidationException", f"Unable to assume IAM role: {role.arn}")
    return proceed()
