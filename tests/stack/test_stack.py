"""The life of the stack `demo`, in its order: deployed, run again, read back, disturbed, previewed, removed. No test here stands alone."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import re
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from account import KINDS, tags
from commands import Stack, writes
from support import REGION, ROOT

Client = Callable[[str], Any]

ACCOUNT = "123456789012"
TIERS = {"web": "public", "api": "internal"}  # with the scheme of the load balancer before each
PRIVATE_CIDRS = {"10.0.128.0/20", "10.0.144.0/20", "10.0.160.0/20"}
INVENTORY = yaml.safe_load((ROOT / "inventories/local/hosts.yml").read_text())["all"]["hosts"]["demo"]
# The role verify adds an item through the page and deletes it again: the api tier's task does that, not the deployment.
WRITES_OF_THE_PAGE = {"dynamodb PutItem", "dynamodb DeleteItem"}
UNCHANGED = re.compile(r"demo\s+: ok=\d+\s+changed=0\s+unreachable=0\s+failed=0")

# 1. The page


# The most requests that a phase may send, without those that only ask whether something has happened yet: there are more of these on a slow day.
# They are what a run costs in an account that throttles, so a new one needs a reason. Some are of AWS's refusals that pass: none at time scale 0.
REQUESTS = {"creation": 244, "second run": 115, "removal": 225}
LOOKS = {
    "DescribeAutoScalingGroups",
    "DescribeClusters",
    "DescribeLoadBalancers",
    "DescribeNatGateways",
    "DescribeSecurityGroups",
    "DescribeServices",
    "DescribeTable",
    "DescribeTargetHealth",
    "DescribeTasks",
    "ListTasks",
}


def test_a_creation_sends_few_requests(stack: Stack) -> None:
    assert len(asked(stack.requests())) <= REQUESTS["creation"]


def asked(requests: list[dict[str, Any]]) -> list[str]:
    """Those of the requests that do not only look whether something has happened, as C(ecs CreateService)."""
    return [f"{request['service']} {request['operation']}" for request in requests if request["operation"] not in LOOKS]


def page_url(client: Client) -> str:
    balancer = client("elbv2").describe_load_balancers(Names=["demo-public"])["LoadBalancers"][0]
    return f"http://{balancer['DNSName']}"


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def add_item(client: Client, text: str) -> str:
    """Add an item as the page's form does, and return the page that follows."""
    form = urllib.parse.urlencode({"text": text}).encode()
    with urllib.request.urlopen(f"{page_url(client)}/items", data=form, timeout=10) as answer:
        return answer.read().decode()


def test_the_page_shows_the_seed_items(client: Client) -> None:
    page = get(page_url(client))
    for item in INVENTORY["database_seed_items"]:
        assert item["text"] in page


def test_an_item_added_through_the_page_is_in_the_table(client: Client) -> None:
    text = f"Added by a test {secrets.token_hex(8)}"
    assert text in add_item(client, text)
    items = client("dynamodb").query(
        TableName="demo-items", KeyConditionExpression="#list = :items", ExpressionAttributeNames={"#list": "list"},
        ExpressionAttributeValues={":items": {"S": "items"}},
    )["Items"]  # fmt: skip
    assert text in [item["text"]["S"] for item in items]


def test_markup_in_an_item_stays_text(client: Client) -> None:
    page = add_item(client, "<script>alert('stolen')</script>")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(" in page


# 2. The second run


def test_a_second_run_changes_nothing(stack: Stack) -> None:
    before = len(stack.requests())
    finished = stack.molecule("idempotence")
    assert UNCHANGED.search(finished.output), str(finished)
    assert set(writes(stack.requests()[before:])) <= WRITES_OF_THE_PAGE
    assert len(asked(stack.requests()[before:])) <= REQUESTS["second run"]


def test_the_role_verify_works_alone(stack: Stack) -> None:
    before = len(stack.requests())
    stack.molecule("verify")
    assert set(writes(stack.requests()[before:])) == WRITES_OF_THE_PAGE


# 3. Read back by plain boto3: the network


def vpc_of(client: Client) -> dict[str, Any]:
    (vpc,) = client("ec2").describe_vpcs(Filters=[{"Name": "tag:threetier:stack", "Values": ["demo"]}])["Vpcs"]
    return vpc


def in_vpc(client: Client, operation: str, name: str = "vpc-id") -> dict[str, Any]:
    """What a describe operation of EC2 finds in the stack's VPC."""
    return getattr(client("ec2"), operation)(Filters=[{"Name": name, "Values": [vpc_of(client)["VpcId"]]}])


def subnets(client: Client, kind: str) -> dict[str, dict[str, Any]]:
    """The stack's public or private subnets by availability zone."""
    found = in_vpc(client, "describe_subnets")["Subnets"]
    return {subnet["AvailabilityZone"]: subnet for subnet in found if tags(subnet["Tags"])["Name"].startswith(f"demo-{kind}-")}


def route_table(client: Client, subnet_id: str) -> dict[str, Any]:
    (table,) = client("ec2").describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet_id]}])["RouteTables"]
    return table


def default_route(table: dict[str, Any]) -> dict[str, Any]:
    (route,) = [route for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    return route


def test_the_vpc_has_its_block_and_names(client: Client) -> None:
    vpc = vpc_of(client)
    assert vpc["CidrBlock"] == "10.0.0.0/16"
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = client("ec2").describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=attribute)
        assert answer[attribute[0].upper() + attribute[1:]]["Value"] is True


