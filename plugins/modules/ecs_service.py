#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_service
version_added: 0.1.0
short_description: Manage an ECS service with rolling deployments
description:
  - Creates, updates and deletes an ECS service. Every option is compared with what runs, and all differences are repaired with one update.
  - A service whose last deployment failed for good gets a new deployment, even if nothing else differs.
  - It starts a deployment and does not wait for its end; M(threetier.aws.ecs_service_wait) does, for several services at once.
  - M(community.aws.ecs_service) does not notice changes of the deployment, network, strategy, placement and platform options,
    refuses changes of tags, fights auto-scaling with its O(community.aws.ecs_service#module:desired_count), and fails while a service
    of the same name drains.
author:
  - threetier.aws contributors
options:
  name:
    description: Name of the service, unique in its cluster.
    type: str
    required: true
  cluster:
    description: Name or ARN of the cluster.
    type: str
    required: true
  state:
    description:
      - Whether the service should exist.
      - With V(absent), its tasks are stopped and it is deleted.
    type: str
    choices: [present, absent]
    default: present
  task_definition:
    description: Revision to run, as C(family:revision) or ARN; required with O(state=present).
    type: str
  minimum_count:
    description: Fewest tasks. A new service starts with this many.
    type: int
    default: 1
  maximum_count:
    description:
      - Most tasks. An existing service keeps its current number of tasks, brought into the range from O(minimum_count) to this one, so that
        the module never fights application auto-scaling.
      - Left out, there is no upper end.
    type: int
  capacity_provider_strategy:
    description:
      - Where the tasks run, in any order; the capacity providers must be attached to the cluster; a change of them that is
        under way is waited for.
      - Left out, a new service follows the default strategy of its cluster and an existing one is left alone.
      - V([]) makes AWS go back to a launch type.
      - A change makes AWS replace all tasks.
    type: list
    elements: dict
    suboptions:
      capacity_provider:
        description: Name of the capacity provider.
        type: str
        required: true
      weight:
        description: Share of the tasks, relative to the other weights.
        type: int
        default: 1
      base:
        description: How many tasks run here before the weights count; only one provider may have a base.
        type: int
        default: 0
  network_configuration:
    description: Network of the tasks; required for, and only allowed with, the network mode V(awsvpc).
    type: dict
    suboptions:
      subnets:
        description: Ids of the subnets, in any order.
        type: list
        elements: str
        required: true
      security_groups:
        description: Ids of the security groups, in any order.
        type: list
        elements: str
      assign_public_ip:
        description: Whether tasks get a public address; only Fargate tasks can.
        type: bool
  load_balancers:
    description: Target groups in which the tasks are registered, in any order; V([]) for none.
    type: list
    elements: dict
    suboptions:
      target_group_arn:
        description: ARN of the target group, which a listener must already use.
        type: str
        required: true
      container_name:
        description: Container that takes the requests.
        type: str
        required: true
      container_port:
        description: Port of that container.
        type: int
        required: true
  health_check_grace_period_seconds:
    description: How long a new task may fail health checks; only with O(load_balancers).
    type: int
  deployment_configuration:
    description: How a deployment replaces tasks. What is left out is left alone.
    type: dict
    suboptions:
      minimum_healthy_percent:
        description: Per cent of the tasks that stay healthy during a deployment.
        type: int
      maximum_percent:
        description: Per cent of the tasks that may run during a deployment.
        type: int
      circuit_breaker:
        description: Whether a deployment whose tasks do not start fails, instead of trying for ever.
        type: dict
        suboptions:
          enable:
            description: Whether the circuit breaker is on.
            type: bool
            default: true
          rollback:
            description: Whether a failed deployment goes back to the last one that worked.
            type: bool
            default: true
      alarms:
        description: CloudWatch alarms that make a deployment fail. Alarms that are in ALARM when it starts are not watched.
        type: dict
        suboptions:
          alarm_names:
            description: Names of the alarms, in any order.
            type: list
            elements: str
            required: true
          enable:
            description: Whether the alarms are watched.
            type: bool
            default: true
          rollback:
            description: Whether a failed deployment goes back to the last one that worked.
            type: bool
            default: true
  placement_strategy:
    description: How tasks are spread over instances, in order of precedence; V([]) for none. Not with Fargate.
    type: list
    elements: dict
    suboptions:
      type:
        description: Kind of strategy.
        type: str
        required: true
        choices: [random, spread, binpack]
      field:
        description: What to spread over or pack by, such as V(attribute:ecs.availability-zone), V(instanceId) or V(memory).
        type: str
  placement_constraints:
    description: Which instances tasks may run on, in any order; V([]) for none. Not with Fargate.
    type: list
    elements: dict
    suboptions:
      type:
        description: Kind of constraint.
        type: str
        required: true
        choices: [distinctInstance, memberOf]
      expression:
        description: Expression in the cluster query language, with V(memberOf).
        type: str
  platform_version:
    description: Platform version of Fargate tasks, such as V(LATEST).
    type: str
  enable_execute_command:
    description: Whether C(aws ecs execute-command) works on tasks that start from now on.
    type: bool
  enable_ecs_managed_tags:
    description: Whether AWS tags the tasks with cluster and service; counts for tasks that start from now on.
    type: bool
  propagate_tags:
    description: Whose tags tasks get that start from now on.
    type: str
    choices: [TASK_DEFINITION, SERVICE, NONE]
  availability_zone_rebalancing:
    description: Whether ECS moves tasks until all availability zones have equally many.
    type: str
    choices: [ENABLED, DISABLED]
  wait:
    description: With O(state=absent), whether to wait until the service is INACTIVE, which takes as long as its targets and tasks drain.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait for a service that drains, because of O(state=absent) or because a new one of the same name must follow it.
    type: int
    default: 900
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Predicts the result and writes nothing.
    support: full
  diff_mode:
    description: Shows the fields that change, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
notes:
  - Manages services with the scheduling strategy V(REPLICA) and ECS's own deployment controller, and fails on others.
seealso:
  - module: threetier.aws.ecs_service_wait
  - module: threetier.aws.ecs_task_definition
  - module: threetier.aws.application_autoscaling
  - module: community.aws.ecs_service
"""

EXAMPLES = r"""
- name: Run the web tier on Fargate behind a load balancer
  threetier.aws.ecs_service:
    name: web
    cluster: demo
    task_definition: "{{ web.task_definition.task_definition_arn }}"
    minimum_count: 2
    maximum_count: 6
    capacity_provider_strategy:
      - capacity_provider: FARGATE
    network_configuration:
      subnets: "{{ network_private_subnet_ids }}"
      security_groups: ["{{ network_web_group_id }}"]
      assign_public_ip: false
    load_balancers:
      - target_group_arn: "{{ balancer_web_target_group_arn }}"
        container_name: web
        container_port: 8080
    health_check_grace_period_seconds: 30
    deployment_configuration:
      minimum_healthy_percent: 100
      maximum_percent: 200
      circuit_breaker: {}
    tags:
      threetier:stack: demo

- name: Start the removal of the service, and wait elsewhere
  threetier.aws.ecs_service:
    name: web
    cluster: demo
    state: absent
    wait: false
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["web"], "replaced": [], "deleted": [], "unchanged": []}
service:
  description: The service as AWS describes it right after the run, without its events; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    service_arn:
      description: ARN; absent in check mode when the service does not exist yet.
      type: str
      returned: when known
      sample: arn:aws:ecs:eu-central-1:123456789012:service/demo/web
    service_name:
      description: Name.
      type: str
      sample: web
    desired_count:
      description: How many tasks should run.
      type: int
      sample: 2
    task_definition:
      description: Revision that runs.
      type: str
      sample: arn:aws:ecs:eu-central-1:123456789012:task-definition/demo-web:7
    tags:
      description: Tags.
      type: dict
