"""Who calls, and whether the policies of users, roles and resources let them: IAM's enforcement, off unless it is asked for.

On AWS every call is judged; moto judges none, and with C(/moto-api/reset-auth) it judges by actions and little else.
On: C(--enforce-iam), C(EMULATOR_ENFORCE_IAM=1), or C(POST /emulator/enforce-iam) with the body C(true) or C(false).

Users are known by their access keys, sessions of roles by the keys of AssumeRole. A key that does not look like one of AWS's (C(AKIA...),
C(ASIA...)), as the emulator's own, belongs to the account's administrator, who may do all. Signatures are not checked.
What an action means to a policy is in three tables below: names that differ from the API's, the resources that a call names, and
the actions that a call needs besides its own. A call that names no resource in them asks for C(*), as the services do.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from moto.backends import get_backend
from moto.core.resource_tagging import TaggableResourcesMixin
from moto.iam.models import Group, IAMBackend, InstanceProfile, Policy, Role, User, iam_backends
from moto.kms.models import Key, kms_backends
from moto.sts.models import AssumedRole, sts_backends

from emulator.policies import ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY, Principal, Request, applies, decide, is_account, listed, statements
from emulator.wire import ACCOUNT, AwsError, Call

KEY_ID = re.compile(r"Credential=([^/]+)/")
AWS_KEY_ID = re.compile(r"(AKIA|ASIA)[A-Z2-7]{16}$")
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"

# The prefix of a service's actions, where it is neither the name that requests are signed with nor botocore's.
PREFIXES = {"cloudwatch": "cloudwatch", "elbv2": "elasticloadbalancing", "elb": "elasticloadbalancing", "resourcegroupstaggingapi": "tag"}

# Actions that are not named as their operation is.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
ACTIONS = {
    "s3": {
        "AbortMultipartUpload": "AbortMultipartUpload",
        "CompleteMultipartUpload": "PutObject",
        "CopyObject": "PutObject",
        "CreateMultipartUpload": "PutObject",
        "DeleteBucketEncryption": "PutEncryptionConfiguration",
        "DeleteBucketLifecycle": "PutLifecycleConfiguration",
        "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
        "DeleteBucketTagging": "PutBucketTagging",
        "DeleteObjects": "DeleteObject",
        "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
        "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
        "GetBucketEncryption": "GetEncryptionConfiguration",
        "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
        "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
        "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
        "HeadBucket": "ListBucket",
        "HeadObject": "GetObject",
        "ListBuckets": "ListAllMyBuckets",
        "ListObjects": "ListBucket",
        "ListObjectsV2": "ListBucket",
        "ListObjectVersions": "ListBucketVersions",
        "PutBucketEncryption": "PutEncryptionConfiguration",
        "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
        "UploadPart": "PutObject",
    },
    "dynamodb": {"ExecuteStatement": "PartiQLSelect"},
}

# Parameters that name the resources of a call, by service: the first one that is there counts. C({name}) is another parameter's value.
RESOURCES = {
    "application-autoscaling": {"ResourceId": "scalable-target/*"},
    "autoscaling": {"AutoScalingGroupName": "autoScalingGroup:*:autoScalingGroupName/{}"},
    "cloudwatch": {"AlarmName": "alarm:{}", "AlarmNames": "alarm:{}", "DashboardName": "dashboard/{}", "DashboardNames": "dashboard/{}"},
    "codebuild": {"projectName": "project/{}", "name": "project/{}", "names": "project/{}"},
    "dynamodb": {"TableName": "table/{}", "RequestItems": "table/{}"},
    "ecr": {"repositoryName": "repository/{}", "repositoryNames": "repository/{}"},
    "ecs": {
        "tasks": "task/{cluster}/{}",
        "task": "task/{cluster}/{}",
        "services": "service/{cluster}/{}",
        "service": "service/{cluster}/{}",
        "serviceName": "service/{cluster}/{}",
        "containerInstances": "container-instance/{cluster}/{}",
        "containerInstance": "container-instance/{cluster}/{}",
        "capacityProvider": "capacity-provider/{}",
        "taskDefinition": "task-definition/{}",
        "clusters": "cluster/{}",
        "clusterName": "cluster/{}",
        "cluster": "cluster/{}",
    },
    "elbv2": {"Name": "*/{}/*"},
    "logs": {"logGroupName": "log-group:{}:log-stream:{logStreamName}", "logGroupNamePrefix": "log-group:{}:log-stream:"},
    "sns": {"Name": "{}"},
    "ssm": {"Name": "parameter/{}", "Names": "parameter/{}", "Path": "parameter/{}"},
}

# Operations whose parameters of these names only filter: the services check them against C(*).
UNSCOPED = {
    "autoscaling": re.compile("Describe"),
    "application-autoscaling": re.compile("Describe"),
    "ec2": re.compile("Describe"),
    "ecs": re.compile("ListTasks|ListServices|ListClusters|List.*Definition|RegisterTaskDefinition|DescribeTaskDefinition|DeregisterTask"),
    "elbv2": re.compile("Describe"),
    "kms": re.compile("CreateKey|List(Keys|Aliases)"),
    "logs": re.compile("DescribeLogGroups|StartQuery|GetQueryResults"),
}
# What an id of EC2 is an id of. https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
EC2_IDS = {
    "ami": "image", "eipalloc": "elastic-ip", "eni": "network-interface", "fl": "vpc-flow-log", "i": "instance", "igw": "internet-gateway",
    "lt": "launch-template", "nat": "natgateway", "rtb": "route-table", "sg": "security-group", "subnet": "subnet", "vol": "volume",
    "vpc": "vpc", "vpce": "vpc-endpoint",
}  # fmt: skip
EC2_ID = re.compile(rf"({'|'.join(EC2_IDS)})-[0-9a-f]+$")
EC2_CREATED = {
    "AllocateAddress": "elastic-ip",
    "CreateFlowLogs": "vpc-flow-log",
    "CreateInternetGateway": "internet-gateway",
    "CreateLaunchTemplate": "launch-template",
    "CreateNatGateway": "natgateway",
    "CreateRouteTable": "route-table",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVpc": "vpc",
    "CreateVpcEndpoint": "vpc-endpoint",
    "RunInstances": "instance",
}

SERVICE_SESSION_SECONDS = 6 * 3600

# Who is given a role by an operation, and by which parameters: the caller needs iam:PassRole on it.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
PASSED_ROLES = {
    ("ecs", "RegisterTaskDefinition"): ("ecs-tasks.amazonaws.com", ("taskRoleArn", "executionRoleArn")),
    ("ec2", "CreateFlowLogs"): ("vpc-flow-logs.amazonaws.com", ("DeliverLogsPermissionArn",)),
    ("codebuild", "CreateProject"): ("codebuild.amazonaws.com", ("serviceRole",)),
}
# The action that a call needs besides its own when it makes something that has tags.
TAGGING_ACTIONS = {
    "dynamodb": "TagResource", "ec2": "CreateTags", "ecr": "TagResource", "ecs": "TagResource", "elbv2": "AddTags", "kms": "TagResource",
    "logs": "TagResource", "sns": "TagResource", "sts": "TagSession",
}  # fmt: skip
IAM_KINDS = {"Role": "role", "User": "user", "Group": "group", "InstanceProfile": "instance-profile", "Policy": "policy"}

Codes = tuple[str, str, str]  # denied, unknown key, expired session
CODES: dict[str, Codes] = {
    "ec2": ("UnauthorizedOperation", "AuthFailure", "RequestExpired"),
    "json": ("AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"),
    "query": ("AccessDenied", "InvalidClientTokenId", "ExpiredToken"),
    "s3": ("AccessDenied", "InvalidAccessKeyId", "ExpiredToken"),
    "sns": ("AuthorizationError", "InvalidClientTokenId", "ExpiredToken"),
    "cloudwatch": ("AccessDenied", "InvalidClientTokenId", "ExpiredToken"),
}


@dataclass
class Caller:
    """A user or a role's session, with the policies (JSON documents) that apply to it."""

    principal: Principal
    context: dict[str, list[str]]
    identity: list[str]
    boundary: str | None = None
    session: list[str] = field(default_factory=list)

    @property
    def arn(self) -> str:
        """What error messages call it."""
        return self.principal.session_arn or self.principal.arn