def test_each_of_three_zones_has_a_public_and_a_private_subnet(client: Client) -> None:
    zones = {f"{REGION}{letter}" for letter in "abc"}
    assert subnets(client, "public").keys() == subnets(client, "private").keys() == zones
    assert {subnet["CidrBlock"] for subnet in subnets(client, "private").values()} == PRIVATE_CIDRS
    assert len(in_vpc(client, "describe_subnets")["Subnets"]) == 6


def test_public_subnets_lead_to_the_internet_gateway(client: Client) -> None:
    (gateway,) = in_vpc(client, "describe_internet_gateways", "attachment.vpc-id")["InternetGateways"]
    for subnet in subnets(client, "public").values():
        assert default_route(route_table(client, subnet["SubnetId"]))["GatewayId"] == gateway["InternetGatewayId"]
        assert not subnet["MapPublicIpOnLaunch"]


def test_private_subnets_lead_to_the_nat_gateway_of_their_own_zone(client: Client) -> None:
    available = client("ec2").describe_nat_gateways(Filter=[{"Name": "state", "Values": ["available"]}])["NatGateways"]
    gateways, public = {gateway["NatGatewayId"]: gateway for gateway in available}, subnets(client, "public")
    assert len(gateways) == 3
    for zone, subnet in subnets(client, "private").items():
        gateway = gateways[default_route(route_table(client, subnet["SubnetId"]))["NatGatewayId"]]
        assert gateway["ConnectivityType"] == "public"
        assert gateway["SubnetId"] == public[zone]["SubnetId"]
        assert gateway["NatGatewayAddresses"][0]["PublicIp"]


def test_dynamodb_and_s3_are_reached_inside_of_aws(client: Client) -> None:
    tables = {route_table(client, subnet["SubnetId"])["RouteTableId"] for subnet in subnets(client, "private").values()}
    found = in_vpc(client, "describe_vpc_endpoints")["VpcEndpoints"]
    endpoints = {endpoint["ServiceName"].rpartition(".")[2]: endpoint for endpoint in found}
    assert endpoints.keys() == {"dynamodb", "s3"}
    for endpoint in endpoints.values():
        assert (endpoint["VpcEndpointType"], endpoint["State"]) == ("Gateway", "available")
        assert set(endpoint["RouteTableIds"]) == tables


def test_all_traffic_is_logged(client: Client) -> None:
    (flow_log,) = client("ec2").describe_flow_logs()["FlowLogs"]
    assert flow_log["ResourceId"] == vpc_of(client)["VpcId"]
    assert (flow_log["TrafficType"], flow_log["FlowLogStatus"]) == ("ALL", "ACTIVE")
    assert flow_log["LogGroupName"] == "/threetier/demo/flow-logs"
    assert flow_log["DeliverLogsPermissionArn"] == f"arn:aws:iam::{ACCOUNT}:role/demo-flow-logs"


# 3. The security groups


def security_groups(client: Client) -> dict[str, dict[str, Any]]:
    """All groups of the VPC, the default one too, by name."""
    return {group["GroupName"]: group for group in in_vpc(client, "describe_security_groups")["SecurityGroups"]}


def sources(group: dict[str, Any]) -> set[str]:
    """Whom the rules of a group let in: blocks, prefix lists and ids of groups."""
    return {
        *(block["CidrIp"] for rule in group["IpPermissions"] for block in rule["IpRanges"]),
        *(block["CidrIpv6"] for rule in group["IpPermissions"] for block in rule["Ipv6Ranges"]),
        *(block["PrefixListId"] for rule in group["IpPermissions"] for block in rule["PrefixListIds"]),
        *(pair["GroupId"] for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]),
    }


def paths_to(name: str, groups: dict[str, dict[str, Any]]) -> list[list[str]]:
    """All ways from an address outside to what is in the group, through what is in other groups."""
    by_id = {group["GroupId"]: name for name, group in groups.items()}

    def walk(path: list[str]) -> list[list[str]]:
        found = []
        for source in sources(groups[path[0]]):
            if source not in by_id:
                found.append([source, *path])
            elif by_id[source] not in path:
                found.extend(walk([by_id[source], *path]))
        return found

    return walk([name])


def test_the_only_way_to_the_api_is_through_the_public_balancer_the_web_tier_and_the_internal_balancer(client: Client) -> None:
    chain = ["demo-public-alb", "demo-web", "demo-internal-alb", "demo-api"]
    groups = security_groups(client)
    assert paths_to("demo-api", groups) == [["0.0.0.0/0", *chain]]
    ports = {name: [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in groups[name]["IpPermissions"]] for name in chain}
    assert ports == {name: [("tcp", port, port)] for name, port in zip(chain, (80, 8080, 80, 8080), strict=True)}


def test_only_the_public_balancer_names_an_address(client: Client) -> None:
    groups = security_groups(client)
    assert {name for name, group in groups.items() if any(rule["IpRanges"] for rule in group["IpPermissions"])} == {"demo-public-alb"}


def test_instances_and_the_default_group_let_nobody_in(client: Client) -> None:
    groups = security_groups(client)
    assert groups["demo-instances"]["IpPermissions"] == []
    assert groups["default"]["IpPermissions"] == groups["default"]["IpPermissionsEgress"] == []


