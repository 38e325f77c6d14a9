"""Everything that exists in the account, one entry a thing: what a removal forgets shows as a line.

Left out is what an account has before anybody does anything, or what AWS keeps by itself: the default VPC and what belongs to it, AWS's own
policies, keys and parameters, service-linked roles, and what is only still listed (terminated instances, deleted NAT gateways, keys that
wait for their deletion).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moto.backends import get_backend

from emulator.state import State
from emulator.wire import ACCOUNT

Entry = dict[str, Any]
Found = Iterable[tuple[str, str | None, dict[str, str]]]  # id or ARN, name, tags
Lister = Callable[[Any], Found]

_LISTERS: list[tuple[str, str, Lister]] = []


def inventory(state: State) -> list[Entry]:
    """All that exists, over all regions, sorted: each entry has C(service), C(type), C(region), C(id), C(name) and C(tags)."""
    entries = [
        {"service": service, "type": kind, "region": region, "id": identifier, "name": name, "tags": tags}
        for service, kind, lister in _LISTERS
        for region, backend in backends(service)
        for identifier, name, tags in snapshot(lister, backend)
    ]
    with state.lock:
        entries += [
            {
                "service": "ecs",
                "type": "task",
                "region": task.service.region,
                "id": task.arn,
                "name": None,
                "tags": pairs(task.service.tags),
            }
            for task in state.tasks.values()
            if task.last_status != "STOPPED"
        ]
        for entry in entries:
            entry["tags"] |= state.scalable_target_tags.get(entry["id"], {})
    return sorted(entries, key=lambda entry: (entry["service"], entry["type"], entry["region"], entry["id"]))


def backends(service: str) -> Iterator[tuple[str, Any]]:
    """Moto's backends of a service, region by region; none where nobody has asked for the service yet."""
    if f"moto.{service}" in sys.modules:
        for region, backend in list(get_backend(service)[ACCOUNT].items()):
            if region != "aws-cn" and region != "aws-us-gov":  # partitions, of which IAM and S3 keep one backend each
                yield region, backend


def snapshot(lister: Lister, backend: Any) -> list[tuple[str, str | None, dict[str, str]]]:
    """What a lister finds; anew, if somebody makes or removes something meanwhile."""
    while True:
        try:
            return list(lister(backend))
        except RuntimeError:  # a dictionary changed its size
            continue


def kind(service: str, name: str) -> Callable[[Lister], Lister]:
    """Register a lister of a kind of thing; C(service) as moto names its package."""

    def register(lister: Lister) -> Lister:
        _LISTERS.append((service, name, lister))
        return lister

    return register


def pairs(tags: Iterable[dict[str, str]] | dict[str, str] | None) -> dict[str, str]:
    """Tags as a dictionary; each service spells them in its own way."""
    if isinstance(tags, dict):
        return dict(tags)
    spelt = ({name.lower().removeprefix("tag"): value for name, value in tag.items()} for tag in tags or [])
    return {tag["key"]: tag.get("value", "") for tag in spelt}


def tagged(tagger: Any, key: str) -> dict[str, str]:
    """Tags that one of moto's tagging services keeps."""
    return dict(tagger.get_tag_dict_for_resource(key))


# --- ec2 ---------------------------------------------------------------------------------------------------------------------------------


def ec2(name: str, things: Callable[[Any], Iterable[Any]]) -> None:
    """Register a kind of EC2, whose things have an id and tags, and belong to a VPC or not."""

    def lister(backend: Any) -> Found:
        default = {vpc.id for vpc in backend.vpcs.values() if vpc.is_default == "true" or vpc.is_default is True}
        for thing in list(things(backend)):
            if getattr(thing, "vpc_id", None) not in default and thing.id not in default:
                tags = dict(backend.tags.get(thing.id, {}))
                yield thing.id, getattr(thing, "name", None) or tags.get("Name"), tags

    kind("ec2", name)(lister)


ec2("vpc", lambda backend: backend.vpcs.values())
ec2("subnet", lambda backend: [subnet for zone in backend.subnets.values() for subnet in zone.values()])
ec2("security-group", lambda backend: [group for groups in backend.groups.values() for group in groups.values()])
ec2("route-table", lambda backend: backend.route_tables.values())
# The ACL that a VPC was made with goes with it; in moto it stays behind.
ec2("network-acl", lambda backend: [acl for acl in backend.network_acls.values() if acl.vpc_id in backend.vpcs])
ec2("internet-gateway", lambda backend: backend.internet_gateways.values())
ec2("natgateway", lambda backend: [gateway for gateway in backend.nat_gateways.values() if gateway.state != "deleted"])
ec2("vpc-endpoint", lambda backend: [endpoint for endpoint in backend.vpc_end_points.values() if endpoint.state != "deleted"])
ec2("network-interface", lambda backend: backend.enis.values())
ec2("instance", lambda backend: [instance for instance in backend.all_instances() if instance.state != "terminated"])
ec2("volume", lambda backend: backend.volumes.values())
ec2("launch-template", lambda backend: backend.launch_templates.values())
ec2("vpc-flow-log", lambda backend: backend.flow_logs.values())
ec2("key-pair", lambda backend: backend.key_pairs.values())
ec2("vpc-peering-connection", lambda backend: backend.vpc_pcxs.values())


