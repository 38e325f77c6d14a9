"""ECS: task definitions, services, clusters and capacity providers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from conformance.support import conforms, refused

Aws = Callable[..., Any]

DOCS = "https://docs.aws.amazon.com/AmazonECS/latest/"
LOGS = {"awslogs-group": "shop", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "web"}
TRUST = """{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
]}"""
PATIENCE = 12  # seconds
_numbers = itertools.count()


def new_name() -> str:
    """A name that no other test has."""
    return f"name{next(_numbers)}"


def task(**changes: Any) -> dict[str, Any]:
    """A task definition for Fargate that AWS takes; C(container) changes its only container, None leaves a field out."""
    container = {"name": "web", "image": "nginx", "portMappings": [{"containerPort": 80}], **changes.pop("container", {})}
    definition = {
        "family": new_name(),
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [container],
        **changes,
    }
    return {name: value for name, value in definition.items() if value is not None}


def on_bridge(**changes: Any) -> dict[str, Any]:
    """A task definition for instances, of network mode bridge."""
    return task(networkMode="bridge", requiresCompatibilities=["EC2"], **changes)


def default_subnets(aws: Aws) -> list[dict[str, Any]]:
    """Subnets of the default VPC."""
    return list(aws("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"])


def registered(aws: Aws, definition: dict[str, Any]) -> str:
    """Register a task definition; returns its ARN."""
    return str(aws("ecs").register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"])


def role(aws: Aws) -> str:
    """Make a role that tasks can assume; returns its ARN."""
    return str(aws("iam").create_role(RoleName=new_name(), AssumeRolePolicyDocument=TRUST)["Role"]["Arn"])


def network(aws: Aws, **changes: Any) -> dict[str, Any]:
    """The network of a service: a subnet of the default VPC."""
    subnet = default_subnets(aws)[0]["SubnetId"]
    return {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [], **changes}}}


def cluster(aws: Aws, *providers: str) -> str:
    """Make a cluster; returns its name."""
    name = new_name()
    aws("ecs").create_cluster(clusterName=name, capacityProviders=["FARGATE", "FARGATE_SPOT", *providers])
    return name


def service(aws: Aws, **changes: Any) -> dict[str, Any]:
    """A service without tasks on Fargate that AWS takes; None leaves a field out."""
    made: dict[str, Any] = {"serviceName": new_name(), "desiredCount": 0, "launchType": "FARGATE", **changes}
    if "cluster" not in made:
        made["cluster"] = cluster(aws)
    if "taskDefinition" not in made:
        made["taskDefinition"] = registered(aws, task())
    if "networkConfiguration" not in made:
        made |= network(aws)
    return {name: value for name, value in made.items() if value is not None}


def group(aws: Aws, instances: int = 0, **changes: Any) -> str:
    """Make an auto-scaling group; returns its ARN."""
    name = new_name()
    image = aws("ssm").get_parameter(Name="/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id")["Parameter"]["Value"]
    aws("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"})
    settings = {"MinSize": 0, "MaxSize": 3, "DesiredCapacity": instances, "LaunchTemplate": {"LaunchTemplateName": name}, **changes}
    subnet = default_subnets(aws)[0]["SubnetId"]
    aws("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, VPCZoneIdentifier=subnet, **settings)
    return str(aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]["AutoScalingGroupARN"])


def provider(aws: Aws, group_arn: str | None = None, **settings: Any) -> dict[str, Any]:
    """A capacity provider that AWS takes."""
    return {"name": new_name(), "autoScalingGroupProvider": {"autoScalingGroupArn": group_arn or group(aws), **settings}}


def target_group(aws: Aws, listened_to: bool = True, **changes: Any) -> str:
    """Make a target group, and a load balancer that forwards to it; returns its ARN."""
    elb, name = aws("elbv2"), new_name()
    subnets = default_subnets(aws)
    settings = {"Protocol": "HTTP", "Port": 80, "VpcId": subnets[0]["VpcId"], "TargetType": "ip", **changes}
    arn = elb.create_target_group(Name=name, **settings)["TargetGroups"][0]["TargetGroupArn"]
    if listened_to:
        balancer = elb.create_load_balancer(Name=name, Scheme="internal", Subnets=[each["SubnetId"] for each in subnets[:2]])[
            "LoadBalancers"
        ][0]
        forward = {"Type": "forward", "TargetGroupArn": arn}
        elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[forward])
    return str(arn)


def balanced(arn: str, container: str = "web", port: int = 80) -> dict[str, Any]:
    """The load balancer of a service."""
    return {"loadBalancers": [{"targetGroupArn": arn, "containerName": container, "containerPort": port}]}


def wait_for(condition: Condition) -> Any:
    """Wait until a condition holds; returns its value."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still {value!r}"
        time.sleep(0.05)
    return value


def sleeper(**changes: Any) -> dict[str, Any]:
    """A task definition whose process does nothing for long."""
    return task(container={"image": "web", "entryPoint": ["sleep", "100"], "portMappings": [], "stopTimeout": 2}, **changes)


def tasks(aws: Aws, name: str) -> list[dict[str, Any]]:
    """Tasks of a cluster."""
    arns = aws("ecs").list_tasks(cluster=name)["taskArns"]
    return list(aws("ecs").describe_tasks(cluster=name, tasks=arns)["tasks"]) if arns else []


