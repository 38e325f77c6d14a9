"""ECS services run."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
    filters = [{"Name": "subnet-id", "Values": stack.subnets}, {"Name": "description", "Values": ["arn:aws:ecs:*"]}]
    assert aws("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"] == []
    assert aws("elbv2").describe_target_health(TargetGroupArn=stack.target_group)["TargetHealthDescriptions"] == []
    assert ecs.delete_cluster(cluster=stack.name)["cluster"]["status"] == "INACTIVE"


def test_an_alarm_that_goes_off_rolls_the_deployment_back(stack: Stack, aws: Callable[[str], Any]) -> None:
    good = stack.task_definition()
    alarm = {"Namespace": "shop", "MetricName": "errors", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1}
    for name in ("known", "new"):
        aws("cloudwatch").put_metric_alarm(AlarmName=name, ComparisonOperator="GreaterThanThreshold", **alarm)
        aws("cloudwatch").set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
    watching = {"alarms": {"alarmNames": ["known", "new"], "enable": True, "rollback": True}}
    stack.create_service(desiredCount=1, taskDefinition=good, deploymentConfiguration=watching)
    stack.wait_steady()

    aws("cloudwatch").set_alarm_state(AlarmName="known", StateValue="ALARM", StateReason="test")
    better = stack.task_definition(VERSION="two")
    aws("ecs").update_service(cluster=stack.name, service="page", taskDefinition=better)
    assert stack.wait_steady()["taskDefinition"] == better, "an alarm that had gone off before is ignored"

    aws("ecs").update_service(cluster=stack.name, service="page", taskDefinition=stack.task_definition(VERSION="three"))
    aws("cloudwatch").set_alarm_state(AlarmName="new", StateValue="ALARM", StateReason="test")
    wait_for(lambda: "rolling back" in stack.service()["deployments"][0]["rolloutStateReason"])
    assert any("deployment failed: alarm detected." in event["message"] for event in stack.service()["events"])
    assert stack.wait_steady()["taskDefinition"] == better


def test_a_container_health_check_runs_in_the_container_and_replaces_its_task(
    stack: Stack, aws: Callable[[str], Any], tmp_path: Path
) -> None:
    flag = tmp_path / "healthy"
    flag.touch()
    check = {
        "command": ["CMD-SHELL", f'test -f {flag} && test "$VERSION" = one && test -f serve.py'],
        "interval": 5,
        "timeout": 2,
        "retries": 1,
    }
    plain = aws("ecs").describe_task_definition(taskDefinition=stack.task_definition())["taskDefinition"]
    checked = {name: plain[name] for name in ("family", "networkMode", "cpu", "memory")}
    container = {**plain["containerDefinitions"][0], "healthCheck": check}
    definition = aws("ecs").register_task_definition(**checked, containerDefinitions=[container])["taskDefinition"]
    stack.create_service(desiredCount=1, loadBalancers=None, taskDefinition=definition["taskDefinitionArn"])
    stack.wait_steady()
    (task,) = stack.tasks()
    assert task["healthStatus"] == task["containers"][0]["healthStatus"] == "HEALTHY"
    flag.unlink()
    stopped = wait_for(lambda: stack.tasks("STOPPED"))[0]
    assert (stopped["taskArn"], stopped["healthStatus"]) == (task["taskArn"], "UNHEALTHY")
    assert stopped["stoppedReason"] == "Task failed container health checks"


@dataclass
class Instances:
    """Instances of a capacity provider C(instances) in the cluster of a stack."""

    stack: Stack
    group: str

    def described(self) -> list[dict[str, Any]]:
        """The container instances."""
        ecs = self.stack.aws("ecs")
        arns = ecs.list_container_instances(cluster=self.stack.name)["containerInstanceArns"]
        return (
            list(ecs.describe_container_instances(cluster=self.stack.name, containerInstances=arns)["containerInstances"]) if arns else []
        )

    def create_service(self, **changes: Any) -> None:
        """Create the service C(page) on the instances."""
        strategy = [{"capacityProvider": self.stack.name, "weight": 1}]
        self.stack.create_service(launchType=None, capacityProviderStrategy=strategy, loadBalancers=None, **changes)


@pytest.fixture
def instances(stack: Stack, aws: Callable[[str], Any], request: pytest.FixtureRequest) -> Instances:
    """An empty auto-scaling group of up to three instances that managed scaling sizes; a test may choose type and target capacity."""
    type_, target = getattr(request, "param", ("t3.small", 100))
    ami = aws("ssm").get_parameter(Name="/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id")["Parameter"]["Value"]
    aws("ec2").create_launch_template(LaunchTemplateName=stack.name, LaunchTemplateData={"ImageId": ami, "InstanceType": type_})
    aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=stack.name,
        LaunchTemplate={"LaunchTemplateName": stack.name},
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=0,
        VPCZoneIdentifier=",".join(stack.subnets),
    )
    (group,) = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[stack.name])["AutoScalingGroups"]
    scaling = {"status": "ENABLED", "targetCapacity": target}
    provider = {"autoScalingGroupArn": group["AutoScalingGroupARN"], "managedScaling": scaling}
    aws("ecs").create_capacity_provider(name=stack.name, autoScalingGroupProvider=provider)
    aws("ecs").put_cluster_capacity_providers(cluster=stack.name, capacityProviders=[stack.name], defaultCapacityProviderStrategy=[])
    return Instances(stack, stack.name)


def test_tasks_on_ec2_wait_for_instances_that_managed_scaling_starts(stack: Stack, instances: Instances) -> None:
    instances.create_service(desiredCount=3)
    stack.wait_steady()
    tasks, found = stack.tasks(), instances.described()
    assert {(task["launchType"], task["capacityProviderName"]) for task in tasks} == {("EC2", stack.name)}
    assert {task["containerInstanceArn"] for task in tasks} == {instance["containerInstanceArn"] for instance in found}
    assert sorted(instance["runningTasksCount"] for instance in found) == [1, 2], "a t3.small has three interfaces, one of them its own"
    assert any("No Container Instances were found in your capacity provider" in event["message"] for event in stack.service()["events"])


@pytest.mark.parametrize("instances", [("t3.micro", 100)], indirect=True)
def test_an_instance_without_a_free_interface_takes_no_task(stack: Stack, instances: Instances) -> None:
    instances.create_service(desiredCount=4)
    wait_for(lambda: [instance["runningTasksCount"] for instance in instances.described()] == [1, 1, 1])
    assert [task["lastStatus"] for task in stack.tasks()].count("PROVISIONING") == 1
    event = next(event["message"] for event in stack.service()["events"] if "RESOURCE:ENI" in event["message"])
    assert event.startswith(
        "(service page) was unable to place a task because no container instance met all of its requirements. The closest"
    )


@pytest.mark.parametrize("instances", [("t3.small", 50)], indirect=True)
def test_managed_scaling_keeps_the_reserve_that_the_target_capacity_asks_for(stack: Stack, instances: Instances) -> None:
    instances.create_service(desiredCount=1)
    wait_for(lambda: sorted(instance["runningTasksCount"] for instance in instances.described()) == [0, 1])


def test_a_draining_instance_hands_its_tasks_over(stack: Stack, aws: Callable[[str], Any], instances: Instances) -> None:
    instances.create_service(desiredCount=1)
    stack.wait_steady()
    (task,) = stack.tasks()
    arn = task["containerInstanceArn"]
    aws("ecs").update_container_instances_state(cluster=stack.name, containerInstances=[arn], status="DRAINING")

    def moved() -> bool:
        return [(each["lastStatus"], each.get("containerInstanceArn") != arn) for each in stack.tasks()] == [("RUNNING", True)]

    wait_for(moved)
    assert {each["taskArn"] for each in stack.tasks("STOPPED")} == {task["taskArn"]}


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