def check(call: Call) -> None:
    """Refuse a call that the caller's policies do not allow. Raises AwsError with the code that the service uses."""
    if not call.state.enforce_iam or call.operation in ("GetCallerIdentity", "-"):
        return
    caller = caller_of(call)
    for request in requests_of(call):
        # The administrator needs no permission, but a role's trust policy must name them as it must name anyone.
        if caller or request.action == "sts:AssumeRole":
            judge(call, caller or Caller(Principal(ROOT_ARN), {}, [ADMINISTRATOR]), request)


ADMINISTRATOR = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


def iam() -> IAMBackend:
    """Moto's IAM of the account."""
    return iam_backends[ACCOUNT]["aws"]


def find_role(name: str) -> Role | None:
    """A role by its name or ARN."""
    return next((role for role in iam().get_roles() if name in (role.name, role.arn)), None)


def find_instance_profile(name: str) -> InstanceProfile | None:
    """An instance profile by its name or ARN."""
    return next((profile for profile in iam().get_instance_profiles() if name in (profile.name, profile.arn)), None)


def refusal(call: Call, kind: int, message: str) -> AwsError:
    """An error as the service of the call words it."""
    status = 400 if call.protocol.endswith("json") else 403
    return AwsError((CODES.get(call.service) or CODES.get(call.protocol) or CODES["json"])[kind], message, status)


