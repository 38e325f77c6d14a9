"""What IAM lets users and roles do: their policies, with conditions, boundaries, sessions, and the policies of resources and roles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml
from conformance.support import conforms, refused
from support import ROOT

ACCOUNT = "123456789012"
GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
Aws = Callable[..., Any]
Client = Callable[[str], Any]
Statement = dict[str, Any]


@pytest.fixture(autouse=True)
def enforcement(endpoint: str) -> Iterator[None]:
    """IAM's enforcement is on. Bare moto has no such switch; there each test must fail by itself."""

    def switch(value: bytes) -> None:
        with suppress(HTTPError):
            urlopen(Request(f"{endpoint}/emulator/enforce-iam", data=value, method="POST")).close()

    switch(b"true")
    yield
    switch(b"false")


def policy(*statements: Statement) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow"} | ({} if "NotResource" in each else {"Resource": "*"}) | each for each in statements],
        }
    )


def clients(aws: Aws, credentials: dict[str, str]) -> Client:
    """Makes clients that sign with other credentials."""
    keys = {"aws_access_key_id": credentials["AccessKeyId"], "aws_secret_access_key": credentials["SecretAccessKey"]}
    if "SessionToken" in credentials:
        keys["aws_session_token"] = credentials["SessionToken"]
    return lambda service: aws(service, **keys)


def user(aws: Aws, name: str, *statements: Statement, **options: Any) -> Client:
    """A new user with one policy: clients that sign with its key."""
    iam = aws("iam")
    iam.create_user(UserName=name, **options)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
    return clients(aws, iam.create_access_key(UserName=name)["AccessKey"])


def table(aws: Aws, name: str) -> str:
    created = aws("dynamodb").create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    return str(created["TableDescription"]["TableArn"])


def at(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


@conforms(f"{GUIDE}/reference_policies_evaluation-logic.html")
def test_nothing_is_allowed_by_default(aws: Aws) -> None:
    nobody = user(aws, "nobody")
    message = refused("AccessDeniedException", nobody("dynamodb").list_tables)
    assert message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/nobody is not authorized to perform: dynamodb:ListTables on resource: * "
        "because no identity-based policy allows the dynamodb:ListTables action"
    )
    assert "You are not authorized to perform" in refused("UnauthorizedOperation", nobody("ec2").describe_vpcs)
    refused("AccessDenied", nobody("iam").list_users)
    refused("AccessDenied", nobody("s3").list_buckets)
    refused("AuthorizationError", nobody("sns").list_topics)
    refused("AccessDenied", nobody("cloudwatch").describe_alarms)
    assert nobody("sts").get_caller_identity()["Arn"].endswith("user/nobody")
    assert "TableNames" in aws("dynamodb").list_tables()


@conforms(f"{GUIDE}/reference_policies_evaluation-logic.html")
def test_a_denial_wins(aws: Aws) -> None:
    arn = table(aws, "denied")
    limited = user(aws, "limited", {"Action": "dynamodb:*"}, {"Effect": "Deny", "NotAction": "dynamodb:Describe*", "Resource": arn})
    limited("dynamodb").describe_table(TableName="denied")
    assert "explicit deny in an identity-based policy" in refused(
        "AccessDeniedException", limited("dynamodb").delete_table, TableName="denied"
    )


@conforms(f"{GUIDE}/reference_policies_elements_resource.html")
def test_only_the_named_resources(aws: Aws) -> None:
    arn = table(aws, "named-1")
    table(aws, "other-1")
    statement = {"Action": "dynamodb:DescribeTable", "Resource": arn.replace("named-1", "named-?")}
    reader = user(aws, "reader", statement, {"Action": "s3:ListBucket", "NotResource": "arn:aws:s3:::closed*"})
    reader("dynamodb").describe_table(TableName="named-1")
    refused("AccessDeniedException", reader("dynamodb").describe_table, TableName="other-1")
    for bucket in ("open-bucket", "closed-bucket"):
        aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    reader("s3").list_objects_v2(Bucket="open-bucket")
    refused("AccessDenied", reader("s3").list_objects_v2, Bucket="closed-bucket")