@kind("ec2", "elastic-ip")
def addresses(backend: Any) -> Found:
    for address in backend.addresses:
        if address.allocation_id:
            yield address.allocation_id, address.public_ip, dict(backend.tags.get(address.allocation_id, {}))


# --- load balancing, capacity, containers ------------------------------------------------------------------------------------------------


@kind("elbv2", "loadbalancer")
def load_balancers(backend: Any) -> Found:
    for balancer in backend.load_balancers.values():
        yield balancer.arn, balancer.name, tagged(backend.tagging_service, balancer.arn)


@kind("elbv2", "listener")
def listeners(backend: Any) -> Found:
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            yield listener.arn, None, tagged(backend.tagging_service, listener.arn)


@kind("elbv2", "listener-rule")
def listener_rules(backend: Any) -> Found:
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            for rule in listener._non_default_rules.values():
                yield rule.arn, None, tagged(backend.tagging_service, rule.arn)


@kind("elbv2", "targetgroup")
def target_groups(backend: Any) -> Found:
    for group in backend.target_groups.values():
        yield group.arn, group.name, tagged(backend.tagging_service, group.arn)


@kind("autoscaling", "group")
def auto_scaling_groups(backend: Any) -> Found:
    for group in backend.autoscaling_groups.values():
        yield group.arn, group.name, pairs(group.tags)


@kind("autoscaling", "launch-configuration")
def launch_configurations(backend: Any) -> Found:
    for configuration in backend.launch_configurations.values():
        yield configuration.arn, configuration.name, {}


@kind("autoscaling", "policy")
def scaling_policies(backend: Any) -> Found:
    for policy in backend.policies.values():
        yield policy.arn, policy.name, {}


@kind("ecs", "cluster")
def clusters(backend: Any) -> Found:
    for cluster in backend.clusters.values():
        if cluster.status != "INACTIVE":
            yield cluster.arn, cluster.name, pairs(cluster.tags)


@kind("ecs", "capacity-provider")
def capacity_providers(backend: Any) -> Found:
    for provider in backend.capacity_providers.values():
        if provider.status != "INACTIVE":
            yield provider.capacity_provider_arn, provider.name, pairs(provider.tags)


@kind("ecs", "container-instance")
def container_instances(backend: Any) -> Found:
    for instances in backend.container_instances.values():
        for instance in instances.values():
            yield instance.container_instance_arn, instance.ec2_instance_id, {}


@kind("ecs", "service")
def services(backend: Any) -> Found:
    for service in backend.services.values():
        if service.status != "INACTIVE":
            yield service.arn, service.name, pairs(service.tags)


@kind("ecs", "task-definition")
def task_definitions(backend: Any) -> Found:
    for revisions in backend.task_definitions.values():
        for definition in revisions.values():
            if definition.status == "ACTIVE":
                yield definition.arn, f"{definition.family}:{definition.revision}", pairs(definition.tags)


@kind("ecs", "task")
def tasks_without_service(backend: Any) -> Found:
    for tasks in backend.tasks.values():
        for task in tasks.values():
            if task.last_status != "STOPPED":
                yield task.task_arn, None, pairs(task.tags)


@kind("applicationautoscaling", "scalable-target")
def scalable_targets(backend: Any) -> Found:
    for targets in backend.targets.values():
        for target in targets.values():
            yield target.arn, f"{target.resource_id} {target.scalable_dimension}", {}


@kind("applicationautoscaling", "scaling-policy")
def target_policies(backend: Any) -> Found:
    for policy in backend.policies.values():
        yield policy.policy_arn, policy.policy_name, {}


@kind("applicationautoscaling", "scheduled-action")
def scheduled_actions(backend: Any) -> Found:
    for action in backend.scheduled_actions:
        yield action.arn, action.scheduled_action_name, {}


@kind("ecr", "repository")
def repositories(backend: Any) -> Found:
    for repository in backend.repositories.values():
        yield repository.arn, repository.name, tagged(backend.tagger, repository.arn)


# --- data --------------------------------------------------------------------------------------------------------------------------------


@kind("dynamodb", "table")
def tables(backend: Any) -> Found:
    for table in backend.tables.values():
        yield table.table_arn, table.name, pairs(table.tags)


@kind("dynamodb", "backup")
def backups(backend: Any) -> Found:
    for backup in backend.backups.values():
        yield backup.arn, backup.name, {}