def states(aws: Aws, name: str) -> set[str]:
    """States of the tasks of a cluster."""
    return {each["lastStatus"] for each in tasks(aws, name)}


def remove(aws: Aws, made: dict[str, Any]) -> None:
    """Delete a service."""
    aws("ecs").delete_service(cluster=made["cluster"], service=made["serviceName"], force=True)


def status(aws: Aws, made: dict[str, Any]) -> str:
    """State of a service."""
    return str(aws("ecs").describe_services(cluster=made["cluster"], services=[made["serviceName"]])["services"][0]["status"])


def running(aws: Aws, **changes: Any) -> dict[str, Any]:
    """Create a service with one task, which runs; returns what was asked for."""
    made = service(aws, desiredCount=1, **{"taskDefinition": registered(aws, sleeper()), **changes})
    aws("ecs").create_service(**made)
    wait_for(lambda: states(aws, made["cluster"]) == {"RUNNING"})
    return made


def instance(aws: Aws) -> dict[str, Any]:
    """Make a cluster with one container instance; returns the names of both."""
    arn = group(aws, instances=1)
    ours = provider(aws, arn)
    aws("ecs").create_capacity_provider(**ours)
    name = cluster(aws, ours["name"])
    (found,) = wait_for(lambda: aws("ecs").list_container_instances(cluster=name)["containerInstanceArns"])
    return {"cluster": name, "containerInstance": found}


def on_instances(aws: Aws, name: str) -> dict[str, Any]:
    """Create a service with one task on the instances of a cluster."""
    definition = registered(aws, sleeper(networkMode="bridge", requiresCompatibilities=["EC2"]))
    return running(aws, cluster=name, launchType="EC2", taskDefinition=definition, networkConfiguration=None)


# Task definitions


@conforms(DOCS + "APIReference/API_TaskDefinition.html")
def test_compatibilities_are_found_out(aws: Aws) -> None:
    register = aws("ecs").register_task_definition
    plain = register(**task(requiresCompatibilities=None))["taskDefinition"]
    assert plain["compatibilities"] == ["EC2", "FARGATE"]
    assert register(**on_bridge(cpu="300"))["taskDefinition"]["compatibilities"] == ["EC2"]


@conforms(DOCS + "APIReference/API_RegisterTaskDefinition.html")
def test_family_pattern(aws: Aws) -> None:
    refused("ClientException", aws("ecs").register_task_definition, **task(family="shop.web"))
    refused("ClientException", aws("ecs").register_task_definition, **task(family="x" * 256))
    registered(aws, task(family="Shop-web_1"))


@conforms(DOCS + "developerguide/fargate-tasks-services.html")
def test_fargate_network_mode(aws: Aws) -> None:
    message = refused("ClientException", aws("ecs").register_task_definition, **task(networkMode="bridge"))
    assert "Fargate only supports network mode" in message
    registered(aws, on_bridge())


@conforms(DOCS + "developerguide/fargate-tasks-services.html#fargate-tasks-size")
@pytest.mark.parametrize(("cpu", "memory"), [("256", "4096"), ("300", "512"), ("1024", "1024"), ("8192", "17408"), ("256", None)])
def test_fargate_size(aws: Aws, cpu: str, memory: str | None) -> None:
    message = refused("ClientException", aws("ecs").register_task_definition, **task(cpu=cpu, memory=memory))
    assert "No Fargate configuration exists for given values" in message or "be defined at the task level" in message
    registered(aws, task(cpu=".25 vCPU", memory="0.5 GB"))


@conforms(DOCS + "developerguide/task_execution_IAM_role.html")
@pytest.mark.parametrize(
    "container",
    [
        {"image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop/web:1"},
        {"logConfiguration": {"logDriver": "awslogs", "options": LOGS}},
        {"secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:eu-central-1:123456789012:parameter/key"}]},
    ],
)
def test_execution_role(aws: Aws, container: dict[str, Any]) -> None:
    refused("ClientException", aws("ecs").register_task_definition, **task(container=container))
    registered(aws, task(container=container, executionRoleArn=role(aws)))


@conforms(DOCS + "APIReference/API_ContainerDefinition.html")
def test_container_names_are_unique(aws: Aws) -> None:
    twins = [{"name": "web", "image": "nginx"}, {"name": "web", "image": "nginx"}]
    refused("ClientException", aws("ecs").register_task_definition, **task(containerDefinitions=twins))
    registered(aws, task(containerDefinitions=[twins[0], {**twins[1], "name": "proxy"}]))


@conforms(DOCS + "APIReference/API_ContainerDefinition.html")
def test_essential_container(aws: Aws) -> None:
    message = refused("ClientException", aws("ecs").register_task_definition, **task(container={"essential": False}))
    assert "doesn't have any essential container" in message
    registered(aws, task())


@conforms(DOCS + "APIReference/API_PortMapping.html")
def test_host_ports_match(aws: Aws) -> None:
    other = {"portMappings": [{"containerPort": 80, "hostPort": 8080}]}
    message = refused("ClientException", aws("ecs").register_task_definition, **task(container=other))
    assert message == "When networkMode=awsvpc, the host ports and container ports in port mappings must match."
    registered(aws, on_bridge(container=other))