@conforms(f"{GUIDE}/reference_policies_variables.html")
def test_policy_variables(aws: Aws) -> None:
    statement = {"Action": "iam:ListAccessKeys", "Resource": f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"}
    own = user(aws, "own", statement)
    user(aws, "foreign")
    own("iam").list_access_keys(UserName="own")
    refused("AccessDenied", own("iam").list_access_keys, UserName="foreign")


@conforms(f"{GUIDE}/reference_policies_elements_condition_operators.html")
@pytest.mark.parametrize(
    ("name", "open_", "shut"),
    [
        ("time", {"DateLessThan": {"aws:CurrentTime": at(1)}}, {"DateLessThan": {"aws:CurrentTime": at(-1)}}),
        ("not-yet", {"DateGreaterThan": {"aws:CurrentTime": at(-1)}}, {"DateGreaterThan": {"aws:CurrentTime": at(1)}}),
        ("address", {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "10.0.0.0/8"]}}),
        ("region", {"StringEquals": {"aws:RequestedRegion": ["eu-central-1"]}}, {"StringNotLike": {"aws:RequestedRegion": "eu-*"}}),
        ("second-factor", {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        ("missing", {"Null": {"aws:PrincipalTag/team": "true"}}, {"Null": {"aws:PrincipalTag/team": "false"}}),
        ("number", {"NumericGreaterThan": {"aws:EpochTime": "1"}}, {"NumericLessThanEquals": {"aws:EpochTime": "1"}}),
        (
            "arn",
            {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/arn-*"}},
            {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}},
        ),
    ],
)
def test_conditions(aws: Aws, name: str, open_: dict[str, Any], shut: dict[str, Any]) -> None:
    user(aws, f"{name}-open", {"Action": "dynamodb:ListTables", "Condition": open_})("dynamodb").list_tables()
    refused(
        "AccessDeniedException", user(aws, f"{name}-shut", {"Action": "dynamodb:ListTables", "Condition": shut})("dynamodb").list_tables
    )


@conforms(f"{GUIDE}/access_tags.html")
def test_tags_as_conditions(aws: Aws) -> None:
    ecs = {
        "Action": ["ecs:CreateCluster", "ecs:TagResource"],
        "Condition": {"StringEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}},
    }
    only = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    ecs["Condition"] |= only
    delete = {"Action": "ecs:DeleteCluster", "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}}
    blue = user(aws, "blue", ecs, delete, Tags=[{"Key": "team", "Value": "blue"}])("ecs")
    refused("AccessDeniedException", blue.create_cluster, clusterName="red", tags=[{"key": "team", "value": "red"}])
    refused(
        "AccessDeniedException",
        blue.create_cluster,
        clusterName="blue",
        tags=[{"key": "team", "value": "blue"}, {"key": "x", "value": "y"}],
    )
    blue.create_cluster(clusterName="blue", tags=[{"key": "team", "value": "blue"}])
    aws("ecs").create_cluster(clusterName="red", tags=[{"key": "team", "value": "red"}])
    refused("AccessDeniedException", blue.delete_cluster, cluster="red")
    blue.delete_cluster(cluster="blue")


@conforms("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html")
def test_tags_need_an_action_of_their_own(aws: Aws) -> None:
    maker = user(aws, "maker", {"Action": "ecs:CreateCluster"})("ecs")
    assert "ecs:TagResource" in refused(
        "AccessDeniedException", maker.create_cluster, clusterName="tagged", tags=[{"key": "a", "value": "b"}]
    )
    maker.create_cluster(clusterName="plain")


@conforms(f"{GUIDE}/id_groups.html")
def test_groups_give_their_policies(aws: Aws) -> None:
    member = user(aws, "member")
    iam = aws("iam")
    iam.create_group(GroupName="readers")
    arn = iam.create_policy(PolicyName="readers", PolicyDocument=policy({"Action": "dynamodb:List*"}))["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="readers", PolicyArn=arn)
    refused("AccessDeniedException", member("dynamodb").list_tables)
    iam.add_user_to_group(GroupName="readers", UserName="member")
    member("dynamodb").list_tables()
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy({"Action": "s3:List*"}), SetAsDefault=True)
    refused("AccessDeniedException", member("dynamodb").list_tables)


@conforms(f"{GUIDE}/access_policies_boundaries.html")
def test_a_boundary_limits(aws: Aws) -> None:
    arn = aws("iam").create_policy(PolicyName="limit", PolicyDocument=policy({"Action": "dynamodb:*"}))["Policy"]["Arn"]
    bounded = user(aws, "bounded", {"Action": "*"}, PermissionsBoundary=arn)
    bounded("dynamodb").list_tables()
    assert "no permissions boundary allows" in refused("AccessDeniedException", bounded("ecs").list_clusters)


@conforms(f"{GUIDE}/id_roles_use_passrole.html")
def test_giving_a_role_away_needs_a_permission(aws: Aws) -> None:
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}]}
    )
    arn = aws("iam").create_role(RoleName="passed", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    may = user(aws, "may-pass", {"Action": "ecs:*"}, {"Action": "iam:PassRole", "Resource": arn, "Condition": to_tasks})("ecs")
    may_not = user(aws, "may-not-pass", {"Action": "ecs:*"})("ecs")
    definition = {
        "family": "passed",
        "taskRoleArn": arn,
        "containerDefinitions": [{"name": "main", "image": "registry.example/page:1", "memory": 64}],
    }
    assert "iam:PassRole" in refused("AccessDeniedException", may_not.register_task_definition, **definition)
    may.register_task_definition(**definition)


@conforms(f"{GUIDE}/reference_policies_elements_principal.html")
def test_a_trust_policy_decides_who_takes_a_role(aws: Aws) -> None:
    ann, bob = user(aws, "ann", {"Action": "sts:AssumeRole"}), user(aws, "bob", {"Action": "sts:AssumeRole"})

    def role(name: str, principal: str, condition: dict[str, Any]) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", "Condition": condition}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        arn = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        aws("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy({"Action": "dynamodb:List*"}))
        return str(arn)

    of_ann = role("of-ann", f"arn:aws:iam::{ACCOUNT}:user/ann", {"StringEquals": {"sts:ExternalId": "secret"}})
    of_all = role("of-all", f"arn:aws:iam::{ACCOUNT}:root", {"DateLessThan": {"aws:CurrentTime": at(1)}})
    expired = role("expired", f"arn:aws:iam::{ACCOUNT}:root", {"DateLessThan": {"aws:CurrentTime": at(-1)}})
    refused("AccessDenied", bob("sts").assume_role, RoleArn=of_ann, RoleSessionName="test", ExternalId="secret")
    refused("AccessDenied", ann("sts").assume_role, RoleArn=of_ann, RoleSessionName="test")
    refused("AccessDenied", bob("sts").assume_role, RoleArn=expired, RoleSessionName="test")
    refused("AccessDenied", user(aws, "eve")("sts").assume_role, RoleArn=of_all, RoleSessionName="test")
    session = clients(aws, ann("sts").assume_role(RoleArn=of_ann, RoleSessionName="test", ExternalId="secret")["Credentials"])
    session("dynamodb").list_tables()
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/of-ann/test" in refused("AccessDeniedException", session("ecs").list_clusters)
    narrow = bob("sts").assume_role(RoleArn=of_all, RoleSessionName="test", Policy=policy({"Action": "ecs:*"}))["Credentials"]
    assert "no session policy allows" in refused("AccessDeniedException", clients(aws, narrow)("dynamodb").list_tables)


