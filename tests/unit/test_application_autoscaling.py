"""The module application_autoscaling."""

from __future__ import annotations

import pytest
from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import application_autoscaling

from support import ModuleFailed, refusal

CPU = {"name": "cpu", "predefined_metric_type": "ECSServiceAverageCPUUtilization", "target_value": 60, "scale_in_cooldown": 300}
MEMORY = {"name": "memory", "predefined_metric_type": "ECSServiceAverageMemoryUtilization", "target_value": 70}


@pytest.fixture
def service(aws, tmp_path):
    """Options for the scaling of an ECS service that exists."""
    ecs, name = aws("ecs"), tmp_path.name
    ecs.create_cluster(clusterName="scaling")
    ecs.register_task_definition(family=name, containerDefinitions=[{"name": "web", "image": "web", "memory": 9}])
    ecs.create_service(cluster="scaling", serviceName=name, taskDefinition=name, desiredCount=0)
    options = {"service_namespace": "ecs", "resource_id": f"service/scaling/{name}", "scalable_dimension": "ecs:service:DesiredCount"}
    return {**options, "min_capacity": 2, "max_capacity": 6, "target_tracking_policies": [CPU, MEMORY]}


def found(aws, options):
    scaling = aws("application-autoscaling")
    name = {"ServiceNamespace": options["service_namespace"], "ScalableDimension": options["scalable_dimension"]}
    targets = scaling.describe_scalable_targets(ResourceIds=[options["resource_id"]], **name)["ScalableTargets"]
    policies = scaling.describe_scaling_policies(ResourceId=options["resource_id"], **name)["ScalingPolicies"]
    return targets, {policy["PolicyName"]: policy[application_autoscaling.CONFIGURATION] for policy in policies}


def test_registers_changes_and_deregisters(aws, service, check_run_check_run):
    made = check_run_check_run("application_autoscaling", **service)
    name = service["resource_id"]
    assert made["changes"]["created"] == [name]
    assert made["diff"]["after"][name]["policy memory"] == {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": MEMORY["predefined_metric_type"]},
    }
    changed = check_run_check_run(
        "application_autoscaling", **service | {"max_capacity": 8, "target_tracking_policies": [{**CPU, "target_value": 50}, MEMORY]}
    )
    assert changed["diff"] == {
        "before": {name: {"MaxCapacity": 6, "policy cpu": {"TargetValue": 60.0}}},
        "after": {name: {"MaxCapacity": 8, "policy cpu": {"TargetValue": 50.0}}},
    }
    targets, policies = found(aws, service)
    assert (targets[0]["MinCapacity"], targets[0]["MaxCapacity"]) == (2, 8)
    assert policies["cpu"]["TargetValue"] == 50
    check_run_check_run("application_autoscaling", **service | {"state": "absent"})
    assert found(aws, service)[0] == []


def test_scaling_that_somebody_suspended_goes_on(aws, service, run_module, check_run_check_run):
    run_module("application_autoscaling", **service)
    target = application_autoscaling.identity(service)
    aws("application-autoscaling").register_scalable_target(**target, SuspendedState={"DynamicScalingOutSuspended": True})
    done = check_run_check_run("application_autoscaling", **service)
    name, field = service["resource_id"], "DynamicScalingOutSuspended"
    assert done["diff"] == {
        "before": {name: {"SuspendedState": {field: True}}},
        "after": {name: {"SuspendedState": {field: False}}},
    }
    assert not any(found(aws, service)[0][0]["SuspendedState"].values())


def test_policies_exchange_their_metrics(aws, service, run_module, check_run_check_run):
    run_module("application_autoscaling", **service)
    metrics = [CPU["predefined_metric_type"], MEMORY["predefined_metric_type"]]
    swapped = [{**CPU, "predefined_metric_type": metrics[1]}, {**MEMORY, "predefined_metric_type": metrics[0]}]
    check_run_check_run("application_autoscaling", **service | {"target_tracking_policies": swapped})
    policies = found(aws, service)[1]
    assert [policies[name]["PredefinedMetricSpecification"]["PredefinedMetricType"] for name in ("cpu", "memory")] == metrics[::-1]