# Who calls


def caller_of(call: Call) -> Caller | None:
    """The user or session that an access key belongs to, None for the administrator. Raises AwsError for a key that is none (any more)."""
    presigned = "Credential=" + call.query.get("X-Amz-Credential", [""])[0]
    match = KEY_ID.search(call.environ.get("HTTP_AUTHORIZATION", "")) or KEY_ID.search(presigned)
    key_id = match[1] if match else ""
    if not AWS_KEY_ID.match(key_id):
        return None
    if session := sts_backends[ACCOUNT]["aws"].get_assumed_role_from_access_key(key_id):
        if session.expiration <= call.state.clock.now().replace(tzinfo=session.expiration.tzinfo):
            raise refusal(call, 2, "The security token included in the request is expired")
        role = find_role(session.role_arn)
        if role and call.environ.get("HTTP_X_AMZ_SECURITY_TOKEN") == session.session_token:
            return session_caller(session, role)
    elif (key := iam().access_keys.get(key_id)) and key.status == "Active" and key.user_name:
        return user_caller(iam().get_user(key.user_name))
    raise refusal(call, 1, "The security token included in the request is invalid.")


def documents(entity: User | Role | Group) -> list[str]:
    """Policy documents of a user, role or group: its own and those attached to it."""
    return [*entity.policies.values(), *map(document, entity.managed_policies.values())]


def document(policy: Policy) -> str:
    """The version of a managed policy that counts."""
    return next(version.document for version in policy.versions if version.version_id == policy.default_version_id)


def boundary_of(entity: User | Role) -> str | None:
    """Document of the permissions boundary of a user or role."""
    arn = getattr(entity, "permissions_boundary_arn", None)
    return document(iam().get_policy(arn)) if arn else None


def user_caller(user: User) -> Caller:
    """A user, with the policies of its groups."""
    groups = iam().get_groups_for_user(user.name)
    context = {"aws:username": [user.name], "aws:userid": [user.id], "aws:principaltype": ["User"]}
    context |= {f"aws:principaltag/{tag['Key']}".lower(): [tag["Value"]] for tag in user.tags or []}
    identity = [each for entity in (user, *groups) for each in documents(entity)]
    return Caller(Principal(user.arn), context, identity, boundary_of(user))


def role_caller(role: Role) -> Caller:
    """A role, whoever takes it."""
    context = {"aws:principaltype": ["AssumedRole"], "aws:multifactorauthpresent": ["false"]}
    context |= {f"aws:principaltag/{tag['Key']}".lower(): [tag["Value"]] for tag in role.tags or []}
    return Caller(Principal(role.arn), context, documents(role), boundary_of(role))


def session_caller(session: AssumedRole, role: Role) -> Caller:
    """A session of a role. Its own policies and tags are put there by the rule for AssumeRole."""
    caller = role_caller(role)
    caller.principal.session_arn = session.arn
    caller.context["aws:userid"] = [session.user_id]
    caller.context |= {f"aws:principaltag/{key}".lower(): [value] for key, value in getattr(session, "tags", {}).items()}
    caller.session = [each for each in (session.policy, *getattr(session, "policies", [])) if each]
    return caller


# What is asked