@conforms(f"{GUIDE}/id_credentials_access-keys.html")
def test_a_key_that_is_gone(aws: Aws) -> None:
    gone = user(aws, "gone", {"Action": "*"})
    gone("ecs").list_clusters()
    (key,) = aws("iam").list_access_keys(UserName="gone")["AccessKeyMetadata"]
    aws("iam").update_access_key(UserName="gone", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    refused("UnrecognizedClientException", gone("ecs").list_clusters)
    refused("InvalidClientTokenId", gone("iam").list_users)
    refused("AuthFailure", gone("ec2").describe_vpcs)


@conforms("https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html")
def test_a_key_is_reached_through_its_policy(aws: Aws) -> None:
    kms = user(aws, "kms", {"Action": "kms:*"})("kms")
    default = aws("kms").create_key()["KeyMetadata"]["KeyId"]
    other = aws("iam").create_user(UserName="other-of-kms")["User"]["Arn"]
    own = {"Effect": "Allow", "Principal": {"AWS": other}, "Action": "kms:*", "Resource": "*"}
    closed = aws("kms").create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [own]}), BypassPolicyLockoutSafetyCheck=True)[
        "KeyMetadata"
    ]["KeyId"]
    kms.describe_key(KeyId=default)
    assert "no resource-based policy allows" in refused("AccessDeniedException", kms.describe_key, KeyId=closed)


