"""Requests that do not fit the service's model: in each protocol, with the error of each kind of service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


@conforms("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html")
def test_ec2_missing_member(aws: Callable[..., Any]) -> None:
    ec2 = aws("ec2")
    ec2.create_launch_template(LaunchTemplateName="missing-member", LaunchTemplateData={"InstanceType": "t3.micro"})
    message = refused("MissingParameter", ec2.create_launch_template, LaunchTemplateName="missing-member-2")
    assert message == "The request must contain the parameter launchTemplateData"


@conforms("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html")
def test_ec2_wrong_enum(aws: Callable[..., Any]) -> None:
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", InstanceTenancy="default")["Vpc"]["VpcId"]
    service = "com.amazonaws.eu-central-1.s3"
    message = refused("InvalidParameterValue", ec2.create_vpc_endpoint, VpcId=vpc, ServiceName=service, VpcEndpointType="gateway")
    assert message.startswith("Value (gateway) for parameter vpcEndpointType is invalid.")
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, VpcEndpointType="Gateway")


@conforms("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html")
def test_ec2_out_of_range(aws: Callable[..., Any]) -> None:
    refused("InvalidParameterValue", aws("ec2").describe_subnets, MaxResults=4)
    aws("ec2").describe_subnets(MaxResults=5)


@conforms("https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html")
def test_query_missing_member(aws: Callable[..., Any]) -> None:
    message = refused("ValidationError", aws("iam").create_role, RoleName="missing-member")
    assert message == (
        "1 validation error detected: Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null"
    )
    aws("iam").create_role(RoleName="missing-member", AssumeRolePolicyDocument=TRUST)


@conforms("https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html")
def test_query_wrong_enum(aws: Callable[..., Any]) -> None:
    vpc = aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = {"Name": "wrong-enum", "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip"}
    message = refused("ValidationError", aws("elbv2").create_target_group, **group | {"TargetType": "IP"})
    assert "Value 'IP' at 'targetType' failed to satisfy constraint: Member must satisfy enum value set: [" in message
    aws("elbv2").create_target_group(**group)


@conforms("https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html")
def test_query_too_long(aws: Callable[..., Any]) -> None:
    role = {"AssumeRolePolicyDocument": TRUST, "RoleName": "r" * 64}
    message = refused("ValidationError", aws("iam").create_role, **role, Description="d" * 1001)
    assert "at 'description' failed to satisfy constraint: Member must have length less than or equal to 1000" in message
    aws("iam").create_role(**role, Description="d" * 1000)


@conforms("https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html")
def test_query_out_of_range(aws: Callable[..., Any]) -> None:
    trust = TRUST.replace('"Service": "ecs-tasks.amazonaws.com"', '"AWS": "123456789012"')
    session = {
        "RoleArn": aws("iam").create_role(RoleName="out-of-range", AssumeRolePolicyDocument=trust)["Role"]["Arn"],
        "RoleSessionName": "session",
    }
    message = refused("ValidationError", aws("sts").assume_role, **session, DurationSeconds=899)
    assert "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900" in message
    aws("sts").assume_role(**session, DurationSeconds=900)


@conforms("https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html")
def test_query_bad_pattern(aws: Callable[..., Any]) -> None:
    # A dash that is no hyphen: IAM's descriptions take Latin-1 only.
    role = {"RoleName": "bad-pattern", "AssumeRolePolicyDocument": TRUST}
    message = refused("ValidationError", aws("iam").create_role, **role, Description="role \N{EM DASH} of tasks")
    assert "at 'description' failed to satisfy constraint: Member must satisfy regular expression pattern: " in message
    aws("iam").create_role(**role, Description="r\u00f4le - of tasks")


@conforms("https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html")
def test_query_bad_pattern_in_a_list(aws: Callable[..., Any]) -> None:
    tags = [{"Key": "threetier:stack", "Value": "Gr\u00fc\u00dfe 1"}]
    message = refused("ValidationError", aws("iam").create_user, UserName="list", Tags=[*tags, {"Key": "c", "Value": "<d>"}])
    assert "at 'tags.2.member.value' failed to satisfy constraint" in message
    aws("iam").create_user(UserName="list", Tags=tags)


@conforms("https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html")
def test_json_missing_member(aws: Callable[..., Any]) -> None:
    aws("dynamodb").list_tables()
    message = refused("ValidationException", aws("dynamodb").put_item, Item={"id": {"S": "1"}})
    assert message == "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null"


@conforms("https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html")
def test_json_wrong_type(aws: Callable[..., Any]) -> None:
    definition = {"family": "wrong-type", "containerDefinitions": [{"name": "web", "image": "web", "memory": 64}]}
    environment = {"environment": [{"name": "PORT", "value": 80}]}
    wrong = [definition["containerDefinitions"][0] | environment]
    message = refused("SerializationException", aws("ecs").register_task_definition, family="wrong-type", containerDefinitions=wrong)
    assert message == "NUMBER_VALUE cannot be converted to String"
    aws("ecs").register_task_definition(**definition)


@conforms("https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html")
def test_json_wrong_enum(aws: Callable[..., Any]) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["KeyId"]
    grant = {"KeyId": key, "GranteePrincipal": "arn:aws:iam::123456789012:root"}
    message = refused("ValidationException", aws("kms").create_grant, **grant, Operations=["decrypt"])
    assert "Value 'decrypt' at 'operations.1.member' failed to satisfy constraint: Member must satisfy enum value set: [" in message
    aws("kms").create_grant(**grant, Operations=["Decrypt"])


@conforms("https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html")
def test_logs_bad_pattern(aws: Callable[..., Any]) -> None:
    message = refused("InvalidParameterException", aws("logs").create_log_group, logGroupName="/threetier/demo web")
    assert "at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: " in message
    aws("logs").create_log_group(logGroupName="/threetier/demo#web")


@conforms("https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html")
def test_json_too_long(aws: Callable[..., Any]) -> None:
    message = refused("ValidationException", aws("kms").create_key, Description="d" * 8193)
    assert message.endswith("at 'description' failed to satisfy constraint: Member must have length less than or equal to 8192")
    aws("kms").create_key(Description="d" * 8192)


@conforms("https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html")
def test_json_out_of_range(aws: Callable[..., Any]) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["KeyId"]
    message = refused("ValidationException", aws("kms").schedule_key_deletion, KeyId=key, PendingWindowInDays=0)
    assert "Value '0' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than or equal to 1" in message
    aws("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


@conforms("https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html")
def test_json_several_violations(aws: Callable[..., Any]) -> None:
    message = refused(
        "ValidationException", aws("dynamodb").create_table, TableName="several", BillingMode="FREE",
        KeySchema=[], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    assert message.startswith("2 validation errors detected: Value ")
    assert "'keySchema'" in message and "'billingMode'" in message


@conforms("https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html")
def test_ecs_wrong_enum(aws: Callable[..., Any]) -> None:
    create = aws("ecs").create_cluster
    refused("InvalidParameterException", create, clusterName="wrong-enum", settings=[{"name": "insights", "value": "enabled"}])
    create(clusterName="wrong-enum", settings=[{"name": "containerInsights", "value": "enabled"}])


@conforms("https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html")
def test_ecs_wrong_enum_of_a_task_definition(aws: Callable[..., Any]) -> None:
    definition = {"family": "wrong-enum", "containerDefinitions": [{"name": "web", "image": "web", "memory": 64}]}
    refused("ClientException", aws("ecs").register_task_definition, **definition, networkMode="awsVpc")
    aws("ecs").register_task_definition(**definition, networkMode="bridge")


@conforms("https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html")
def test_ecs_too_long(aws: Callable[..., Any]) -> None:
    refused("InvalidParameterException", aws("ecs").create_cluster, clusterName="too-long", tags=[{"key": "k" * 129, "value": "v"}])
    aws("ecs").create_cluster(clusterName="too-long", tags=[{"key": "k" * 128, "value": "v"}])


@conforms("https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html")
def test_ecr_wrong_enum(aws: Callable[..., Any]) -> None:
    message = refused("InvalidParameterException", aws("ecr").create_repository, repositoryName="wrong-enum", imageTagMutability="NEVER")
    assert message.startswith(
        "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value set: ["
    )
    aws("ecr").create_repository(repositoryName="wrong-enum", imageTagMutability="IMMUTABLE")


@conforms("https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
def test_s3_malformed_xml(aws: Callable[..., Any]) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="malformed", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    rule = {"ID": "logs", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    put = s3.put_bucket_lifecycle_configuration
    refused("MalformedXML", put, Bucket="malformed", LifecycleConfiguration={"Rules": [rule | {"Status": "On"}]})
    put(Bucket="malformed", LifecycleConfiguration={"Rules": [rule | {"Status": "Enabled"}]})


@conforms("https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html")
def test_sns_missing_member(aws: Callable[..., Any]) -> None:
    topic = aws("sns").create_topic(Name="missing-member")["TopicArn"]
    refused("ValidationError", aws("sns").subscribe, TopicArn=topic, Endpoint="https://example.com")
    aws("sns").subscribe(TopicArn=topic, Protocol="https", Endpoint="https://example.com")