"""

from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import snake_dict_to_camel_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.ecs import (
    NEW_ROLE_REFUSALS,
    change_tags,
    check_attached,
    describe_services,
    ordered_strategy,
    public,
    settled,
    strategy_argument_spec,
    strategy_by_provider,
    strategy_items,
    tag_dict,
    tag_list,
)
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    is_planned,
    outcome_of,
    patiently,
    selected,
    wait_for,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change, text_tags

# What AWS answers to a creation or an update that comes moments after the things it needs.
TOO_EARLY = (*NEW_ROLE_REFUSALS, "does not have an associated load balancer", "Unable to Start a service that is still Draining")

# What a service has that nobody gave these fields; AWS does not mention all of them.
DEFAULTS = {
    "availabilityZoneRebalancing": "DISABLED",
    "capacityProviderStrategy": [],
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "healthCheckGracePeriodSeconds": 0,
    "loadBalancers": [],
    "networkConfiguration": {},
    "placementConstraints": [],
    "placementStrategy": [],
    "propagateTags": "NONE",
}
OFF = {"enable": False}
DEPLOYMENT_DEFAULTS = {"deploymentCircuitBreaker": OFF, "alarms": OFF}


def describe(ecs: Any, params: dict[str, Any]) -> dict[str, Any] | None:
    """The service, or None where it does not exist; AWS keeps deleted ones as INACTIVE for a while."""
    if is_planned(params["cluster"]):
        return None
    found = describe_services(ecs, params["cluster"], [params["name"]])
    return next((service for service in found if service["status"] != "INACTIVE"), None)


def drained(ecs: Any, params: dict[str, Any]) -> None:
    removal = f"the removal of service {params['name']}"
    wait_for(lambda: describe(ecs, params), lambda service: service is None, params["wait_timeout"], removal)


def wanted_fields(params: dict[str, Any]) -> dict[str, Any]:
    """The service in the words of CreateService and UpdateService, without what nobody asked for."""
    network, balancers, deployment = params["network_configuration"], params["load_balancers"], params["deployment_configuration"]
    fields = {
        "taskDefinition": params["task_definition"],
        "capacityProviderStrategy": strategy_items(params["capacity_provider_strategy"]),
        "networkConfiguration": network and {"awsvpcConfiguration": vpc_configuration(network)},
        "loadBalancers": None if balancers is None else [snake_dict_to_camel_dict(balancer) for balancer in balancers],
        "deploymentConfiguration": deployment
        and {
            "minimumHealthyPercent": deployment["minimum_healthy_percent"],
            "maximumPercent": deployment["maximum_percent"],
            "deploymentCircuitBreaker": deployment["circuit_breaker"],
            "alarms": deployment["alarms"] and snake_dict_to_camel_dict(deployment["alarms"]),
        },
        "healthCheckGracePeriodSeconds": params["health_check_grace_period_seconds"],
        "placementStrategy": params["placement_strategy"],
        "placementConstraints": params["placement_constraints"],
        "platformVersion": params["platform_version"],
        "enableExecuteCommand": params["enable_execute_command"],
        "enableECSManagedTags": params["enable_ecs_managed_tags"],
        "propagateTags": params["propagate_tags"],
        "availabilityZoneRebalancing": params["availability_zone_rebalancing"],
    }
    return without_none(fields)


def vpc_configuration(network: dict[str, Any]) -> dict[str, Any]:
    public_ip = {None: None, True: "ENABLED", False: "DISABLED"}[network["assign_public_ip"]]
    return {"subnets": network["subnets"], "securityGroups": network["security_groups"], "assignPublicIp": public_ip}


def comparable(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields in a form in which two that mean the same are equal."""
    return {field: COMPARABLE.get(field, lambda value: value)(value) for field, value in fields.items()}


def shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Comparable fields as a diff shows them: lists of named things by their names."""
    return {field: SHOWN.get(field, lambda value: value)(value) for field, value in fields.items()}


def unordered(value: dict[str, Any]) -> dict[str, Any]:
    return {field: sorted(item) if isinstance(item, list) else item for field, item in value.items()}


def target_groups(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(({key: item.get(key) for key in ("targetGroupArn", "containerName", "containerPort")} for item in value), key=str)


def deployment(value: dict[str, Any]) -> dict[str, Any]:
    """A safeguard that is off is the same as another that is off, whatever else they say."""
    safeguards = {name: value[name] for name in DEPLOYMENT_DEFAULTS if name in value}
    return {**value, **{name: unordered(safeguard) if safeguard["enable"] else OFF for name, safeguard in safeguards.items()}}


def placement(value: list[dict[str, str]]) -> list[dict[str, str]]:
    """In order, because the first counts most. AWS writes CPU for cpu, and instanceId for its other name, host."""
    fields = [item.get("field", "").lower() for item in value]
    return [{"type": item["type"], "field": "instanceid" if field == "host" else field} for item, field in zip(value, fields, strict=True)]


COMPARABLE = {
    "taskDefinition": lambda value: value.rpartition("/")[2],
    "capacityProviderStrategy": ordered_strategy,
    "networkConfiguration": lambda value: unordered(value.get("awsvpcConfiguration", {})),
    "loadBalancers": target_groups,
    "deploymentConfiguration": deployment,
    "placementStrategy": placement,
    "placementConstraints": lambda value: sorted(value, key=lambda item: (item["type"], item.get("expression", ""))),
}


SHOWN = {
    "capacityProviderStrategy": strategy_by_provider,
    "loadBalancers": lambda value: {item["targetGroupArn"]: f"{item['containerName']}:{item['containerPort']}" for item in value},
}


def update_request(fields: dict[str, Any], current: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """What UpdateService takes to make the change. AWS replaces a whole field, so parts that nobody gave keep their current value."""
    request = {field: fields[field] for field in change}
    if "networkConfiguration" in request:
        now = current.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
        request["networkConfiguration"] = {"awsvpcConfiguration": {**now, **fields["networkConfiguration"]["awsvpcConfiguration"]}}
    if "deploymentConfiguration" in request:
        now = current.get("deploymentConfiguration", {})
        kept = {field: now[field] for field in ("minimumHealthyPercent", "maximumPercent", *DEPLOYMENT_DEFAULTS) if field in now}
        request["deploymentConfiguration"] = {**kept, **fields["deploymentConfiguration"]}
    if "capacityProviderStrategy" in request:
        request["forceNewDeployment"] = True  # AWS refuses the change without it
    return request


def check_changeable(service: dict[str, Any]) -> None:
    name = service["serviceName"]
    if service.get("schedulingStrategy", "REPLICA") != "REPLICA":
        raise StateError(
            f"service {name} has the scheduling strategy {service['schedulingStrategy']}, which AWS cannot change; delete it and run again"
        )
    controller = service.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        raise StateError(f"deployments of service {name} are made by {controller}; change it there, or delete the service and run again")


def has_given_up(service: dict[str, Any]) -> bool:
    """Whether the last deployment failed with nothing to go back to; ECS then starts no task until somebody makes another one."""
    return any(item["status"] == "PRIMARY" and item.get("rolloutState") == "FAILED" for item in service.get("deployments", []))


def create(ecs: Any, request: dict[str, Any]) -> dict[str, Any]:
    if "capacityProviderStrategy" in request:  # which a cluster may have been given a moment ago
        check_attached(settled(ecs, request["cluster"]))
    try:
        return patiently(lambda: ecs.create_service(**request, aws_retry=True), TOO_EARLY)["service"]
    except ClientError as error:
        if "was not idempotent" not in str(error):
            raise
        raise StateError(
            f"another service {request['serviceName']} has appeared in cluster {request['cluster']} meanwhile, with other settings; "
            "run again, and the module changes that one"
        ) from error


def ensure_present(ecs: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, cluster, tags = params["name"], params["cluster"], text_tags(params["tags"])
    fields = wanted_fields(params)
    current = describe(ecs, params)
    if current and current["status"] == "DRAINING":
        if not check_mode:
            drained(ecs, params)
        current = None

    if current is None:
        count = {"desiredCount": params["minimum_count"]}
        request = {"serviceName": name, "cluster": cluster, **fields, **count, **({"tags": tag_list(tags)} if tags else {})}
        service = {**request, "status": "ACTIVE"} if check_mode else create(ecs, request)
        after = {"cluster": cluster, **shown(comparable(fields)), **count, "tags": tags}
        return {"service": described(service), **outcome_of(name, None, after)}

    check_changeable(current)
    filled = {**DEFAULTS, **current, "deploymentConfiguration": {**DEPLOYMENT_DEFAULTS, **current.get("deploymentConfiguration", {})}}
    now = comparable(filled)
    change = differences(comparable(fields), now)
    request = update_request(fields, current, change)
    count = max(current["desiredCount"], params["minimum_count"])
    if params["maximum_count"] is not None:
        count = min(count, params["maximum_count"])
    if count != current["desiredCount"]:
        change["desiredCount"] = request["desiredCount"] = count
    if has_given_up(current):
        now["rolloutState"], change["rolloutState"], request["forceNewDeployment"] = "FAILED", "IN_PROGRESS", True
    retag = tag_change(tag_dict(current), params["tags"], params["purge_tags"])
    service = {**current, **request}
    if not check_mode:
        if change:
            if "capacityProviderStrategy" in request:
                check_attached(settled(ecs, cluster))
            service = patiently(lambda: ecs.update_service(cluster=cluster, service=name, **request, aws_retry=True), TOO_EARLY)["service"]
        change_tags(ecs, current["serviceArn"], retag)
    return {
        "service": described({**service, "tags": tag_list(retag.result)}),
        **outcome_of(name, shown(selected(change, now)) | retag.before, shown(change) | retag.after),
    }


def ensure_absent(ecs: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, cluster = params["name"], params["cluster"]
    current = describe(ecs, params)
    delete = current is not None and current["status"] != "DRAINING"
    if not check_mode:
        if delete:
            ecs.update_service(cluster=cluster, service=name, desiredCount=0, aws_retry=True)
            ecs.delete_service(cluster=cluster, service=name, force=True, aws_retry=True)
        if params["wait"]:
            drained(ecs, params)
    if not delete:
        return outcome_of(name, None, None)
    running = {"taskDefinition": current.get("taskDefinition", "").rpartition("/")[2], "desiredCount": current["desiredCount"]}
    return outcome_of(name, {"cluster": cluster, **running, "tags": tag_dict(current)}, None)


def described(service: dict[str, Any]) -> dict[str, Any]:
    return public({field: value for field, value in service.items() if field not in ("events", "forceNewDeployment")})


def build_argument_spec() -> dict[str, Any]:
    return {
        "name": {"type": "str", "required": True},
        "cluster": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "task_definition": {"type": "str"},
        "minimum_count": {"type": "int", "default": 1},
        "maximum_count": {"type": "int"},
        "capacity_provider_strategy": strategy_argument_spec(),
        "network_configuration": {
            "type": "dict",
            "options": {
                "subnets": {"type": "list", "elements": "str", "required": True},
                "security_groups": {"type": "list", "elements": "str"},
                "assign_public_ip": {"type": "bool"},
            },
        },
        "load_balancers": {
            "type": "list",
            "elements": "dict",
            "options": {
                "target_group_arn": {"type": "str", "required": True},
                "container_name": {"type": "str", "required": True},
                "container_port": {"type": "int", "required": True},
            },
        },
        "health_check_grace_period_seconds": {"type": "int"},
        "deployment_configuration": {
            "type": "dict",
            "options": {
                "minimum_healthy_percent": {"type": "int"},
                "maximum_percent": {"type": "int"},
                "circuit_breaker": {
                    "type": "dict",
                    "options": {"enable": {"type": "bool", "default": True}, "rollback": {"type": "bool", "default": True}},
                },
                "alarms": {
                    "type": "dict",
                    "options": {
                        "alarm_names": {"type": "list", "elements": "str", "required": True},
                        "enable": {"type": "bool", "default": True},
                        "rollback": {"type": "bool", "default": True},
                    },
                },
            },
        },
        "placement_strategy": {
            "type": "list",
            "elements": "dict",
            "options": {"type": {"type": "str", "required": True, "choices": ["random", "spread", "binpack"]}, "field": {"type": "str"}},
        },
        "placement_constraints": {
            "type": "list",
            "elements": "dict",
            "options": {
                "type": {"type": "str", "required": True, "choices": ["distinctInstance", "memberOf"]},
                "expression": {"type": "str"},
            },
        },
        "platform_version": {"type": "str"},
        "enable_execute_command": {"type": "bool"},
        "enable_ecs_managed_tags": {"type": "bool"},
        "propagate_tags": {"type": "str", "choices": ["TASK_DEFINITION", "SERVICE", "NONE"]},
        "availability_zone_rebalancing": {"type": "str", "choices": ["ENABLED", "DISABLED"]},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 900},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def check_options(params: dict[str, Any]) -> None:
    """What an argument spec cannot say."""
    wrong, revision = [], params["task_definition"]
    if params["state"] == "present" and not is_planned(revision) and ":" not in revision.rpartition("/")[2]:
        wrong.append(f"task_definition is {revision}, which names no revision; give family:revision or the ARN of a revision")
    if params["maximum_count"] is not None and params["maximum_count"] < params["minimum_count"]:
        wrong.append(f"maximum_count ({params['maximum_count']}) is less than minimum_count ({params['minimum_count']})")
    if wrong:
        raise StateError("\n".join(wrong))


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_if=[("state", "present", ["task_definition"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        check_options(module.params)
        result = ensure(client(module, "ecs"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the ECS service {module.params['name']} of cluster {module.params['cluster']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