@conforms(DOCS + "APIReference/API_MountPoint.html")
def test_mounted_volume(aws: Aws) -> None:
    mounting = {"mountPoints": [{"sourceVolume": "tmp", "containerPath": "/tmp"}]}
    assert refused("ClientException", aws("ecs").register_task_definition, **task(container=mounting)) == "Unknown volume 'tmp'."
    registered(aws, task(container=mounting, volumes=[{"name": "tmp"}]))


@conforms(DOCS + "developerguide/using_awslogs.html")
@pytest.mark.parametrize("missing", LOGS)
def test_log_options(aws: Aws, missing: str) -> None:
    options = {name: value for name, value in LOGS.items() if name != missing}
    logging = {"logConfiguration": {"logDriver": "awslogs", "options": options}}
    wrong = task(container=logging, executionRoleArn=role(aws))
    assert missing in refused("ClientException", aws("ecs").register_task_definition, **wrong)
    if missing == "awslogs-stream-prefix":
        registered(aws, on_bridge(container=logging))


@conforms(DOCS + "developerguide/task_definition_parameters.html#task_size")
def test_containers_fit_into_the_task(aws: Aws) -> None:
    message = refused("ClientException", aws("ecs").register_task_definition, **task(container={"memory": 1024}))
    assert message == "The 'memory' setting for container 'web' is greater than for the task."
    message = refused("ClientException", aws("ecs").register_task_definition, **task(container={"cpu": 512}))
    assert message == "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'."
    registered(aws, task(container={"memory": 512, "cpu": 256}))


@conforms(DOCS + "APIReference/API_ContainerDependency.html")
def test_container_dependencies(aws: Aws) -> None:
    def pair(web: dict[str, Any], proxy: dict[str, Any]) -> dict[str, Any]:
        return task(containerDefinitions=[{"name": "web", "image": "nginx", **web}, {"name": "proxy", "image": "nginx", **proxy}])

    def on(name: str, condition: str = "START") -> dict[str, Any]:
        return {"dependsOn": [{"containerName": name, "condition": condition}]}

    register = aws("ecs").register_task_definition
    assert "does not exist" in refused("ClientException", register, **pair(on("cache"), {}))
    assert "cannot be an essential container" in refused("ClientException", register, **pair(on("proxy", "SUCCESS"), {}))
    assert "must have health check configured" in refused("ClientException", register, **pair(on("proxy", "HEALTHY"), {}))
    refused("ClientException", register, **pair(on("proxy"), on("web")))
    registered(aws, pair(on("proxy", "SUCCESS"), {"essential": False}))


@conforms(DOCS + "APIReference/API_HealthCheck.html")
@pytest.mark.parametrize(("field", "value"), [("interval", 1), ("timeout", 61), ("retries", 11), ("startPeriod", 301)])
def test_health_check_range(aws: Aws, field: str, value: int) -> None:
    check = {"command": ["CMD", "true"], "interval": 5, "timeout": 2, "retries": 1, "startPeriod": 0}
    refused("ClientException", aws("ecs").register_task_definition, **task(container={"healthCheck": {**check, field: value}}))
    registered(aws, task(container={"healthCheck": check}))


@conforms(DOCS + "APIReference/API_ContainerDefinition.html")
def test_fargate_stop_timeout(aws: Aws) -> None:
    refused("ClientException", aws("ecs").register_task_definition, **task(container={"stopTimeout": 121}))
    registered(aws, task(container={"stopTimeout": 120}))
    registered(aws, on_bridge(container={"stopTimeout": 121}))


# Services