@conforms("https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html")
def test_a_bucket_lets_in_by_its_policy(aws: Aws) -> None:
    guest = user(aws, "guest")("s3")
    aws("s3").create_bucket(Bucket="guests", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    refused("AccessDenied", guest.list_objects_v2, Bucket="guests")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/guest"},
        "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::guests",
    }
    aws("s3").put_bucket_policy(Bucket="guests", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    guest.list_objects_v2(Bucket="guests")


@conforms(f"{GUIDE}/reference_policies_examples_aws-dates.html")
def test_a_reviewer_looks_until_the_time_is_over(aws: Aws) -> None:
    """A user with what roles/reviewers grants."""
    actions = yaml.safe_load((ROOT / "roles" / "reviewers" / "vars" / "main.yml").read_text())["_reviewers_actions"]

    def reviewer(name: str, expires: str) -> Client:
        return user(aws, name, {"Action": actions, "Condition": {"DateLessThan": {"aws:CurrentTime": expires}}})

    table(aws, "reviewed")
    aws("ecs").create_cluster(clusterName="reviewed")
    aws("secretsmanager").create_secret(Name="reviewed", SecretString="not for reviewers")
    aws("logs").create_log_group(logGroupName="/threetier/shop/web")
    now, too_late = reviewer("now", at(1)), reviewer("too-late", at(-1))
    looks: list[tuple[str, str, dict[str, Any]]] = [
        ("dynamodb", "describe_table", {"TableName": "reviewed"}),
        ("ecs", "describe_clusters", {"clusters": ["reviewed"]}),
        ("ec2", "describe_vpcs", {}),
        ("elbv2", "describe_load_balancers", {}),
        ("cloudwatch", "describe_alarms", {}),
        ("autoscaling", "describe_auto_scaling_groups", {}),
        ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "ecs"}),
        ("logs", "filter_log_events", {"logGroupName": "/threetier/shop/web"}),
        ("ecr", "describe_repositories", {}),
        ("resourcegroupstaggingapi", "get_resources", {}),
    ]
    codes = {"ec2": "UnauthorizedOperation", "elbv2": "AccessDenied", "cloudwatch": "AccessDenied", "autoscaling": "AccessDenied"}
    for service, operation, params in looks:
        getattr(now(service), operation)(**params)
        refused(codes.get(service, "AccessDeniedException"), getattr(too_late(service), operation), **params)
    refused("AccessDeniedException", now("dynamodb").get_item, TableName="reviewed", Key={"id": {"S": "1"}})
    refused("AccessDeniedException", now("dynamodb").scan, TableName="reviewed")
    refused("AccessDeniedException", now("secretsmanager").get_secret_value, SecretId="reviewed")
    refused("AccessDeniedException", now("ecs").update_service, cluster="reviewed", service="web", desiredCount=0)
    refused("UnauthorizedOperation", now("ec2").create_vpc, CidrBlock="10.0.0.0/16")
    refused("AccessDenied", now("iam").put_user_policy, UserName="now", PolicyName="more", PolicyDocument=policy({"Action": "*"}))