def test_each_step_of_the_way_is_let_out_too(client: Client) -> None:
    private = {ipaddress.ip_network(cidr) for cidr in PRIVATE_CIDRS}
    for name, port in (("demo-public-alb", 8080), ("demo-web", 80), ("demo-internal-alb", 8080), ("demo-api", 443)):
        rules = [rule for rule in security_groups(client)[name]["IpPermissionsEgress"] if rule["FromPort"] <= port <= rule["ToPort"]]
        blocks = [ipaddress.ip_network(block["CidrIp"]) for rule in rules for block in rule["IpRanges"]]
        assert all(any(subnet.subnet_of(block) for block in blocks) for subnet in private), f"{name} reaches nothing on port {port}"


def test_balancers_and_tasks_are_in_the_groups_of_the_chain(client: Client) -> None:
    groups = {name: group["GroupId"] for name, group in security_groups(client).items()}
    for tier, scheme in TIERS.items():
        assert load_balancer(client, tier)["SecurityGroups"] == [groups[f"demo-{scheme}-alb"]]
        assert service_of(client, tier)["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] == [groups[f"demo-{tier}"]]
    assert launch_template(client)["SecurityGroupIds"] == [groups["demo-instances"]]


# 3. Cluster and instances


def launch_template(client: Client) -> dict[str, Any]:
    answer = client("ec2").describe_launch_template_versions(LaunchTemplateName="demo-instances", Versions=["$Latest"])
    return answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def auto_scaling_group(client: Client) -> dict[str, Any]:
    (group,) = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["demo-instances"])["AutoScalingGroups"]
    return group


def test_the_cluster_runs_on_fargate_and_on_instances(client: Client) -> None:
    (cluster,) = client("ecs").describe_clusters(clusters=["demo"], include=["SETTINGS"])["clusters"]
    assert cluster["status"] == "ACTIVE"
    assert set(cluster["capacityProviders"]) == {"FARGATE", "FARGATE_SPOT", "demo-instances"}
    assert cluster["settings"] == [{"name": "containerInsights", "value": "enabled"}]


def test_ecs_sizes_the_group_and_protects_its_instances(client: Client) -> None:
    (provider,) = client("ecs").describe_capacity_providers(capacityProviders=["demo-instances"])["capacityProviders"]
    settings = provider["autoScalingGroupProvider"]
    assert settings["autoScalingGroupArn"] == auto_scaling_group(client)["AutoScalingGroupARN"]
    assert settings["managedTerminationProtection"] == settings["managedDraining"] == settings["managedScaling"]["status"] == "ENABLED"
    assert settings["managedScaling"]["targetCapacity"] == 100


def test_instances_are_in_the_private_subnets_and_protected_from_scale_in(client: Client) -> None:
    group = auto_scaling_group(client)
    assert set(group["VPCZoneIdentifier"].split(",")) == {subnet["SubnetId"] for subnet in subnets(client, "private").values()}
    assert group["NewInstancesProtectedFromScaleIn"]
    assert (group["MinSize"], group["MaxSize"]) == (1, 4)
    assert group["Instances"] and all(instance["ProtectedFromScaleIn"] for instance in group["Instances"])