@conforms(DOCS + "APIReference/API_CreateService.html")
def test_create_service(aws: Aws) -> None:
    fields = {
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}],
        "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}, "minimumHealthyPercent": 50},
        "enableExecuteCommand": True,
    }
    made = aws("ecs").create_service(**service(aws, launchType=None, **fields))["service"]
    assert made["capacityProviderStrategy"] == fields["capacityProviderStrategy"]
    assert made["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert made["enableExecuteCommand"] and made["availabilityZoneRebalancing"] == "ENABLED"


@conforms(DOCS + "APIReference/API_CreateService.html")
def test_inactive_cluster(aws: Aws) -> None:
    name = cluster(aws)
    aws("ecs").delete_cluster(cluster=name)
    assert (
        refused("ClusterNotFoundException", aws("ecs").create_service, **service(aws, cluster=name))
        == "The referenced cluster was inactive."
    )
    aws("ecs").create_service(**service(aws))


@conforms(DOCS + "APIReference/API_DescribeTaskDefinition.html")
def test_family_stands_for_its_newest_active_revision(aws: Aws) -> None:
    definition = task()
    revisions = [registered(aws, definition) for _ in range(2)]
    aws("ecs").deregister_task_definition(taskDefinition=revisions[1])
    assert aws("ecs").describe_task_definition(taskDefinition=definition["family"])["taskDefinition"]["taskDefinitionArn"] == revisions[0]
    aws("ecs").deregister_task_definition(taskDefinition=revisions[0])
    message = refused("ClientException", aws("ecs").describe_task_definition, taskDefinition=definition["family"])
    assert message == "Unable to describe task definition."


@conforms(DOCS + "developerguide/deregister-task-definition-v2.html")
def test_task_definition_is_active(aws: Aws) -> None:
    definition = registered(aws, task())
    running = service(aws, taskDefinition=definition)
    aws("ecs").create_service(**running)
    aws("ecs").deregister_task_definition(taskDefinition=definition)
    refused("ClientException", aws("ecs").create_service, **service(aws, taskDefinition=definition))
    aws("ecs").update_service(cluster=running["cluster"], service=running["serviceName"], desiredCount=0)


@conforms(DOCS + "APIReference/API_CreateService.html")
def test_launch_type_or_strategy(aws: Aws) -> None:
    strategy = {"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, launchType="FARGATE", **strategy))
    aws("ecs").create_service(**service(aws, launchType=None, **strategy))


@conforms(DOCS + "developerguide/cluster-capacity-providers.html")
def test_strategy_of_one_kind(aws: Aws) -> None:
    ours = provider(aws)
    aws("ecs").create_capacity_provider(**ours)
    strategy = [{"capacityProvider": "FARGATE"}, {"capacityProvider": ours["name"], "weight": 1}]
    mixed = service(aws, cluster=cluster(aws, ours["name"]), launchType=None, capacityProviderStrategy=strategy)
    assert "cannot contain a mix of capacity providers" in refused("InvalidParameterException", aws("ecs").create_service, **mixed)
    aws("ecs").create_service(**mixed | {"capacityProviderStrategy": strategy[1:]})


def strategy(aws: Aws, *items: dict[str, Any]) -> dict[str, Any]:
    """A service of FARGATE and FARGATE_SPOT, with a base or weight each."""
    names = ("FARGATE", "FARGATE_SPOT")
    shares = [{"capacityProvider": name, **item} for name, item in zip(names, items, strict=True)]
    return service(aws, launchType=None, capacityProviderStrategy=shares)


@conforms(DOCS + "APIReference/API_CapacityProviderStrategyItem.html")
def test_strategy_with_one_base(aws: Aws) -> None:
    refused("InvalidParameterException", aws("ecs").create_service, **strategy(aws, {"base": 1, "weight": 1}, {"base": 1}))
    aws("ecs").create_service(**strategy(aws, {"base": 1, "weight": 1}, {"base": 0}))


@conforms(DOCS + "APIReference/API_CapacityProviderStrategyItem.html")
def test_strategy_with_a_weight(aws: Aws) -> None:
    refused("InvalidParameterException", aws("ecs").create_service, **strategy(aws, {"weight": 0}, {"base": 1}))
    aws("ecs").create_service(**strategy(aws, {"weight": 0}, {"weight": 1}))


@conforms(DOCS + "APIReference/API_CapacityProviderStrategyItem.html")
def test_strategy_of_the_cluster(aws: Aws) -> None:
    ours = provider(aws)
    aws("ecs").create_capacity_provider(**ours)
    strategy = [{"capacityProvider": ours["name"]}]
    message = refused(
        "InvalidParameterException", aws("ecs").create_service, **service(aws, launchType=None, capacityProviderStrategy=strategy)
    )
    assert "not associated with the cluster" in message
    nobody = service(aws, launchType=None, capacityProviderStrategy=[{"capacityProvider": "nobody"}])
    assert "'nobody' was not found" in refused("InvalidParameterException", aws("ecs").create_service, **nobody)
    aws("ecs").create_service(**service(aws, cluster=cluster(aws, ours["name"]), launchType=None, capacityProviderStrategy=strategy))


@conforms(DOCS + "developerguide/update-service-parameters.html")
def test_changed_strategy_needs_a_deployment(aws: Aws) -> None:
    made = service(aws)
    aws("ecs").create_service(**made)
    change = {
        "cluster": made["cluster"],
        "service": made["serviceName"],
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}],
    }
    assert "you must force a new deployment" in refused("InvalidParameterException", aws("ecs").update_service, **change)
    aws("ecs").update_service(**change, forceNewDeployment=True)


@conforms(DOCS + "developerguide/fargate-tasks-services.html")
def test_fargate_compatible(aws: Aws) -> None:
    definition = registered(aws, on_bridge())
    wrong = service(aws, taskDefinition=definition, networkConfiguration=None)
    assert "does not support launch_type FARGATE" in refused("InvalidParameterException", aws("ecs").create_service, **wrong)
    aws("ecs").create_service(**wrong | {"launchType": "EC2"})


@conforms(DOCS + "developerguide/task-networking-awsvpc.html")
def test_awsvpc_needs_a_network(aws: Aws) -> None:
    message = refused("InvalidParameterException", aws("ecs").create_service, **service(aws, networkConfiguration=None))
    assert "Network Configuration must be provided" in message
    bridge = service(aws, launchType="EC2", taskDefinition=registered(aws, on_bridge()))
    assert "not valid for the given networkMode" in refused("InvalidParameterException", aws("ecs").create_service, **bridge)
    aws("ecs").create_service(**service(aws))