def test_scales_a_table(aws, check_run_check_run):
    aws("dynamodb").create_table(
        TableName="target-tracked",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    policy = {"name": "reads", "predefined_metric_type": "DynamoDBReadCapacityUtilization", "target_value": 70}
    options = {"service_namespace": "dynamodb", "resource_id": "table/target-tracked", "scalable_dimension": "dynamodb:table:ReadCapacityUnits"}
    done = check_run_check_run("application_autoscaling", **options, min_capacity=1, max_capacity=5, target_tracking_policies=[policy])
    assert done["changes"]["created"] == ["table/target-tracked Read"]
    assert found(aws, options)[1].keys() == {"reads"}


def test_stops_all_scaling_of_a_table(aws, run_module, check_run_check_run):
    aws("dynamodb").create_table(
        TableName="scaled",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    table = {"service_namespace": "dynamodb", "resource_id": "table/scaled"}
    for kind in ("Read", "Write"):
        options = {**table, "scalable_dimension": f"dynamodb:table:{kind}CapacityUnits", "min_capacity": 1, "max_capacity": 5}
        run_module("application_autoscaling", **options)
    done = check_run_check_run("application_autoscaling", **table, state="absent")
    assert sorted(done["changes"]["deleted"]) == ["table/scaled Read", "table/scaled Write"]
    assert found(aws, options)[0] == []


def test_a_renamed_policy_replaces_the_old_one_before_aws_sees_two_for_one_metric(
    aws, service, run_module, check_run_check_run, monkeypatch
):
    run_module("application_autoscaling", **service)
    calls = []

    def client(module, name):
        scaling = state.client(module, name)
        for call in ("put_scaling_policy", "delete_scaling_policy"):
            monkeypatch.setattr(
                scaling,
                call,
                lambda call=call, do=getattr(scaling, call), **request: calls.append((call, request["PolicyName"])) or do(**request),
            )
        return scaling

    monkeypatch.setattr(application_autoscaling, "client", client)
    check_run_check_run("application_autoscaling", **service | {"target_tracking_policies": [{**CPU, "name": "processor"}, MEMORY]})
    assert calls == [("delete_scaling_policy", "cpu"), ("put_scaling_policy", "processor")]
    assert found(aws, service)[1].keys() == {"processor", "memory"}


def test_what_somebody_added_goes_unless_it_is_to_stay(aws, service, run_module, check_run_check_run):
    run_module("application_autoscaling", **service)
    target = {"ServiceNamespace": "ecs", "ResourceId": service["resource_id"], "ScalableDimension": service["scalable_dimension"]}
    at_night = {"Schedule": "cron(0 22 * * ? *)", "ScalableTargetAction": {"MaxCapacity": 1}}
    scaling = aws("application-autoscaling")
    scaling.put_scheduled_action(**target, ScheduledActionName="night", **at_night)
    wanted = service | {"target_tracking_policies": [CPU]}
    assert not run_module("application_autoscaling", **wanted, purge=False)["changed"]
    assert found(aws, service)[1].keys() == {"cpu", "memory"}

    done = check_run_check_run("application_autoscaling", **wanted)
    assert done["diff"]["before"][service["resource_id"]]["scheduled action night"] == at_night
    assert done["diff"]["after"][service["resource_id"]] == {"policy memory": None, "scheduled action night": None}
    assert found(aws, service)[1].keys() == {"cpu"}
    assert scaling.describe_scheduled_actions(ServiceNamespace="ecs")["ScheduledActions"] == []


def test_a_metric_that_somebody_put_into_a_policy_is_shown_as_it_goes(aws, service, run_module, check_run_check_run):
    run_module("application_autoscaling", **service)
    target = {"ServiceNamespace": "ecs", "ResourceId": service["resource_id"], "ScalableDimension": service["scalable_dimension"]}
    own = {"MetricName": "Queue", "Namespace": "Own", "Statistic": "Average"}
    configuration = {"TargetValue": 60, "ScaleInCooldown": 300, "CustomizedMetricSpecification": own}
    policy = {"PolicyType": "TargetTrackingScaling", application_autoscaling.CONFIGURATION: configuration}
    aws("application-autoscaling").put_scaling_policy(**target, PolicyName="cpu", **policy)
    done = check_run_check_run("application_autoscaling", **service)
    assert done["diff"]["before"][service["resource_id"]] == {
        "policy cpu": {"PredefinedMetricSpecification": None, "CustomizedMetricSpecification": own}
    }


def test_an_update_keeps_the_cooldown_that_nobody_gave(aws, service, run_module):
    run_module("application_autoscaling", **service)
    other = {"name": "cpu", "predefined_metric_type": CPU["predefined_metric_type"], "target_value": 40, "disable_scale_in": False}
    run_module("application_autoscaling", **service | {"target_tracking_policies": [other, MEMORY]})
    assert found(aws, service)[1]["cpu"]["ScaleInCooldown"] == 300


def test_an_option_that_says_what_aws_does_anyway_is_no_difference(service, run_module):
    run_module("application_autoscaling", **service)
    assert not run_module(
        "application_autoscaling", **service | {"target_tracking_policies": [{**CPU, "disable_scale_in": False}, MEMORY]}
    )["changed"]


def test_a_service_that_does_not_exist_is_named(service, run_module, monkeypatch):
    monkeypatch.setattr(state, "PATIENCE_SECONDS", -1)
    with pytest.raises(ModuleFailed, match="ECS service doesn't exist"):
        run_module("application_autoscaling", **service | {"resource_id": "service/scaling/nobody"})


def test_what_was_just_made_is_waited_for(service, run_module, requests, answers):
    answers["RegisterScalableTarget"] = [
        refusal("ValidationException", "ECS service doesn't exist: x"),
        refusal("ValidationException", "Unable to assume IAM role: arn"),
    ]
    answers["PutScalingPolicy"] = [
        refusal("ObjectNotFoundException"),
        refusal("FailedResourceAccessException", "The security token included in the request is invalid"),
    ]
    assert run_module("application_autoscaling", **service)["changed"]
    assert (requests.count("RegisterScalableTarget"), requests.count("PutScalingPolicy")) == (3, 4)


def test_cloudwatch_that_throttles_behind_it_is_waited_for(service, run_module, requests, answers):
    run_module("application_autoscaling", **service)
    throttled = refusal("FailedResourceAccessException", "Rate exceeded")
    answers["DescribeScalingPolicies"], answers["DeleteScalingPolicy"] = [throttled], [throttled]
    assert run_module("application_autoscaling", **service | {"target_tracking_policies": [CPU]})["changed"]
    assert requests.count("DeleteScalingPolicy") == 2


def test_tags_go_with_the_registration_and_are_repaired_later(aws, service, check_run_check_run):
    made = check_run_check_run("application_autoscaling", **service, tags={"threetier:stack": "demo"})
    arn = made["scalable_target"]["scalable_target_arn"]
    assert aws("application-autoscaling").list_tags_for_resource(ResourceARN=arn)["Tags"] == {"threetier:stack": "demo"}
    changed = check_run_check_run("application_autoscaling", **service, tags={"tier": "web"})
    assert aws("application-autoscaling").list_tags_for_resource(ResourceARN=arn)["Tags"] == changed["scalable_target"]["tags"] == {"tier": "web"}