def test_an_instance_is_the_ecs_image_on_an_encrypted_disk_with_guarded_metadata(client: Client) -> None:
    template = launch_template(client)
    parameter = client("ssm").get_parameter(Name=template["ImageId"].removeprefix("resolve:ssm:"))["Parameter"]
    (image,) = client("ec2").describe_images(ImageIds=[parameter["Value"]])["Images"]
    assert "-ami-ecs-" in image["Name"]
    assert template["MetadataOptions"]["HttpTokens"] == "required"
    assert template["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    (disk,) = template["BlockDeviceMappings"]
    assert disk["DeviceName"] == image["RootDeviceName"]
    assert disk["Ebs"]["Encrypted"] and disk["Ebs"]["DeleteOnTermination"]
    assert template["IamInstanceProfile"] == {"Name": "demo-instance"}


def test_the_agent_of_an_instance_joins_the_cluster_and_asks_nobody_but_ecs(client: Client) -> None:
    script = base64.b64decode(launch_template(client)["UserData"]).decode()
    settings = dict(re.findall(r"^(ECS_\w+)=(.*)$", script, re.MULTILINE))
    assert settings.pop("ECS_CLUSTER") == "demo"
    assert json.loads(settings.pop("ECS_CONTAINER_INSTANCE_TAGS")) == {"threetier:stack": "demo", "threetier:tier": "api"}
    assert settings == {"ECS_AWSVPC_BLOCK_IMDS": "true"}, "tags that come from EC2 end the agent where it cannot reach EC2"


# 3. Services and task definitions


def service_of(client: Client, tier: str) -> dict[str, Any]:
    (service,) = client("ecs").describe_services(cluster="demo", services=[tier])["services"]
    return service


def definition_of(client: Client, tier: str) -> dict[str, Any]:
    return client("ecs").describe_task_definition(taskDefinition=service_of(client, tier)["taskDefinition"])["taskDefinition"]


@pytest.mark.parametrize(("tier", "provider"), [("web", "FARGATE"), ("api", "demo-instances")])
def test_a_service_runs_where_it_should_and_rolls_back_what_fails(client: Client, tier: str, provider: str) -> None:
    service = service_of(client, tier)
    assert service["status"] == "ACTIVE"
    assert service["runningCount"] == service["desiredCount"] == 2
    assert [each["capacityProvider"] for each in service["capacityProviderStrategy"]] == [provider]
    assert "launchType" not in service
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert service["deploymentConfiguration"]["minimumHealthyPercent"] == 100
    assert (service["enableECSManagedTags"], service["propagateTags"]) == (True, "SERVICE")


@pytest.mark.parametrize("tier", TIERS)
def test_a_service_is_private_and_behind_its_target_group(client: Client, tier: str) -> None:
    service = service_of(client, tier)
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    assert set(network["subnets"]) == {subnet["SubnetId"] for subnet in subnets(client, "private").values()}
    assert network["assignPublicIp"] == "DISABLED"
    (balancer,) = service["loadBalancers"]
    assert balancer == {"targetGroupArn": target_group(client, tier)["TargetGroupArn"], "containerName": tier, "containerPort": 8080}
    assert service["healthCheckGracePeriodSeconds"] == 60


@pytest.mark.parametrize(("tier", "compatibility"), [("web", "FARGATE"), ("api", "EC2")])
def test_a_task_has_no_more_rights_than_it_needs(client: Client, tier: str, compatibility: str) -> None:
    definition = definition_of(client, tier)
    assert definition["networkMode"] == "awsvpc"
    assert definition["requiresCompatibilities"] == [compatibility]
    (container,) = definition["containerDefinitions"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", container["user"])
    assert container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert not container.get("privileged")
    assert not container.get("secrets") and not [each for each in container["environment"] if "SECRET" in each["name"].upper()]


@pytest.mark.parametrize("tier", TIERS)
def test_a_container_is_watched_and_its_output_kept(client: Client, tier: str) -> None:
    (container,) = definition_of(client, tier)["containerDefinitions"]
    assert container["healthCheck"]["command"][0] == "CMD"
    assert container["logConfiguration"]["logDriver"] == "awslogs"
    options = container["logConfiguration"]["options"]
    assert (options["awslogs-group"], options["awslogs-region"]) == (f"/threetier/demo/{tier}", REGION)
    assert client("logs").describe_log_streams(logGroupName=f"/threetier/demo/{tier}")["logStreams"]


def test_each_tier_has_roles_of_its_own(client: Client) -> None:
    roles = [definition_of(client, tier)[role] for tier in TIERS for role in ("taskRoleArn", "executionRoleArn")]
    assert roles == [f"arn:aws:iam::{ACCOUNT}:role/demo-{tier}-{role}" for tier in TIERS for role in ("task", "execution")]


# 3. What roles and users may do

# Actions for which AWS knows no resource, so that only "*" can stand there; and DescribeLogGroups, which AWS's guide has so for flow logs.
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken", "ecs:DiscoverPollEndpoint", "logs:DescribeLogGroups"}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def statements(client: Client) -> dict[str, list[dict[str, Any]]]:
    """Statements of all policies of each of the stack's roles."""
    iam = client("iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("demo-")]
    found = {}
    for name in names:
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == [], f"{name} has more than its own policy"
        policies = [iam.get_role_policy(RoleName=name, PolicyName=each) for each in iam.list_role_policies(RoleName=name)["PolicyNames"]]
        found[name] = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
    return found


def test_the_api_may_do_four_things_with_one_table_and_the_web_tier_nothing(client: Client) -> None:
    found = statements(client)
    (statement,) = found["demo-api-task"]
    assert statement["Effect"] == "Allow"
    assert set(statement["Action"]) == {f"dynamodb:{action}" for action in ("Query", "GetItem", "PutItem", "DeleteItem")}
    assert as_list(statement["Resource"]) == [client("dynamodb").describe_table(TableName="demo-items")["Table"]["TableArn"]]
    assert found["demo-web-task"] == []


def test_no_role_may_do_everything_or_with_everything(client: Client) -> None:
    for role, found in statements(client).items():
        for statement in found:
            actions = set(as_list(statement["Action"]))
            assert not any("*" in action for action in actions), f"{role} may {actions}"
            if "*" in as_list(statement["Resource"]):
                assert actions <= WITHOUT_RESOURCE, f"{role} may {actions - WITHOUT_RESOURCE} with everything"


def test_an_execution_role_reaches_only_its_own_tier(client: Client) -> None:
    for tier, other in (("web", "api"), ("api", "web")):
        resources = [resource for statement in statements(client)[f"demo-{tier}-execution"] for resource in as_list(statement["Resource"])]
        assert any(f"repository/demo/{tier}" in resource for resource in resources)
        assert not any(f"demo/{other}" in resource for resource in resources)


def test_task_roles_are_only_for_tasks_of_this_account(client: Client) -> None:
    for tier in TIERS:
        (statement,) = client("iam").get_role(RoleName=f"demo-{tier}-task")["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
        assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:*"}


def test_a_reviewer_may_look_and_only_for_a_time(client: Client) -> None:
    iam = client("iam")
    (user,) = iam.list_users(PathPrefix="/threetier/demo/")["Users"]
    assert user["UserName"] == "demo-reviewer"
    assert iam.list_attached_user_policies(UserName="demo-reviewer")["AttachedPolicies"] == []
    assert iam.list_groups_for_user(UserName="demo-reviewer")["Groups"] == []
    (name,) = iam.list_user_policies(UserName="demo-reviewer")["PolicyNames"]
    for statement in iam.get_user_policy(UserName="demo-reviewer", PolicyName=name)["PolicyDocument"]["Statement"]:
        assert statement["Condition"] == {"DateLessThan": {"aws:CurrentTime": INVENTORY["reviewers_users"][0]["expires"]}}
        assert all(re.match(r"[\w-]+:(Describe|Get|List|Filter)", action) for action in statement["Action"])


# 3. Load balancers and scaling


def load_balancer(client: Client, tier: str) -> dict[str, Any]:
    (balancer,) = client("elbv2").describe_load_balancers(Names=[f"demo-{TIERS[tier]}"])["LoadBalancers"]
    return balancer


def target_group(client: Client, tier: str) -> dict[str, Any]:
    (group,) = client("elbv2").describe_target_groups(Names=[f"demo-{tier}"])["TargetGroups"]
    return group


def pairs(attributes: list[dict[str, str]]) -> dict[str, str]:
    return {attribute["Key"]: attribute["Value"] for attribute in attributes}


@pytest.mark.parametrize(("tier", "scheme", "kind"), [("web", "internet-facing", "public"), ("api", "internal", "private")])
def test_a_load_balancer_stands_where_its_callers_are(client: Client, tier: str, scheme: str, kind: str) -> None:
    balancer = load_balancer(client, tier)
    assert (balancer["Type"], balancer["Scheme"], balancer["State"]["Code"]) == ("application", scheme, "active")
    assert {zone["SubnetId"] for zone in balancer["AvailabilityZones"]} == {subnet["SubnetId"] for subnet in subnets(client, kind).values()}


@pytest.mark.parametrize("tier", TIERS)
def test_a_load_balancer_drops_bad_headers_logs_and_is_protected_as_the_inventory_says(client: Client, tier: str) -> None:
    balancer = load_balancer(client, tier)
    attributes = pairs(client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"])
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes["deletion_protection.enabled"] == str(INVENTORY["balancer_deletion_protection"]).lower()
    assert attributes["access_logs.s3.enabled"] == "true"
    assert attributes["access_logs.s3.bucket"] == f"demo-logs-{ACCOUNT}-{REGION}"
    assert attributes["access_logs.s3.prefix"] == balancer["LoadBalancerName"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_listener_forwards_to_healthy_tasks(client: Client, tier: str) -> None:
    elb, group = client("elbv2"), target_group(client, tier)
    (listener,) = elb.describe_listeners(LoadBalancerArn=load_balancer(client, tier)["LoadBalancerArn"])["Listeners"]
    assert (listener["Protocol"], listener["Port"]) == ("HTTP", 80)
    (action,) = listener["DefaultActions"]
    assert (action["Type"], action["TargetGroupArn"]) == ("forward", group["TargetGroupArn"])
    targets = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert [target["TargetHealth"]["State"] for target in targets] == ["healthy", "healthy"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_target_group_checks_health_and_lets_go_quickly(client: Client, tier: str) -> None:
    group = target_group(client, tier)
    assert (group["TargetType"], group["Protocol"], group["Port"], group["VpcId"]) == ("ip", "HTTP", 8080, vpc_of(client)["VpcId"])
    assert (group["HealthCheckPath"], group["Matcher"]) == ("/healthz", {"HttpCode": "200"})
    assert (group["HealthCheckIntervalSeconds"], group["HealthyThresholdCount"], group["UnhealthyThresholdCount"]) == (10, 2, 3)
    attributes = pairs(client("elbv2").describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"])
    assert attributes["deregistration_delay.timeout_seconds"] == "15"


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_is_scaled_by_processor_memory_and_requests(client: Client, tier: str) -> None:
    autoscaling, resource = client("application-autoscaling"), f"service/demo/{tier}"
    (target,) = autoscaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[resource])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    policies = autoscaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=resource)["ScalingPolicies"]
    settings = [policy["TargetTrackingScalingPolicyConfiguration"] for policy in policies]
    metrics = {each["PredefinedMetricSpecification"]["PredefinedMetricType"]: each for each in settings}
    assert {name: each["TargetValue"] for name, each in metrics.items()} == {
        "ECSServiceAverageCPUUtilization": 60,
        "ECSServiceAverageMemoryUtilization": 75,
        "ALBRequestCountPerTarget": 600,
    }
    label = metrics["ALBRequestCountPerTarget"]["PredefinedMetricSpecification"]["ResourceLabel"]
    assert label == "/".join(dimensions(client, tier).values())


def dimensions(client: Client, tier: str) -> dict[str, str]:
    """Load balancer and target group in CloudWatch's words, which are the ends of their ARNs."""
    return {
        "LoadBalancer": load_balancer(client, tier)["LoadBalancerArn"].partition("loadbalancer/")[2],
        "TargetGroup": target_group(client, tier)["TargetGroupArn"].rpartition(":")[2],
    }


# 3. What is kept: table, images, logs


def test_the_table_has_the_keys_of_the_application_and_costs_only_what_is_used(client: Client) -> None:
    table = client("dynamodb").describe_table(TableName="demo-items")["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["KeySchema"] == [{"AttributeName": "list", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_the_table_is_encrypted_and_can_be_restored(client: Client) -> None:
    dynamodb = client("dynamodb")
    table = dynamodb.describe_table(TableName="demo-items")["Table"]
    assert (table["SSEDescription"]["Status"], table["SSEDescription"]["SSEType"]) == ("ENABLED", "KMS")
    assert table["DeletionProtectionEnabled"] is INVENTORY["database_deletion_protection"]
    backups = dynamodb.describe_continuous_backups(TableName="demo-items")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    expiry = dynamodb.describe_time_to_live(TableName="demo-items")["TimeToLiveDescription"]
    assert expiry["AttributeName"] == "expires_at"
    assert expiry["TimeToLiveStatus"] in ("ENABLING", "ENABLED")  # AWS takes up to an hour, and nobody has to wait for it


@pytest.mark.parametrize("tier", TIERS)
def test_a_repository_keeps_what_was_tested_and_not_for_ever(client: Client, tier: str) -> None:
    (repository,) = client("ecr").describe_repositories(repositoryNames=[f"demo/{tier}"])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    rules = json.loads(client("ecr").get_lifecycle_policy(repositoryName=f"demo/{tier}")["lifecyclePolicyText"])["rules"]
    assert [(rule["selection"]["tagStatus"], rule["selection"]["countType"], rule["action"]["type"]) for rule in rules] == [
        ("untagged", "sinceImagePushed", "expire"),
        ("any", "imageCountMoreThan", "expire"),
    ]


def test_logs_are_kept_for_a_time(client: Client) -> None:
    groups = {group["logGroupName"]: group.get("retentionInDays") for group in client("logs").describe_log_groups()["logGroups"]}
    assert groups == {
        "/threetier/demo/web": 30,
        "/threetier/demo/api": 30,
        "/threetier/demo/flow-logs": 14,
        "/aws/ecs/containerinsights/demo/performance": 14,
    }


def test_the_bucket_takes_the_load_balancers_logs_and_shows_them_to_nobody(client: Client) -> None:
    s3, name = client("s3"), f"demo-logs-{ACCOUNT}-{REGION}"
    assert set(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"  # the only one that load balancers can write to
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert (rule["Status"], rule["Expiration"]["Days"]) == ("Enabled", 30)
    allowed, denied = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    assert allowed["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", "s3:PutObject")
    assert allowed["Resource"] == f"arn:aws:s3:::{name}/*/AWSLogs/{ACCOUNT}/*"
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


# 3. Alarms

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:demo-alarms"
# The nine of the reference: metric, of what, and condition.
NINE = {
    "3xx-count-high": ("HTTPCode_Target_3XX_Count", "target", "Sum", "GreaterThanThreshold", 25),
    "4xx-count-high": ("HTTPCode_Target_4XX_Count", "target", "Sum", "GreaterThanThreshold", 25),
    "5xx-count-high": ("HTTPCode_Target_5XX_Count", "target", "Sum", "GreaterThanThreshold", 25),
    "elb-5xx-count-high": ("HTTPCode_ELB_5XX_Count", "balancer", "Sum", "GreaterThanThreshold", 25),
    "target-response-high": ("TargetResponseTime", "target", "Average", "GreaterThanThreshold", 0.5),
    "cpu-utilization-high": ("CPUUtilization", "service", "Average", "GreaterThanThreshold", 80),
    "cpu-utilization-low": ("CPUUtilization", "service", "Average", "LessThanThreshold", 20),
    "memory-utilization-high": ("MemoryUtilization", "service", "Average", "GreaterThanThreshold", 80),
    "memory-utilization-low": ("MemoryUtilization", "service", "Average", "LessThanThreshold", 20),
}


def alarms(client: Client) -> dict[str, dict[str, Any]]:
    """The stack's alarms of both kinds by name; of another stack's none."""
    pages = client("cloudwatch").get_paginator("describe_alarms").paginate(
        AlarmNamePrefix="demo-", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    return {alarm["AlarmName"]: alarm for page in pages for kind in ("MetricAlarms", "CompositeAlarms") for alarm in page[kind]}


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("suffix", NINE)
def test_a_tier_has_the_alarm(client: Client, tier: str, suffix: str) -> None:
    metric, of, statistic, comparison, threshold = NINE[suffix]
    alarm = alarms(client)[f"demo-{tier}-{suffix}"]
    assert (alarm["MetricName"], alarm["Statistic"]) == (metric, statistic)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == (comparison, threshold)
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (300, 1, 1)
    balancer = dimensions(client, tier)
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
        "target": balancer,
        "balancer": {"LoadBalancer": balancer["LoadBalancer"]},
        "service": {"ClusterName": "demo", "ServiceName": tier},
    }[of]
    assert alarm["Namespace"] == ("AWS/ECS" if of == "service" else "AWS/ApplicationELB")


def test_every_alarm_says_why_and_what_to_do_first(client: Client) -> None:
    for name, alarm in alarms(client).items():
        reason, _, response = alarm["AlarmDescription"].partition(" First: ")
        assert len(reason) > 30 and len(response) > 30, f"{name}: {alarm['AlarmDescription']}"


def test_a_person_is_told_of_everything_and_once(client: Client) -> None:
    found = alarms(client)
    rules = [alarm["AlarmRule"] for alarm in found.values() if "AlarmRule" in alarm]
    assert len(rules) == 2
    for name, alarm in found.items():
        is_summed_up = any(f'ALARM("{name}")' in rule for rule in rules)
        assert alarm["ActionsEnabled"] and alarm["AlarmActions"] == alarm["OKActions"] == ([] if is_summed_up else [TOPIC]), name


# What the reference lacks, by the namespace of the metric.
BEYOND = {
    "web-healthy-hosts-none": "AWS/ApplicationELB",
    "api-healthy-hosts-none": "AWS/ApplicationELB",
    "api-unhealthy-hosts": "AWS/ApplicationELB",
    "api-rejected-connections": "AWS/ApplicationELB",
    "items-read-throttled": "AWS/DynamoDB",
    "items-write-throttled": "AWS/DynamoDB",
    "items-system-errors": "AWS/DynamoDB",
    "items-latency-high": "AWS/DynamoDB",
    "instances-capacity-short": "AWS/ECS/ManagedScaling",
    "nat-port-allocation-errors": "AWS/NATGateway",
    "site-down": None,
    "site-slow": None,
}


def test_there_are_the_nine_of_both_tiers_and_those_beyond(client: Client) -> None:
    expected = {f"demo-{tier}-{suffix}": "AWS/" for tier in TIERS for suffix in NINE} | {f"demo-{name}": space for name, space in BEYOND.items()}
    found = alarms(client)
    assert found.keys() == expected.keys()
    for name, namespace in expected.items():
        if namespace:
            watched = [query["MetricStat"]["Metric"] for query in found[name].get("Metrics", []) if "MetricStat" in query] or [found[name]]
            assert all(metric["Namespace"].startswith(namespace) for metric in watched), name


def test_alarms_on_several_things_watch_each_of_them(client: Client) -> None:
    def dimension(alarm: str, name: str) -> set[str]:
        metrics = [query["MetricStat"]["Metric"] for query in alarms(client)[f"demo-{alarm}"]["Metrics"] if "MetricStat" in query]
        return {each["Value"] for metric in metrics for each in metric["Dimensions"] if each["Name"] == name}

    gateways = client("ec2").describe_nat_gateways(Filters=[{"Name": "tag:threetier:stack", "Values": ["demo"]}])["NatGateways"]
    assert dimension("nat-port-allocation-errors", "NatGatewayId") == {gateway["NatGatewayId"] for gateway in gateways}
    for alarm in ("items-system-errors", "items-latency-high"):
        assert dimension(alarm, "Operation") == {"GetItem", "Query", "PutItem", "DeleteItem"}
        assert dimension(alarm, "TableName") == {"demo-items"}


@pytest.mark.parametrize("tier", TIERS)
def test_a_deployment_is_rolled_back_on_the_alarms_that_judge_it(client: Client, tier: str) -> None:
    (service,) = client("ecs").describe_services(cluster="demo", services=[tier])["services"]
    watched = service["deploymentConfiguration"]["alarms"]
    assert watched["enable"] and watched["rollback"]
    assert sorted(watched["alarmNames"]) == [f"demo-{tier}-{suffix}" for suffix in ("5xx-count-high", "elb-5xx-count-high", "target-response-high")]


def test_the_dashboard_shows_every_alarm(client: Client) -> None:
    body = json.loads(client("cloudwatch").get_dashboard(DashboardName=f"demo-{REGION}")["DashboardBody"])
    metrics = [widget["properties"]["annotations"]["alarms"][0] for widget in body["widgets"] if widget["type"] == "metric"]
    states = [arn for widget in body["widgets"] if widget["type"] == "alarm" for arn in widget["properties"]["alarms"]]
    found = alarms(client)
    assert sorted(states) == sorted(alarm["AlarmArn"] for alarm in found.values())
    assert sorted(metrics) == sorted(alarm["AlarmArn"] for alarm in found.values() if "AlarmRule" not in alarm)


def test_the_topic_takes_alarms_under_a_key_that_cloudwatch_may_use(client: Client) -> None:
    topic = client("sns").get_topic_attributes(TopicArn=TOPIC)["Attributes"]
    key = client("kms").describe_key(KeyId=topic["KmsMasterKeyId"])["KeyMetadata"]
    assert (key["KeyManager"], key["KeyState"]) == ("CUSTOMER", "Enabled")
    assert client("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    policy = json.loads(client("kms").get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    (statement,) = [each for each in policy["Statement"] if "Service" in each["Principal"]]
    assert (statement["Effect"], set(statement["Action"])) == ("Allow", {"kms:Decrypt", "kms:GenerateDataKey*"})
    assert statement["Principal"]["Service"] == "cloudwatch.amazonaws.com"
    # of this account and region only, and nobody else
    (statement,) = json.loads(topic["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Allow", {"Service": "cloudwatch.amazonaws.com"})
    assert (statement["Action"].lower(), statement["Resource"]) == ("sns:publish", TOPIC)
    assert statement["Condition"] == {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"}}


def test_the_people_on_call_are_subscribed(client: Client) -> None:
    subscriptions = client("sns").list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    assert [(each["Protocol"], each["Endpoint"]) for each in subscriptions] == [("email", "oncall@example.com")]


# 4. Tags


def of_the_stack(client: Client, kind: str) -> dict[str, dict[str, str]]:
    """What of a kind carries the stack's tag or name, with its tags."""
    found = KINDS[kind](client)
    return {name: tags for name, tags in found.items() if tags.get("threetier:stack") == "demo" or re.search(r"\bdemo\b", name)}


# How many of each kind a stack of three zones has. What only has an id cannot be told from other people's once it has lost its tags.
COUNTS = {
    "VPCs": 1,
    "subnets": 6,
    "Internet gateways": 1,
    "NAT gateways": 3,
    "elastic addresses": 3,
    "route tables": 4,
    "VPC endpoints": 2,
    "security groups": 6,
    "flow logs": 1,
    "tasks": 4,
    "keys": 1,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_resource_carries_the_stack_and_a_tier(client: Client, kind: str) -> None:
    found = of_the_stack(client, kind)
    assert found and len(found) == COUNTS.get(kind, len(found))
    for name, tags in found.items():
        assert tags.get("threetier:stack") == "demo", f"{name} has {tags}"
        assert tags.get("threetier:tier") in {"network", "web", "api", "items", "alarms", "reviewers"}, f"{name} has {tags}"


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("describe_subnets", "Subnets"),
        ("describe_security_groups", "SecurityGroups"),
        ("describe_vpc_endpoints", "VpcEndpoints"),
        ("describe_route_tables", "RouteTables"),
    ],
)
def test_nothing_in_the_vpc_is_without_the_tags_but_its_own_main_route_table(client: Client, operation: str, field: str) -> None:
    for each in in_vpc(client, operation)[field]:
        is_main = any(association["Main"] for association in each.get("Associations", []))
        assert is_main or tags(each["Tags"]).get("threetier:stack") == "demo", each


def test_what_is_launched_later_will_carry_the_tags_too(client: Client) -> None:
    wanted = {"threetier:stack": "demo", "threetier:tier": "api"}
    specifications = {each["ResourceType"]: tags(each["Tags"]) for each in launch_template(client)["TagSpecifications"]}
    assert all(wanted.items() <= specifications[kind].items() for kind in ("instance", "volume"))
    assert {tag["Key"] for tag in auto_scaling_group(client)["Tags"] if tag["PropagateAtLaunch"]} >= wanted.keys()


# 5. A disturbance


@pytest.mark.parametrize("tier", TIERS)
def test_a_task_that_dies_is_replaced_while_the_page_answers(stack: Stack, client: Client, tier: str) -> None:
    url, before = page_url(client), running_tasks(client, tier)
    os.kill(task_processes(stack, tier)[0], signal.SIGKILL)
    answers = []
    deadline = time.monotonic() + 60
    while not (running_tasks(client, tier) - before and healthy_targets(client, tier) == 2) and time.monotonic() < deadline:
        answers.append(status_of(url))
        time.sleep(0.2)
    now = running_tasks(client, tier)
    assert (len(now), len(now & before), healthy_targets(client, tier)) == (2, 1, 2)
    assert status_of(url) == 200
    # The load balancer finds out by a request or two that a target is gone, as on AWS.
    assert len([answer for answer in answers if answer != 200]) <= 2, answers


def running_tasks(client: Client, tier: str) -> set[str]:
    return set(client("ecs").list_tasks(cluster="demo", serviceName=tier, desiredStatus="RUNNING")["taskArns"])


def healthy_targets(client: Client, tier: str) -> int:
    found = client("elbv2").describe_target_health(TargetGroupArn=target_group(client, tier)["TargetGroupArn"])["TargetHealthDescriptions"]
    return sum(target["TargetHealth"]["State"] == "healthy" for target in found)


def task_processes(stack: Stack, tier: str = "") -> list[int]:
    """Processes of a tier's tasks, or of all: children of the emulator that run the application."""
    lines = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True).stdout.splitlines()
    processes = [line.split(maxsplit=2) for line in lines]
    return [int(pid) for pid, parent, command in processes if int(parent) == stack.emulator_pid and f"{tier}:create_app" in command]


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


# 6. A preview


def test_a_preview_of_the_finished_stack_says_and_writes_nothing(stack: Stack) -> None:
    before = len(stack.requests())
    finished = stack.playbook("site.yml", "--check", "--diff")
    assert UNCHANGED.search(finished.output), str(finished)
    assert writes(stack.requests()[before:]) == []


# 7. The removal


def test_a_removal_without_the_name_of_the_stack_is_refused(stack: Stack) -> None:
    before = len(stack.requests())
    for arguments in ([], ["-e", "teardown_confirm=prod"]):
        finished = stack.playbook("teardown.yml", *arguments)
        assert finished.status != 0
        assert "Say so with -e teardown_confirm=demo" in " ".join(finished.output.split())
    assert stack.requests()[before:] == []


def test_a_removal_leaves_nothing(stack: Stack, client: Client) -> None:
    key = client("kms").describe_key(KeyId="alias/demo-alarms")["KeyMetadata"]["KeyId"]
    before = len(stack.requests())
    stack.molecule("cleanup")
    assert len(asked(stack.requests()[before:])) <= REQUESTS["removal"]
    left = {kind: found for kind in KINDS if (found := of_the_stack(client, kind))}
    assert left == {}
    assert stack.inventory() == []
    assert client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert task_processes(stack) == []


def test_a_second_removal_has_nothing_to_do(stack: Stack) -> None:
    before = len(stack.requests())
    finished = stack.molecule("cleanup")
    assert UNCHANGED.search(finished.output), str(finished)
    assert writes(stack.requests()[before:]) == []


def test_a_removal_asks_for_no_number_of_zones(stack: Stack) -> None:
    with_two_zones = "us-west-1"
    finished = stack.playbook("teardown.yml", "-e", "teardown_confirm=demo", "-e", f"preflight_region={with_two_zones}")
    assert finished.status == 0, str(finished)