@conforms(DOCS + "APIReference/API_AwsVpcConfiguration.html")
def test_public_address_only_on_fargate(aws: Aws) -> None:
    public = network(aws, assignPublicIp="ENABLED")
    message = refused("InvalidParameterException", aws("ecs").create_service, **service(aws, launchType="EC2", **public))
    assert message == "Assign public IP is not supported for this launch type."
    aws("ecs").create_service(**service(aws, **public))


@conforms(DOCS + "APIReference/API_AwsVpcConfiguration.html")
def test_known_subnets(aws: Aws) -> None:
    for subnets in ([], ["subnet-0123456789abcdef0"]):
        refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **network(aws, subnets=subnets)))
    made = service(aws)
    aws("ecs").create_service(**made)
    change = {"cluster": made["cluster"], "service": made["serviceName"], **network(aws, subnets=["subnet-0123456789abcdef0"])}
    refused("InvalidParameterException", aws("ecs").update_service, **change)


@conforms(DOCS + "APIReference/API_AwsVpcConfiguration.html")
def test_known_security_groups(aws: Aws) -> None:
    unknown = network(aws, securityGroups=["sg-0123456789abcdef0"])
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **unknown))
    vpc = {"Name": "vpc-id", "Values": [default_subnets(aws)[0]["VpcId"]]}
    known = aws("ec2").describe_security_groups(Filters=[vpc])["SecurityGroups"][0]["GroupId"]
    made = service(aws, **network(aws, securityGroups=[known]))
    aws("ecs").create_service(**made)
    refused("InvalidParameterException", aws("ecs").update_service, cluster=made["cluster"], service=made["serviceName"], **unknown)


@conforms(DOCS + "APIReference/API_AwsVpcConfiguration.html")
def test_network_in_one_vpc(aws: Aws) -> None:
    vpc = aws("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    elsewhere = aws("ec2").create_security_group(GroupName="elsewhere", Description="elsewhere", VpcId=vpc)["GroupId"]
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **network(aws, securityGroups=[elsewhere])))
    subnet = aws("ec2").create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    aws("ecs").create_service(**service(aws, **network(aws, subnets=[subnet], securityGroups=[elsewhere])))


@conforms(DOCS + "APIReference/API_LoadBalancer.html")
def test_load_balancer_container(aws: Aws) -> None:
    arn = target_group(aws)
    message = refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **balanced(arn, container="api")))
    assert message == "The container api does not exist in the task definition."
    message = refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **balanced(arn, port=81)))
    assert message == "The container web did not have a container port 81 defined."
    aws("ecs").create_service(**service(aws, **balanced(arn)))


@conforms(DOCS + "APIReference/API_LoadBalancer.html")
def test_target_group_exists(aws: Aws) -> None:
    arn = target_group(aws)
    gone = arn[:-4] + "0000"
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **balanced(gone)))
    aws("ecs").create_service(**service(aws, **balanced(arn)))


@conforms(DOCS + "developerguide/alb.html")
def test_target_group_is_listened_to(aws: Aws) -> None:
    lonely = target_group(aws, listened_to=False)
    message = refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **balanced(lonely)))
    assert message == f"The target group with targetGroupArn {lonely} does not have an associated load balancer."
    aws("ecs").create_service(**service(aws, **balanced(target_group(aws))))


@conforms(DOCS + "developerguide/alb.html")
def test_target_type(aws: Aws) -> None:
    arn = target_group(aws, TargetType="instance")
    message = refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **balanced(arn)))
    assert "has target type instance, which is incompatible with the awsvpc network mode" in message
    bridge = service(aws, launchType="EC2", networkConfiguration=None, taskDefinition=registered(aws, on_bridge()), **balanced(arn))
    aws("ecs").create_service(**bridge)


@conforms(DOCS + "APIReference/API_CreateService.html")
def test_grace_period_needs_a_load_balancer(aws: Aws) -> None:
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, healthCheckGracePeriodSeconds=30))
    aws("ecs").create_service(**service(aws, healthCheckGracePeriodSeconds=30, **balanced(target_group(aws))))


@conforms(DOCS + "APIReference/API_DeploymentConfiguration.html")
@pytest.mark.parametrize(("least", "most"), [(101, 200), (0, 99), (100, 100)])
def test_deployment_percentages(aws: Aws, least: int, most: int) -> None:
    def percentages(least: int, most: int) -> dict[str, Any]:
        return {"deploymentConfiguration": {"minimumHealthyPercent": least, "maximumPercent": most}}

    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **percentages(least, most)))
    made = service(aws, **percentages(0, 100))
    aws("ecs").create_service(**made)
    change = {"cluster": made["cluster"], "service": made["serviceName"]}
    refused("InvalidParameterException", aws("ecs").update_service, **change, **percentages(least, most))


@conforms(DOCS + "developerguide/service-rebalancing.html")
def test_rebalancing_needs_room(aws: Aws) -> None:
    full = {"deploymentConfiguration": {"minimumHealthyPercent": 0, "maximumPercent": 100}}
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, availabilityZoneRebalancing="ENABLED", **full))
    assert aws("ecs").create_service(**service(aws, **full))["service"]["availabilityZoneRebalancing"] == "DISABLED"