def requests_of(call: Call) -> Iterator[Request]:
    """Everything that must be allowed for a call."""
    params = call.params
    context = call_context(call, params)
    prefix = PREFIXES.get(call.service, call.signing_name)
    action = f"{prefix}:{ACTIONS.get(call.service, {}).get(call.operation, call.operation)}"
    resources = list(resources_of(call, params))
    for resource in resources:
        yield Request(action, resource, context, partial(tags_of, call, resource))
    creates = re.match("Create|Run|Register|Allocate|AssumeRole", call.operation)
    if creates and call.service in TAGGING_ACTIONS and "aws:tagkeys" in context:
        creation = {f"{prefix}:createaction": [call.operation]}
        for resource in resources:
            yield Request(f"{prefix}:{TAGGING_ACTIONS[call.service]}", resource, context | creation)
    service, names = PASSED_ROLES.get((call.service, call.operation), ("", ()))
    for name in names:
        if name in params:
            arn = params[name] if params[name].startswith("arn:") else iam_arn("role", params[name], "/")
            yield Request("iam:PassRole", arn, context | {"iam:passedtoservice": [service]})
    if (call.service, call.operation) == ("ec2", "RunInstances"):
        wanted = params.get("IamInstanceProfile", {})
        profile = find_instance_profile(wanted.get("Name") or wanted.get("Arn") or "")
        for role in profile.roles if profile else []:
            yield Request("iam:PassRole", role.arn, context | {"iam:passedtoservice": ["ec2.amazonaws.com"]})


def call_context(call: Call, params: dict[str, Any]) -> dict[str, list[str]]:
    """Condition keys that a call itself has.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    now = call.state.clock.now()
    context = {
        "aws:currenttime": [now.isoformat()],
        "aws:epochtime": [str(int(now.timestamp()))],
        "aws:sourceip": [call.environ.get("REMOTE_ADDR", "127.0.0.1")],
        "aws:requestedregion": [call.region],
        "aws:securetransport": ["true"],  # the emulator's plain HTTP stands for AWS's HTTPS
        "aws:useragent": [call.environ.get("HTTP_USER_AGENT", "")],
        "aws:viaawsservice": ["false"],
        "aws:principalisawsservice": ["false"],
    }
    tags = request_tags(params)
    context |= {f"aws:requesttag/{key}".lower(): [value] for key, value in tags.items()}
    if tags:
        context["aws:tagkeys"] = list(tags)
    if call.service == "ecs" and "cluster" in params:
        context["ecs:cluster"] = [arn_of(call, "cluster/" + params["cluster"].rpartition("/")[2])]
    for key, name in (
        ("sts:externalid", "ExternalId"),
        ("sts:rolesessionname", "RoleSessionName"),
        ("iam:permissionsboundary", "PermissionsBoundary"),
    ):
        if isinstance(params.get(name), str):
            context[key] = [params[name]]
    return context


def request_tags(params: dict[str, Any]) -> dict[str, str]:
    """Tags in the parameters of a call, in whatever form its service has them."""
    found: dict[str, str] = {}
    for name in ("Tags", "tags", "TagSpecifications", "TagSpecification"):
        value = params.get(name) or {}
        if isinstance(value, dict):
            found |= {key: each for key, each in value.items() if isinstance(each, str)}
            continue
        for tag in [tag for each in value for tag in each.get("Tags", [each])]:
            key = tag.get("Key") or tag.get("key") or tag.get("TagKey")
            if key:
                found[key] = str(tag.get("Value") or tag.get("value") or tag.get("TagValue") or "")
    return found


def arn_of(call: Call, resource: str) -> str:
    """ARN of something in the region of a call."""
    return f"arn:aws:{PREFIXES.get(call.service, call.signing_name)}:{call.region}:{ACCOUNT}:{resource}"


def resources_of(call: Call, params: dict[str, Any]) -> Iterator[str]:
    """ARNs of what a call is about, or C(*)."""
    found: list[str] = []
    if (pattern := UNSCOPED.get(call.service)) is None or not pattern.match(call.operation):
        special = {"s3": s3_resources, "iam": iam_resources, "ec2": ec2_resources, "kms": kms_resources, "secretsmanager": secret_resources}
        found = list(special.get(call.service, named_resources)(call, params))
    yield from found or ["*"]


def named_resources(call: Call, params: dict[str, Any]) -> Iterator[str]:
    """ARNs among the parameters, or made of the names in RESOURCES."""
    fill = {"cluster": "default", "logStreamName": ""} | {key: value for key, value in params.items() if isinstance(value, str)}
    fill["cluster"] = fill["cluster"].rpartition("/")[2]
    for name, template in RESOURCES.get(call.service, {}).items():
        if values := params.get(name):
            for value in values if isinstance(values, list | dict) else [values]:
                yield (
                    value
                    if value.startswith("arn:")
                    else arn_of(call, template.format(value.lstrip("/") if call.service == "ssm" else value, **fill))
                )
            return
    for name, value in params.items():
        if re.search(r"arns?$", name, re.IGNORECASE) and value:
            yield from (each for each in listed(value) if isinstance(each, str))
            return


def s3_resources(call: Call, params: dict[str, Any]) -> Iterator[str]:
    """The bucket or object in the path."""
    path = call.environ["PATH_INFO"].strip("/")
    if path:
        yield f"arn:aws:s3:::{path}" + ("/*" if call.operation == "DeleteObjects" else "")


def iam_arn(kind: str, name: str, path: str) -> str:
    """ARN of something of IAM, with the path that it has, or is to have."""
    find = {"user": iam().get_user, "role": iam().get_role, "group": iam().get_group, "instance-profile": iam().get_instance_profile}
    try:
        return str(find[kind](name).arn)
    except Exception:  # the call will say so
        return f"arn:aws:iam::{ACCOUNT}:{kind}{path}{name}"


def iam_resources(call: Call, params: dict[str, Any]) -> Iterator[str]:
    """What the operation's name says it is about."""
    if "PolicySourceArn" in params:
        yield params["PolicySourceArn"]
    for word, kind in sorted(IAM_KINDS.items(), key=lambda item: -call.operation.find(item[0])):
        if f"{word}Name" in params and (kind != "policy" or call.operation == "CreatePolicy"):
            name, path = params[f"{word}Name"], params.get("Path", "/")
            yield f"arn:aws:iam::{ACCOUNT}:policy{path}{name}" if kind == "policy" else iam_arn(kind, name, path)
            return
    if "PolicyArn" in params:
        yield params["PolicyArn"]


