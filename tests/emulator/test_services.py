"""ECS services run."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from service_stack import Emulator, Stack, get, wait_for


def test_a_page_is_served_through_the_load_balancer(stack: Stack, aws: Callable[[str], Any]) -> None:
    assert get(stack.url)[0] == 503
    stack.create_service()
    stack.wait_steady()
    pages = {get(stack.url) for _ in range(4)}
    assert len(pages) == 2, "the requests go round the two tasks"
    assert all(status == 200 and body.startswith("one ") for status, body in pages)
    health = aws("elbv2").describe_target_health(TargetGroupArn=stack.target_group)["TargetHealthDescriptions"]
    addresses = {task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"] for task in stack.tasks()}
    assert {(target["Target"]["Id"], target["Target"]["Port"], target["TargetHealth"]["State"]) for target in health} == {
        (address, 8080, "healthy") for address in addresses
    }


def test_the_fields_of_a_service_are_read_back(stack: Stack, aws: Callable[[str], Any]) -> None:
    fields = {
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}],
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            "maximumPercent": 150,
            "minimumHealthyPercent": 50,
            "alarms": {"alarmNames": ["high"], "enable": True, "rollback": False},
        },
        "enableExecuteCommand": True,
        "healthCheckGracePeriodSeconds": 7,
        "platformVersion": "1.4.0",
        "propagateTags": "SERVICE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": stack.subnets, "securityGroups": [], "assignPublicIp": "ENABLED"}},
    }
    stack.create_service(launchType=None, desiredCount=0, tags=[{"key": "team", "value": "shop"}], **fields)
    service = stack.service()
    fields["deploymentConfiguration"] |= {"strategy": "ROLLING", "bakeTimeInMinutes": 0}  # AWS adds these
    assert {name: service[name] for name in fields} == fields
    assert "tags" not in service and "launchType" not in service
    assert stack.service(include=["TAGS"])["tags"] == [{"key": "team", "value": "shop"}]
    aws("ecs").tag_resource(resourceArn=service["serviceArn"], tags=[{"key": "tier", "value": "web"}])
    aws("ecs").untag_resource(resourceArn=service["serviceArn"], tagKeys=["team"])
    assert aws("ecs").list_tags_for_resource(resourceArn=service["serviceArn"])["tags"] == [{"key": "tier", "value": "web"}]
    aws("ecs").update_service(cluster=stack.name, service="page", healthCheckGracePeriodSeconds=9)
    assert stack.service()["healthCheckGracePeriodSeconds"] == 9
    assert stack.service()["enableExecuteCommand"], "what an update does not name stays"
    assert len(stack.service()["deployments"]) == 1


def test_a_process_sees_what_a_container_would_see(stack: Stack, aws: Callable[[str], Any]) -> None:
    stack.create_service(desiredCount=1, taskDefinition=stack.task_definition(PORT="8080"))
    (task,) = wait_for(stack.tasks)
    stream = f"ecs/page/{task['taskArn'].rpartition('/')[2]}"

    def lines() -> list[str]:
        try:
            events = aws("logs").get_log_events(logGroupName=stack.name, logStreamName=stream)["events"]
        except ClientError:
            return []
        return [event["message"] for event in events if event["message"].startswith("page server")]

    assert wait_for(lines)[0] == f"page server one {sorted(ENVIRONMENT)}"


ENVIRONMENT = [
    *("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_EXECUTION_ENV", "AWS_REGION", "AWS_SECRET_ACCESS_KEY"),
    *("COLOUR", "HOST", "LC_CTYPE", "PATH", "PORT", "VERSION"),  # LC_CTYPE is Python's own, COLOUR the image's
]


def test_a_killed_process_is_replaced(stack: Stack) -> None:
    stack.create_service(desiredCount=1)
    stack.wait_steady()
    (before,) = stack.tasks()
    os.kill(int(get(stack.url)[1].split()[1]), signal.SIGKILL)
    stopped = wait_for(lambda: stack.tasks("STOPPED"))[0]
    assert (stopped["taskArn"], stopped["stoppedReason"]) == (before["taskArn"], "Essential container in task exited")
    assert stopped["containers"][0]["exitCode"] == 137
    wait_for(lambda: get(stack.url)[0] == 200)
    assert stack.tasks()[0]["taskArn"] != before["taskArn"]


def test_a_rolling_update_cuts_no_request(stack: Stack, aws: Callable[[str], Any]) -> None:
    stack.create_service()
    stack.wait_steady()
    done, answers = threading.Event(), []

    def ask(path: str) -> None:
        while not done.is_set():
            answers.append(get(stack.url + path))

    clients = [threading.Thread(target=ask, args=(path,)) for path in ("", "slow", "slow")]
    for client in clients:
        client.start()
    try:
        aws("ecs").update_service(cluster=stack.name, service="page", taskDefinition=stack.task_definition(VERSION="two"))
        assert len(stack.service()["deployments"]) == 2
        stack.wait_steady()
    finally:
        done.set()
        for client in clients:
            client.join()
    assert {status for status, _ in answers} == {200}
    assert {body.split()[0] for _, body in answers} == {"one", "two"}
    assert get(stack.url)[1].startswith("two ")


def test_a_bad_image_fails_the_deployment_and_rolls_it_back(stack: Stack, aws: Callable[[str], Any]) -> None:
    good = stack.task_definition()
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    stack.create_service(desiredCount=1, taskDefinition=good, deploymentConfiguration=breaker)
    stack.wait_steady()
    aws("ecs").update_service(cluster=stack.name, service="page", taskDefinition=stack.task_definition(image="demo/missing:1"))
    wait_for(lambda: "rolling back" in stack.service()["deployments"][0]["rolloutStateReason"])
    assert all("CannotPullContainerError" in task["stoppedReason"] for task in stack.tasks("STOPPED"))
    assert stack.wait_steady()["taskDefinition"] == good
    assert get(stack.url)[0] == 200


def test_a_bad_first_image_fails_the_deployment(stack: Stack) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    stack.create_service(desiredCount=1, taskDefinition=stack.task_definition(image="demo/missing:1"), deploymentConfiguration=breaker)
    wait_for(lambda: stack.service()["deployments"][0]["rolloutState"] == "FAILED")
    (deployment,) = stack.service()["deployments"]
    assert deployment["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert deployment["failedTasks"] == 3


def test_an_unhealthy_task_is_replaced(stack: Stack, aws: Callable[[str], Any]) -> None:
    stack.create_service(desiredCount=1, taskDefinition=stack.task_definition(STATUS="500"))
    stopped = wait_for(lambda: stack.tasks("STOPPED"))[0]
    assert stopped["stoppedReason"] == f"Task failed ELB health checks in (target-group {stack.target_group})"
    assert any("due to (reason Health checks failed with these codes: [500])" in event["message"] for event in stack.service()["events"])


def test_a_deleted_service_leaves_nothing(stack: Stack, aws: Callable[[str], Any]) -> None:
    ecs = aws("ecs")
    stack.create_service()
    stack.wait_steady()
    arns = [task["taskArn"] for task in stack.tasks()]
    with pytest.raises(ClientError, match="cannot be stopped while it is scaled above 0"):
        ecs.delete_service(cluster=stack.name, service="page")
    with pytest.raises(ClientError, match="ClusterContainsServicesException"):
        ecs.delete_cluster(cluster=stack.name)
    assert ecs.delete_service(cluster=stack.name, service="page", force=True)["service"]["status"] == "DRAINING"
    wait_for(lambda: stack.service()["status"] == "INACTIVE")
    assert {task["lastStatus"] for task in ecs.describe_tasks(cluster=stack.name, tasks=arns)["tasks"]} == {"STOPPED"}
    assert ecs.list_services(cluster=stack.name)["serviceArns"] == []
    filters = [{"Name": "subnet-id", "Values": stack.subnets}]
    assert aws("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"] == []
    assert aws("elbv2").describe_target_health(TargetGroupArn=stack.target_group)["TargetHealthDescriptions"] == []
    assert ecs.delete_cluster(cluster=stack.name)["cluster"]["status"] == "INACTIVE"


def test_tasks_on_ec2_wait_for_instances_that_managed_scaling_starts(stack: Stack, aws: Callable[[str], Any]) -> None:
    ecs, scaling = aws("ecs"), aws("autoscaling")
    ami = aws("ssm").get_parameter(Name="/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id")["Parameter"]["Value"]
    aws("ec2").create_launch_template(LaunchTemplateName=stack.name, LaunchTemplateData={"ImageId": ami, "InstanceType": "t3.small"})
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=stack.name,
        LaunchTemplate={"LaunchTemplateName": stack.name},
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=0,
        VPCZoneIdentifier=",".join(stack.subnets),
    )
    group = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[stack.name])["AutoScalingGroups"][0]["AutoScalingGroupARN"]
    provider = {"autoScalingGroupArn": group, "managedScaling": {"status": "ENABLED"}}
    ecs.create_capacity_provider(name="instances", autoScalingGroupProvider=provider)
    ecs.put_cluster_capacity_providers(cluster=stack.name, capacityProviders=["instances"], defaultCapacityProviderStrategy=[])
    strategy = [{"capacityProvider": "instances", "weight": 1}]
    stack.create_service(launchType=None, capacityProviderStrategy=strategy, desiredCount=3)
    stack.wait_steady()
    tasks = stack.tasks()
    assert {(task["launchType"], task["capacityProviderName"]) for task in tasks} == {("EC2", "instances")}
    instances = ecs.list_container_instances(cluster=stack.name)["containerInstanceArns"]
    assert {task["containerInstanceArn"] for task in tasks} == set(instances)
    described = ecs.describe_container_instances(cluster=stack.name, containerInstances=instances)["containerInstances"]
    assert sorted(instance["runningTasksCount"] for instance in described) == [1, 2]
    assert any("was unable to place a task" in event["message"] for event in stack.service()["events"])


def test_a_target_group_without_load_balancer_is_refused(stack: Stack, aws: Callable[[str], Any]) -> None:
    vpc = aws("ec2").describe_subnets(SubnetIds=stack.subnets)["Subnets"][0]["VpcId"]
    group = aws("elbv2").create_target_group(Name="lonely", Protocol="HTTP", Port=80, TargetType="ip", VpcId=vpc)["TargetGroups"][0]
    lonely = group["TargetGroupArn"]
    with pytest.raises(ClientError, match="does not have an associated load balancer"):
        stack.create_service(loadBalancers=[{"targetGroupArn": lonely, "containerName": "page", "containerPort": 8080}])


def test_application_auto_scaling_sees_the_service(stack: Stack, aws: Callable[[str], Any]) -> None:
    target = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount", "ResourceId": f"service/{stack.name}/page"}
    with pytest.raises(ClientError, match="ECS service doesn't exist"):
        aws("application-autoscaling").register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    stack.create_service(desiredCount=0)
    aws("application-autoscaling").register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)


def test_listener_rules_redirect_and_answer(stack: Stack, aws: Callable[[str], Any], emulator: Emulator) -> None:
    elb = aws("elbv2")
    other = elb.create_listener(
        LoadBalancerArn=stack.load_balancer,
        Protocol="HTTP",
        Port=8080,
        DefaultActions=[{"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}],
    )["Listeners"][0]["ListenerArn"]
    elb.create_rule(
        ListenerArn=other,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/hello/*"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "MessageBody": "tea"}}],
    )
    _, listing = get(f"{emulator.url}/emulator/listeners")
    address = next(item["address"] for item in json.loads(listing) if item["load_balancer"] == stack.name and item["listener_port"] == 8080)
    assert get(f"http://{address}/hello/you") == (418, "tea")
    connection = http.client.HTTPConnection(address)
    connection.request("GET", "/a?b=c", headers={"Host": "shop.example"})
    answer = connection.getresponse()
    connection.close()
    assert (answer.status, answer.getheader("Location")) == (301, "https://shop.example:443/a?b=c")