@conforms(DOCS + "developerguide/task-placement.html")
def test_placement_only_on_instances(aws: Aws) -> None:
    spread = {"placementStrategy": [{"type": "spread", "field": "instanceId"}]}
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, **spread))
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, placementConstraints=[{"type": "distinctInstance"}]))
    aws("ecs").create_service(**service(aws, launchType="EC2", **spread))


@conforms(DOCS + "developerguide/platform-fargate.html")
def test_platform_version_only_on_fargate(aws: Aws) -> None:
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, launchType="EC2", platformVersion="LATEST"))
    aws("ecs").create_service(**service(aws, platformVersion="1.4.0"))


@conforms(DOCS + "APIReference/API_CreateService.html")
def test_service_name_pattern(aws: Aws) -> None:
    refused("InvalidParameterException", aws("ecs").create_service, **service(aws, serviceName="web.1"))
    aws("ecs").create_service(**service(aws, serviceName="Web_1-a"))


@conforms(DOCS + "APIReference/API_CreateService.html")
def test_creation_is_idempotent(aws: Aws) -> None:
    made = service(aws)
    first = aws("ecs").create_service(**made)["service"]
    assert aws("ecs").create_service(**made)["service"]["createdAt"] == first["createdAt"]
    message = refused("InvalidParameterException", aws("ecs").create_service, **made | {"enableExecuteCommand": True})
    assert message == "Creation of service was not idempotent."


@conforms(DOCS + "APIReference/API_UpdateService.html")
def test_service_is_active(aws: Aws) -> None:
    made = service(aws)
    aws("ecs").create_service(**made)
    change = {"cluster": made["cluster"], "service": made["serviceName"]}
    aws("ecs").update_service(**change, desiredCount=0)
    aws("ecs").delete_service(**change)
    refused("ServiceNotActiveException", aws("ecs").update_service, **change, desiredCount=0)


@conforms(DOCS + "APIReference/API_DeleteService.html")
def test_delete_service(aws: Aws) -> None:
    made = service(aws, desiredCount=1)
    aws("ecs").create_service(**made)
    name = {"cluster": made["cluster"], "service": made["serviceName"]}
    message = refused("InvalidParameterException", aws("ecs").delete_service, **name)
    assert message == "The service cannot be stopped while it is scaled above 0."
    assert aws("ecs").delete_service(**name, force=True)["service"]["status"] == "DRAINING"
    described = aws("ecs").describe_services(cluster=made["cluster"], services=[made["serviceName"]])
    assert [each["status"] for each in described["services"]] in (["DRAINING"], ["INACTIVE"]), "a service that is gone is still described"


@conforms(DOCS + "APIReference/API_UpdateService.html")
def test_update_service(aws: Aws) -> None:
    made = service(aws, enableExecuteCommand=True)
    aws("ecs").create_service(**made)
    change = {"cluster": made["cluster"], "service": made["serviceName"]}
    assert len(aws("ecs").update_service(**change, propagateTags="SERVICE")["service"]["deployments"]) == 1
    updated = aws("ecs").update_service(**change, platformVersion="1.4.0")["service"]
    assert len(updated["deployments"]) == 2, "what concerns tasks is deployed"
    assert (updated["propagateTags"], updated["enableExecuteCommand"]) == ("SERVICE", True), "what is not named stays"


@conforms(DOCS + "APIReference/API_DescribeServices.html")
def test_describe_services(aws: Aws) -> None:
    name = cluster(aws)
    refused("InvalidParameterException", aws("ecs").describe_services, cluster=name, services=[f"s{number}" for number in range(11)])
    answer = aws("ecs").describe_services(cluster=name, services=["nobody"])
    assert [(failure["arn"].rpartition(":")[2], failure["reason"]) for failure in answer["failures"]] == [
        (f"service/{name}/nobody", "MISSING")
    ]


@conforms(DOCS + "APIReference/API_ListServices.html")
def test_list_services(aws: Aws) -> None:
    name, definition = cluster(aws), registered(aws, task())
    for _ in range(11):
        aws("ecs").create_service(**service(aws, cluster=name, taskDefinition=definition))
    first = aws("ecs").list_services(cluster=name)
    assert len(first["serviceArns"]) == 10
    assert len(aws("ecs").list_services(cluster=name, nextToken=first["nextToken"])["serviceArns"]) == 1


# Tasks


@conforms(DOCS + "APIReference/API_ListTasks.html")
def test_list_tasks(aws: Aws) -> None:
    made = running(aws)
    assert len(aws("ecs").list_tasks(cluster=made["cluster"], serviceName=made["serviceName"])["taskArns"]) == 1
    refused("ServiceNotFoundException", aws("ecs").list_tasks, cluster=made["cluster"], serviceName="nobody")
    remove(aws, made)


@conforms(DOCS + "APIReference/API_Task.html")
def test_describe_tasks(aws: Aws) -> None:
    made = running(aws)
    (found,) = tasks(aws, made["cluster"])
    assert (found["launchType"], found["group"], found["healthStatus"]) == ("FARGATE", f"service:{made['serviceName']}", "UNKNOWN")
    assert found["attachments"][0]["status"] == "ATTACHED"
    remove(aws, made)