def ec2_resources(call: Call, params: dict[str, Any]) -> Iterator[str]:
    """Everything whose id is among the parameters, and what is to be made."""
    values = [each for value in params.values() for each in listed(value) if isinstance(each, str)]
    kinds = {value: EC2_IDS[match[1]] for value in values if (match := EC2_ID.match(value))}
    if created := EC2_CREATED.get(call.operation):
        kinds["*"] = created
    for identifier, kind in kinds.items():
        yield arn_of(call, f"{kind}/{identifier}")


def find_key(region: str, identifier: str) -> Key | None:
    """A KMS key by its id, ARN, alias or alias's ARN."""
    keys = kms_backends[ACCOUNT][region].keys
    name = identifier.rpartition(":")[2]
    if name.startswith("alias/"):
        return next((key for key in keys.values() if name in key.aliases), None)
    return keys.get(name.removeprefix("key/"))


def kms_resources(call: Call, params: dict[str, Any]) -> Iterator[str]:
    """The key, by its id, ARN or alias."""
    for name in ("KeyId", "TargetKeyId"):
        if key := find_key(call.region, params.get(name, "")):
            yield key.arn
    if "AliasName" in params:
        yield arn_of(call, params["AliasName"])


def secret_resources(call: Call, params: dict[str, Any]) -> Iterator[str]:
    """The secret, by its name or ARN."""
    name = params.get("SecretId") or params.get("Name")
    if name:
        secrets = get_backend("secretsmanager")[ACCOUNT][call.region].secrets
        yield name if name.startswith("arn:") else secrets[name].arn if name in secrets else arn_of(call, f"secret:{name}-??????")


def tags_of(call: Call, arn: str) -> dict[str, str]:
    """Tags of a resource, as moto's tagging API sees them."""
    backend = get_backend("ec2" if call.service == "ec2" else call.service)[ACCOUNT][call.region if call.service != "iam" else "aws"]
    if call.service == "iam":
        entity = next((each for each in (*iam().roles.values(), *iam().users.values()) if each.arn == arn), None)
        return {tag["Key"]: tag["Value"] for tag in (entity.tags if entity else None) or []}
    if isinstance(backend, TaggableResourcesMixin):
        return next((resource.tags for resource in backend.iter_tagged_resources() if resource.arn == arn), {})
    return {}


# The judgement