@kind("s3", "bucket")
def buckets(backend: Any) -> Found:
    for bucket in backend.buckets.values():
        yield bucket.arn, bucket.name, tagged(backend.tagger, bucket.arn)


@kind("logs", "log-group")
def log_groups(backend: Any) -> Found:
    for group in backend.groups.values():
        yield group.arn, group.name, tagged(backend.tagger, group.arn)


@kind("logs", "resource-policy")
def log_policies(backend: Any) -> Found:
    for name in backend.resource_policies:
        yield name, name, {}


@kind("ssm", "parameter")
def parameters(backend: Any) -> Found:
    for name in [name for name in dict.keys(backend._parameters) if not name.startswith("/aws/")]:
        yield name, name, {}


@kind("secretsmanager", "secret")
def secrets(backend: Any) -> Found:
    for secret in dict.values(backend.secrets):
        if not secret.is_deleted():
            yield secret.arn, secret.name, pairs(secret.tags)


# --- who may, who is told ----------------------------------------------------------------------------------------------------------------


@kind("iam", "role")
def roles(backend: Any) -> Found:
    for role in backend.roles.values():
        if not role.path.startswith("/aws-service-role/"):
            yield role.arn, role.name, pairs(role.tags)


@kind("iam", "instance-profile")
def instance_profiles(backend: Any) -> Found:
    for profile in backend.instance_profiles.values():
        yield profile.arn, profile.name, pairs(profile.tags)


@kind("iam", "user")
def users(backend: Any) -> Found:
    for user in backend.users.values():
        yield user.arn, user.name, tagged(backend.tagger, user.arn)


@kind("iam", "access-key")
def access_keys(backend: Any) -> Found:
    for user in backend.users.values():
        for key in user.access_keys:
            yield key.access_key_id, user.name, {}


@kind("iam", "group")
def groups(backend: Any) -> Found:
    for group in backend.groups.values():
        yield group.arn, group.name, {}


@kind("iam", "policy")
def policies(backend: Any) -> Found:
    for policy in backend.managed_policies.values():
        if f"::{ACCOUNT}:" in policy.arn:
            yield policy.arn, policy.name, pairs(policy.tags)


@kind("iam", "oidc-provider")
def oidc_providers(backend: Any) -> Found:
    for provider in backend.open_id_providers.values():
        yield provider.arn, provider.url, pairs(provider.tags)


@kind("kms", "key")
def keys(backend: Any) -> Found:
    for key in backend.keys.values():
        of_aws = any(name.startswith("alias/aws/") for name in key.aliases)
        if key.key_state != "PendingDeletion" and not of_aws:
            yield key.arn, key.description, tagged(backend.tagger, key.id)


@kind("kms", "alias")
def aliases(backend: Any) -> Found:
    for key in backend.keys.values():
        for alias in key.aliases.values():
            # An alias is deleted with its key.
            if key.key_state != "PendingDeletion" and not alias.alias_name.startswith("alias/aws/"):
                yield alias.alias_arn, alias.alias_name, {}


@kind("sns", "topic")
def topics(backend: Any) -> Found:
    for topic in backend.topics.values():
        yield topic.arn, topic.name, pairs(topic._tags)


@kind("sns", "subscription")
def subscriptions(backend: Any) -> Found:
    for subscription in backend.subscriptions.values():
        yield subscription.arn, subscription.endpoint, {}


@kind("sqs", "queue")
def queues(backend: Any) -> Found:
    for queue in backend.queues.values():
        yield queue.queue_arn, queue.name, pairs(queue.tags)


@kind("cloudwatch", "alarm")
def alarms(backend: Any) -> Found:
    for alarm in backend.alarms.values():
        yield alarm.alarm_arn, alarm.name, tagged(backend.tagger, alarm.alarm_arn)


@kind("cloudwatch", "dashboard")
def dashboards(backend: Any) -> Found:
    for dashboard in backend.dashboards.values():
        yield dashboard.arn, dashboard.name, {}


@kind("events", "rule")
def event_rules(backend: Any) -> Found:
    for bus in backend.event_buses.values():
        for rule in bus.rules.values():
            yield rule.arn, rule.name, tagged(backend.tagger, rule.arn)


@kind("acm", "certificate")
def certificates(backend: Any) -> Found:
    for certificate in backend._certificates.values():
        yield certificate.arn, certificate.common_name, {}


@kind("route53", "hosted-zone")
def hosted_zones(backend: Any) -> Found:
    for zone in backend.zones.values():
        yield zone.id, zone.name, {}


@kind("awslambda", "function")
def functions(backend: Any) -> Found:
    for function in backend.list_functions():
        yield function.function_arn, function.function_name, pairs(function.tags)


@kind("codebuild", "project")
def projects(backend: Any) -> Found:
    for name in backend.codebuild_projects:
        yield name, name, {}