@conforms(DOCS + "APIReference/API_StopTask.html")
def test_stop_task(aws: Aws) -> None:
    made = running(aws)
    (first,) = tasks(aws, made["cluster"])
    aws("ecs").stop_task(cluster=made["cluster"], task=first["taskArn"])
    wait_for(
        lambda: [(each["taskArn"] != first["taskArn"], each["lastStatus"]) for each in tasks(aws, made["cluster"])] == [(True, "RUNNING")]
    )
    (stopped,) = aws("ecs").describe_tasks(cluster=made["cluster"], tasks=[first["taskArn"]])["tasks"]
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "Task stopped by user")
    remove(aws, made)


# Clusters and capacity providers


@conforms(DOCS + "APIReference/API_CreateCluster.html")
def test_create_cluster(aws: Aws) -> None:
    name = cluster(aws)
    aws("ecs").create_service(**service(aws, cluster=name))
    again = aws("ecs").create_cluster(clusterName=name)["cluster"]
    assert (again["capacityProviders"], again["activeServicesCount"]) == (["FARGATE", "FARGATE_SPOT"], 1)


@conforms(DOCS + "APIReference/API_DeleteCluster.html")
def test_list_clusters(aws: Aws) -> None:
    name = cluster(aws)
    assert f"/{name}" in str(aws("ecs").list_clusters()["clusterArns"])
    aws("ecs").delete_cluster(cluster=name)
    assert f"/{name}" not in str(aws("ecs").list_clusters()["clusterArns"])
    assert aws("ecs").describe_clusters(clusters=[name])["clusters"][0]["status"] == "INACTIVE"


@conforms(DOCS + "APIReference/API_DeleteCluster.html")
def test_cluster_with_services(aws: Aws) -> None:
    made = service(aws)
    aws("ecs").create_service(**made)
    refused("ClusterContainsServicesException", aws("ecs").delete_cluster, cluster=made["cluster"])
    assert aws("ecs").delete_cluster(cluster=cluster(aws))["cluster"]["status"] == "INACTIVE"


@conforms(DOCS + "APIReference/API_DeleteCluster.html")
def test_cluster_with_tasks(aws: Aws) -> None:
    name = cluster(aws)
    definition = registered(aws, task(container={"memory": 128}))
    running = aws("ecs").run_task(cluster=name, launchType="FARGATE", taskDefinition=definition, **network(aws))["tasks"][0]
    refused("ClusterContainsTasksException", aws("ecs").delete_cluster, cluster=name)
    aws("ecs").stop_task(cluster=name, task=running["taskArn"])
    aws("ecs").delete_cluster(cluster=name)


@conforms(DOCS + "APIReference/API_PutClusterCapacityProviders.html")
def test_provider_in_use(aws: Aws) -> None:
    made = service(aws, launchType=None, capacityProviderStrategy=[{"capacityProvider": "FARGATE"}])
    aws("ecs").create_service(**made)
    put = aws("ecs").put_cluster_capacity_providers
    fewer = {"cluster": made["cluster"], "defaultCapacityProviderStrategy": []}
    message = refused("ResourceInUseException", put, **fewer, capacityProviders=["FARGATE_SPOT"])
    assert message == "The specified capacity provider is in use and cannot be removed."
    put(**fewer, capacityProviders=["FARGATE"])


@conforms(DOCS + "APIReference/API_PutClusterCapacityProviders.html")
def test_default_strategy(aws: Aws) -> None:
    create = aws("ecs").create_cluster
    spot = [{"capacityProvider": "FARGATE_SPOT"}]
    refused("InvalidParameterException", create, clusterName=new_name(), capacityProviders=["nobody"])
    refused(
        "InvalidParameterException", create, clusterName=new_name(), capacityProviders=["FARGATE"], defaultCapacityProviderStrategy=spot
    )
    create(clusterName=new_name(), capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=spot)


@conforms(DOCS + "developerguide/cluster-capacity-providers.html")
def test_managed_group_is_tagged(aws: Aws) -> None:
    arn = group(aws)
    aws("ecs").create_capacity_provider(**provider(aws, arn, managedScaling={"status": "ENABLED"}))
    name = arn.rpartition("/")[2]
    tags = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]["Tags"]
    assert [(tag["Key"], tag["PropagateAtLaunch"]) for tag in tags] == [("AmazonECSManaged", True)]


@conforms(DOCS + "APIReference/API_CreateCapacityProvider.html")
def test_provider_name_is_free(aws: Aws) -> None:
    made = provider(aws)
    aws("ecs").create_capacity_provider(**made)
    assert "already exists" in refused("ClientException", aws("ecs").create_capacity_provider, **provider(aws) | {"name": made["name"]})
    refused("ClientException", aws("ecs").create_capacity_provider, **provider(aws) | {"name": "ecs-instances"})


@conforms(DOCS + "APIReference/API_AutoScalingGroupProvider.html")
def test_provider_has_a_group_of_its_own(aws: Aws) -> None:
    arn = group(aws)
    refused("ClientException", aws("ecs").create_capacity_provider, **provider(aws, arn + "-gone"))
    aws("ecs").create_capacity_provider(**provider(aws, arn))
    assert "already being used" in refused("ClientException", aws("ecs").create_capacity_provider, **provider(aws, arn))