def resource_policy(call: Call, arn: str) -> str | None:
    """The policy that a resource has of its own, None where it has none or moto keeps none."""
    service, name = (arn.split(":")[2], arn.rpartition(":")[2]) if ":" in arn else ("", "")
    find: dict[str, Callable[[], Any]] = {
        "iam": lambda: iam().get_role_by_arn(arn).assume_role_policy_document if call.service == "sts" else None,
        "s3": lambda: get_backend("s3")[ACCOUNT]["aws"].buckets[name.partition("/")[0]].policy,
        "sns": lambda: get_backend("sns")[ACCOUNT][call.region].topics[arn].policy,
        "kms": lambda: get_backend("kms")[ACCOUNT][call.region].keys[name.partition("/")[2]].policy,
        "ecr": lambda: get_backend("ecr")[ACCOUNT][call.region].repositories[name.partition("/")[2]].policy,
        "secretsmanager": lambda: get_backend("secretsmanager")[ACCOUNT][call.region].secrets[arn].policy,
    }
    try:
        policy = find[service]()
    except Exception:  # it has no such service, or there is no such resource
        return None
    return policy.decode() if isinstance(policy, bytes) else policy


def judge(call: Call, caller: Caller, request: Request) -> None:
    """Raise AwsError unless all policies together allow the request."""
    request.context = request.context | caller.context
    request.context |= {"aws:principalarn": [caller.principal.arn], "aws:principalaccount": [caller.principal.account]}
    policy = resource_policy(call, request.resource)
    by_resource = decide([policy], request, caller.principal) if policy else IMPLICIT_DENY
    decisions = {"identity-based policy": decide(caller.identity, request)}
    if caller.boundary:
        decisions["permissions boundary"] = decide([caller.boundary], request)
    if caller.session:
        decisions["session policy"] = decide(caller.session, request)
    # Keys and roles are reached through their own policy only: nobody is let in by what is attached to themselves alone.
    if by_resource == EXPLICIT_DENY or (policy and request.action.startswith(("kms:", "sts:"))):
        decisions["resource-based policy"] = by_resource
    reasons = [f"with an explicit deny in {_article(name)}" for name, decision in decisions.items() if decision == EXPLICIT_DENY]
    if policy and by_resource == ALLOWED and _names(policy, request, caller.principal):
        decisions["identity-based policy"] = ALLOWED
    reasons += [
        f"because no {name} allows the {request.action} action" for name, decision in decisions.items() if decision == IMPLICIT_DENY
    ]
    if reasons:
        message = f"User: {caller.arn} is not authorized to perform: {request.action} on resource: {request.resource} {reasons[0]}"
        raise refusal(call, 0, f"You are not authorized to perform this operation. {message}" if call.service == "ec2" else message)


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _names(policy: str, request: Request, principal: Principal) -> bool:
    """Whether a resource's policy lets the caller in by name, and not only the account: then no policy of the caller's own is needed."""
    return any(
        statement["Effect"] == "Allow"
        and applies(statement, request, principal)
        and not is_account(statement.get("Principal"), principal.account)
        for statement in statements(policy)
    )


def service_may(policy: str | bytes | None, action: str, resource: str, service: str, source_arn: str, **keys: str) -> bool:
    """Whether a resource's policy (JSON) lets a service of AWS in, such as C(cloudwatch.amazonaws.com) on behalf of an alarm's ARN.

    More condition keys can be given by name, in lower case.
    """
    text = policy.decode() if isinstance(policy, bytes) else policy or ""
    context = {"aws:sourcearn": [source_arn], "aws:sourceaccount": [source_arn.split(":")[4]], "aws:principalisawsservice": ["true"]}
    context |= {key: [value] for key, value in keys.items()}
    return decide([text], Request(action, resource, context), Principal(service=service)) == ALLOWED


def service_may_assume(role_arn: str, service: str, source_arn: str) -> bool:
    """Whether a service can take a role: it is there, IAM knows it everywhere by now, and its trust policy names the service."""
    role = find_role(role_arn)
    if role is None or getattr(role, "fresh", 0):
        return False
    return service_may(role.assume_role_policy_document, "sts:AssumeRole", role_arn, service, source_arn)


def session_of(role_arn: str, name: str) -> AssumedRole:
    """A session of a role as a service makes it for what it runs, such as ECS for a task; it has the keys and outlives every test."""
    return sts_backends[ACCOUNT]["aws"].assume_role(
        region_name="us-east-1", role_session_name=name, role_arn=role_arn, policy="", duration=SERVICE_SESSION_SECONDS, external_id=""
    )
