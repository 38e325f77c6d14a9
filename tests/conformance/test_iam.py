"""IAM and STS: deletions, limits, new roles, and what policies let callers do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

ACCOUNT = "123456789012"
IAM = "https://docs.aws.amazon.com/IAM/latest"
Aws = Callable[..., Any]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*"} | each for each in statements]})


def trust(*, condition: dict[str, Any] | None = None, **principal: str) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | ({"Condition": condition} if condition else {})]})


def role(aws: Aws, name: str, **principal: str) -> str:
    document = trust(**principal or {"Service": "ecs-tasks.amazonaws.com"})
    return str(aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])


READ_TABLES = policy({"Action": "dynamodb:ListTables"})
LONG = policy({"Action": [f"dynamodb:{'A' * 90}{number}" for number in range(120)]})


@conforms(f"{IAM}/APIReference/API_DeleteUser.html")
def test_user_with_belongings(aws: Aws) -> None:
    iam = aws("iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
    iam.create_group(GroupName="ann")
    iam.add_user_to_group(GroupName="ann", UserName="ann")
    assert "group" in refused("DeleteConflict", iam.delete_user, UserName="ann")
    iam.remove_user_from_group(GroupName="ann", UserName="ann")
    assert "access keys" in refused("DeleteConflict", iam.delete_user, UserName="ann")
    iam.delete_access_key(UserName="ann", AccessKeyId=key)
    iam.create_login_profile(UserName="ann", Password="Not-a-secret-1")
    assert "login profile" in refused("DeleteConflict", iam.delete_user, UserName="ann")
    iam.delete_login_profile(UserName="ann")
    iam.delete_user(UserName="ann")


@conforms(f"{IAM}/APIReference/API_DeleteGroup.html")
def test_group_with_members(aws: Aws) -> None:
    iam = aws("iam")
    iam.create_group(GroupName="full")
    iam.create_user(UserName="member")
    iam.add_user_to_group(GroupName="full", UserName="member")
    refused("DeleteConflict", iam.delete_group, GroupName="full")
    iam.remove_user_from_group(GroupName="full", UserName="member")
    iam.put_group_policy(GroupName="full", PolicyName="p", PolicyDocument=READ_TABLES)
    refused("DeleteConflict", iam.delete_group, GroupName="full")
    iam.delete_group_policy(GroupName="full", PolicyName="p")
    iam.delete_group(GroupName="full")


@conforms(f"{IAM}/APIReference/API_DeletePolicy.html")
def test_policy_in_use(aws: Aws) -> None:
    iam = aws("iam")
    arn = iam.create_policy(PolicyName="used", PolicyDocument=READ_TABLES)["Policy"]["Arn"]
    role(aws, "user-of-a-policy")
    iam.attach_role_policy(RoleName="user-of-a-policy", PolicyArn=arn)
    assert "attached" in refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    iam.detach_role_policy(RoleName="user-of-a-policy", PolicyArn=arn)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=READ_TABLES)
    assert "version" in refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.delete_policy(PolicyArn=arn)


@conforms(f"{IAM}/UserGuide/id_roles_create-service-linked-role.html")
def test_role_of_a_service(aws: Aws) -> None:
    iam = aws("iam")
    iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    name = "AWSServiceRoleForECS"
    refused("UnmodifiableEntity", iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=READ_TABLES)
    refused("UnmodifiableEntity", iam.delete_role, RoleName=name)
    iam.delete_service_linked_role(RoleName=name)
    refused("NoSuchEntity", iam.get_role, RoleName=name)


@conforms(f"{IAM}/APIReference/API_CreateRole.html")
def test_name_taken_in_another_case(aws: Aws) -> None:
    role(aws, "camel")
    document = trust(Service="ecs-tasks.amazonaws.com")
    refused("EntityAlreadyExists", aws("iam").create_role, RoleName="Camel", AssumeRolePolicyDocument=document)
    role(aws, "camel2")


@conforms(f"{IAM}/UserGuide/reference_iam-quotas.html")
def test_inline_policies_too_long(aws: Aws) -> None:
    iam = aws("iam")
    iam.create_user(UserName="wordy")
    half = policy({"Action": [f"dynamodb:{'A' * 90}{number}" for number in range(10)]})
    iam.put_user_policy(UserName="wordy", PolicyName="one", PolicyDocument=half)
    assert "2048" in refused("LimitExceeded", iam.put_user_policy, UserName="wordy", PolicyName="two", PolicyDocument=half)
    iam.put_user_policy(UserName="wordy", PolicyName="one", PolicyDocument=half)
    role(aws, "wordy")
    iam.put_role_policy(RoleName="wordy", PolicyName="one", PolicyDocument=half)
    iam.put_role_policy(RoleName="wordy", PolicyName="two", PolicyDocument=half)
    assert "10240" in refused("LimitExceeded", iam.put_role_policy, RoleName="wordy", PolicyName="three", PolicyDocument=LONG)


@conforms(f"{IAM}/UserGuide/reference_iam-quotas.html")
def test_managed_policy_too_long(aws: Aws) -> None:
    refused("LimitExceeded", aws("iam").create_policy, PolicyName="long", PolicyDocument=LONG)
    spaced = READ_TABLES.replace(" ", " " * 2000)
    arn = aws("iam").create_policy(PolicyName="spaced", PolicyDocument=spaced)["Policy"]["Arn"]
    refused("LimitExceeded", aws("iam").create_policy_version, PolicyArn=arn, PolicyDocument=LONG)


@conforms(f"{IAM}/UserGuide/reference_iam-quotas.html")
def test_trust_policy_too_long(aws: Aws) -> None:
    many = {"StringEquals": {"aws:SourceAccount": [f"{number:012}" for number in range(200)]}}
    document = trust(Service="ecs-tasks.amazonaws.com", condition=many)
    refused("LimitExceeded", aws("iam").create_role, RoleName="trusting", AssumeRolePolicyDocument=document)
    role(aws, "trusting")


@conforms(f"{IAM}/UserGuide/reference_iam-quotas.html")
def test_too_many_policies(aws: Aws) -> None:
    iam = aws("iam")
    role(aws, "collector")
    policies = [iam.create_policy(PolicyName=f"p{number}", PolicyDocument=READ_TABLES)["Policy"]["Arn"] for number in range(11)]
    for arn in policies[:10]:
        iam.attach_role_policy(RoleName="collector", PolicyArn=arn)
    refused("LimitExceeded", iam.attach_role_policy, RoleName="collector", PolicyArn=policies[10])
    iam.attach_role_policy(RoleName="collector", PolicyArn=policies[0])


@conforms(f"{IAM}/UserGuide/reference_policies_elements_principal.html")
def test_trust_in_nobody(aws: Aws) -> None:
    arn = aws("iam").create_user(UserName="trusted")["User"]["Arn"]
    document = trust(AWS=arn.replace("trusted", "nobody"))
    message = refused("MalformedPolicyDocument", aws("iam").create_role, RoleName="of-nobody", AssumeRolePolicyDocument=document)
    assert "nobody" in message
    role(aws, "of-somebody", AWS=arn)


@conforms(f"{IAM}/APIReference/API_PutUserPermissionsBoundary.html")
def test_boundary_of_a_user(aws: Aws) -> None:
    iam = aws("iam")
    arn = iam.create_policy(PolicyName="boundary", PolicyDocument=READ_TABLES)["Policy"]["Arn"]
    iam.create_user(UserName="bounded")
    refused("NoSuchEntity", iam.put_user_permissions_boundary, UserName="bounded", PermissionsBoundary=arn + "-none")
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=arn)
    assert iam.get_user(UserName="bounded")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn


@conforms(f"{IAM}/APIReference/API_PutRolePermissionsBoundary.html")
def test_boundary_that_is_none(aws: Aws) -> None:
    iam = aws("iam")
    arn = iam.create_policy(PolicyName="role-boundary", PolicyDocument=READ_TABLES)["Policy"]["Arn"]
    role(aws, "bounded-role")
    refused("NoSuchEntity", iam.put_role_permissions_boundary, RoleName="bounded-role", PermissionsBoundary=arn + "-none")
    iam.put_role_permissions_boundary(RoleName="bounded-role", PermissionsBoundary=arn)


@conforms(f"{IAM}/APIReference/API_SimulatePrincipalPolicy.html")
def test_simulation(aws: Aws) -> None:
    iam = aws("iam")
    arn = iam.create_user(UserName="simulated")["User"]["Arn"]
    statement = {"Action": "dynamodb:*", "Condition": {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}}
    document = policy(statement, {"Effect": "Deny", "Action": "dynamodb:Delete*"})
    iam.put_user_policy(UserName="simulated", PolicyName="p", PolicyDocument=document)

    def decisions(time: str | None) -> list[str]:
        context = [{"ContextKeyName": "aws:CurrentTime", "ContextKeyValues": [time], "ContextKeyType": "date"}] if time else []
        actions = ["dynamodb:GetItem", "dynamodb:DeleteTable", "s3:GetObject"]
        answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions, ContextEntries=context)
        if not time:
            assert answer["EvaluationResults"][0]["MissingContextValues"] == ["aws:CurrentTime"]
        return [result["EvalDecision"] for result in answer["EvaluationResults"]]

    assert decisions("2029-01-01T00:00:00Z") == ["allowed", "explicitDeny", "implicitDeny"]
    assert decisions("2031-01-01T00:00:00Z") == ["implicitDeny", "explicitDeny", "implicitDeny"]
    assert decisions(None)[0] == "implicitDeny"


@conforms("https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html")
def test_session_of_a_role_that_is_there(aws: Aws) -> None:
    sts = aws("sts")
    arn = role(aws, "assumed", AWS=ACCOUNT)
    refused("AccessDenied", sts.assume_role, RoleArn=arn + "-none", RoleSessionName="test")
    assert sts.assume_role(RoleArn=arn, RoleSessionName="test")["AssumedRoleUser"]["Arn"].endswith("assumed-role/assumed/test")


@conforms(f"{IAM}/UserGuide/id_roles_use.html")
def test_session_too_long(aws: Aws) -> None:
    arn = role(aws, "short", AWS=ACCOUNT)
    refused("ValidationError", aws("sts").assume_role, RoleArn=arn, RoleSessionName="test", DurationSeconds=7200)
    aws("iam").update_role(RoleName="short", MaxSessionDuration=7200)
    aws("sts").assume_role(RoleArn=arn, RoleSessionName="test", DurationSeconds=7200)


@conforms("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshoot-iam.html")
def test_instance_profile_not_usable(aws: Aws) -> None:
    ec2, iam = aws("ec2"), aws("iam")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    iam.create_instance_profile(InstanceProfileName="instances")
    instance = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
    message = refused("InvalidParameterValue", ec2.run_instances, **instance, IamInstanceProfile={"Name": "none"})
    assert "Invalid IAM Instance Profile name" in message
    assert "no associated" in refused("InvalidParameterValue", ec2.run_instances, **instance, IamInstanceProfile={"Name": "instances"})
    data = {"ImageId": image, "InstanceType": "t3.small", "IamInstanceProfile": {"Name": "instances"}}
    ec2.create_launch_template(LaunchTemplateName="instances", LaunchTemplateData=data)
    group = {"LaunchTemplate": {"LaunchTemplateName": "instances"}, "MinSize": 0, "MaxSize": 0, "AvailabilityZones": ["eu-central-1a"]}
    refused("ValidationError", aws("autoscaling").create_auto_scaling_group, AutoScalingGroupName="instances", **group)
    role(aws, "instances", Service="ec2.amazonaws.com")
    iam.add_role_to_instance_profile(InstanceProfileName="instances", RoleName="instances")
    aws("autoscaling").create_auto_scaling_group(AutoScalingGroupName="instances", **group)


@conforms("https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html")
def test_flow_log_role_not_usable(aws: Aws) -> None:
    vpc = aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    wrong, right = role(aws, "no-flow-logs"), role(aws, "flow-logs", Service="vpc-flow-logs.amazonaws.com")
    log = {"ResourceIds": [vpc], "ResourceType": "VPC", "TrafficType": "ALL", "LogGroupName": "flow"}
    aws("logs").create_log_group(logGroupName="flow")
    assert "Unable to assume" in refused("InvalidParameter", aws("ec2").create_flow_logs, **log, DeliverLogsPermissionArn=wrong)
    assert not aws("ec2").create_flow_logs(**log, DeliverLogsPermissionArn=right).get("Unsuccessful")


@conforms("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-task-iam-roles.html")
def test_task_role_not_usable(aws: Aws) -> None:
    ecs = aws("ecs")
    ecs.create_cluster(clusterName="roles")
    subnet = aws("ec2").describe_subnets()["Subnets"][0]
    groups = aws("ec2").describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])["SecurityGroups"]
    network = {"subnets": [subnet["SubnetId"]], "securityGroups": [groups[0]["GroupId"]]}
    run = {"cluster": "roles", "launchType": "FARGATE", "networkConfiguration": {"awsvpcConfiguration": network}}
    foreign = trust(Service="ecs-tasks.amazonaws.com", condition={"StringEquals": {"aws:SourceAccount": "210987654321"}})
    iam = aws("iam")
    arns = {
        "of-instances": role(aws, "of-instances", Service="ec2.amazonaws.com"),
        "of-others": iam.create_role(RoleName="of-others", AssumeRolePolicyDocument=foreign)["Role"]["Arn"],
        "of-tasks": role(aws, "of-tasks"),
    }
    for name, arn in arns.items():
        ecs.register_task_definition(
            family=name, taskRoleArn=arn, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[{"name": "main", "image": "registry.example/page:1", "memory": 512, "cpu": 256}],
        )  # fmt: skip
    assert "unable to assume the role" in refused("ClientException", ecs.run_task, taskDefinition="of-instances", **run)
    refused("ClientException", ecs.run_task, taskDefinition="of-others", **run)
    assert ecs.run_task(taskDefinition="of-tasks", **run)["tasks"]


@conforms(f"{IAM}/APIReference/API_CreateServiceLinkedRole.html")
def test_service_linked_role_twice(aws: Aws) -> None:
    service = "ecs.application-autoscaling.amazonaws.com"
    created = aws("iam").create_service_linked_role(AWSServiceName=service)["Role"]
    assert created["RoleName"] == "AWSServiceRoleForApplicationAutoScaling_ECSService"
    refused("InvalidInput", aws("iam").create_service_linked_role, AWSServiceName=service)


@conforms("https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html")
def test_service_linked_role_appears(aws: Aws) -> None:
    group = {"MinSize": 0, "MaxSize": 0, "AvailabilityZones": ["eu-central-1a"]}
    image = aws("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    aws("ec2").create_launch_template(LaunchTemplateName="plain", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"})
    aws("autoscaling").create_auto_scaling_group(AutoScalingGroupName="plain", LaunchTemplate={"LaunchTemplateName": "plain"}, **group)
    assert aws("iam").get_role(RoleName="AWSServiceRoleForAutoScaling")["Role"]["Path"] == "/aws-service-role/autoscaling.amazonaws.com/"


@conforms(f"{IAM}/APIReference/API_ListServiceSpecificCredentials.html")
def test_no_user_has_such_credentials(aws: Aws) -> None:
    aws("iam").create_user(UserName="without-credentials")
    assert aws("iam").list_service_specific_credentials(UserName="without-credentials")["ServiceSpecificCredentials"] == []
    refused("NoSuchEntity", aws("iam").list_service_specific_credentials, UserName="none")