@conforms(DOCS + "developerguide/managed-termination-protection.html")
def test_termination_protection(aws: Aws) -> None:
    protected = {"managedTerminationProtection": "ENABLED", "managedScaling": {"status": "ENABLED"}}
    message = refused("ClientException", aws("ecs").create_capacity_provider, **provider(aws, **protected))
    assert "must have instance protection from scale in enabled" in message
    arn = group(aws, NewInstancesProtectedFromScaleIn=True)
    aws("ecs").create_capacity_provider(**provider(aws, arn, **protected))


@conforms(DOCS + "APIReference/API_ManagedScaling.html")
def test_scaling_steps(aws: Aws) -> None:
    steps = {"status": "ENABLED", "minimumScalingStepSize": 3, "maximumScalingStepSize": 2}
    refused("ClientException", aws("ecs").create_capacity_provider, **provider(aws, managedScaling=steps))
    aws("ecs").create_capacity_provider(**provider(aws, managedScaling=steps | {"maximumScalingStepSize": 3}))


@conforms(DOCS + "APIReference/API_AutoScalingGroupProviderUpdate.html")
def test_managed_draining(aws: Aws) -> None:
    made = provider(aws, managedDraining="ENABLED")
    aws("ecs").create_capacity_provider(**made)
    aws("ecs").update_capacity_provider(name=made["name"], autoScalingGroupProvider={"managedDraining": "DISABLED"})
    (found,) = aws("ecs").describe_capacity_providers(capacityProviders=[made["name"]])["capacityProviders"]
    assert found["autoScalingGroupProvider"]["managedDraining"] == "DISABLED"


@conforms(DOCS + "APIReference/API_DeleteCapacityProvider.html")
def test_provider_exists(aws: Aws) -> None:
    made = provider(aws)
    aws("ecs").create_capacity_provider(**made)
    aws("ecs").delete_capacity_provider(capacityProvider=made["name"])
    refused("ClientException", aws("ecs").delete_capacity_provider, capacityProvider=made["name"])


@conforms(DOCS + "APIReference/API_DeleteCapacityProvider.html")
def test_provider_of_a_cluster(aws: Aws) -> None:
    made = provider(aws)
    aws("ecs").create_capacity_provider(**made)
    name = cluster(aws, made["name"])
    refused("ClientException", aws("ecs").delete_capacity_provider, capacityProvider=made["name"])
    aws("ecs").put_cluster_capacity_providers(cluster=name, capacityProviders=[], defaultCapacityProviderStrategy=[])
    aws("ecs").delete_capacity_provider(capacityProvider=made["name"])


# Container instances


@conforms(DOCS + "APIReference/API_DeleteCluster.html")
def test_cluster_with_instances(aws: Aws) -> None:
    made = instance(aws)
    refused("ClusterContainsContainerInstancesException", aws("ecs").delete_cluster, cluster=made["cluster"])
    (found,) = aws("ecs").describe_container_instances(cluster=made["cluster"], containerInstances=[made["containerInstance"]])[
        "containerInstances"
    ]
    where = {"InstanceIds": [found["ec2InstanceId"]]}
    (member,) = aws("autoscaling").describe_auto_scaling_instances(**where)["AutoScalingInstances"]
    aws("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=member["AutoScalingGroupName"], ForceDelete=True)
    wait_for(lambda: not aws("ecs").list_container_instances(cluster=made["cluster"])["containerInstanceArns"])
    aws("ecs").delete_cluster(cluster=made["cluster"])


@conforms(DOCS + "APIReference/API_DeregisterContainerInstance.html")
def test_instance_with_tasks(aws: Aws) -> None:
    where = instance(aws)
    made = on_instances(aws, where["cluster"])
    message = refused("InvalidParameterException", aws("ecs").deregister_container_instance, **where)
    assert message == "Found running tasks on the instance."
    remove(aws, made)
    wait_for(lambda: status(aws, made) == "INACTIVE")
    aws("ecs").deregister_container_instance(**where)
    assert aws("ecs").list_container_instances(cluster=where["cluster"])["containerInstanceArns"] == []


@conforms(DOCS + "APIReference/API_ContainerInstance.html")
def test_describe_container_instances(aws: Aws) -> None:
    where = instance(aws)
    made = on_instances(aws, where["cluster"])
    (found,) = aws("ecs").describe_container_instances(cluster=where["cluster"], containerInstances=[where["containerInstance"]])[
        "containerInstances"
    ]
    before, now = ({each["name"]: each["integerValue"] for each in found[field]} for field in ("registeredResources", "remainingResources"))
    assert (before["CPU"], now["CPU"], before["MEMORY"] - now["MEMORY"]) == (2048, 1792, 512), "a t3.micro has two vCPUs"
    assert found["runningTasksCount"] == 1
    remove(aws, made)


@conforms(DOCS + "APIReference/API_Cluster.html")
def test_describe_clusters(aws: Aws) -> None:
    made = running(aws)
    (found,) = aws("ecs").describe_clusters(clusters=[made["cluster"]])["clusters"]
    assert (found["activeServicesCount"], found["runningTasksCount"], found["registeredContainerInstancesCount"]) == (1, 1, 0)
    remove(aws, made)
