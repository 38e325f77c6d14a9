"""The module application_load_balancers."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.common.dict_transformations import snake_dict_to_camel_dict

from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import application_load_balancers as module
from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}
# How AWS describes what a request left out.
FORWARDED = {"TargetGroups": [{"TargetGroupArn": "arn", "Weight": 1}], "TargetGroupStickinessConfig": {"Enabled": False}}
REDIRECTED = {"Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}


@pytest.fixture
def network(aws):
    """A VPC of the test's own with three subnets in as many zones, an Internet gateway and two security groups."""
    ec2 = aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc_id)
    subnets = [
        ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"eu-central-1{zone}")["Subnet"]["SubnetId"]
        for number, zone in enumerate("abc")
    ]
    groups = [ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc_id)["GroupId"] for name in ("one", "two")]
    return {"vpc_id": vpc_id, "subnets": subnets, "groups": groups}


def writes(requests):
    return [operation for operation in requests if not operation.startswith("Describe")]


def target_group(aws, network, name):
    answer = aws("elbv2").create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=network["vpc_id"], TargetType="ip")
    return answer["TargetGroups"][0]["TargetGroupArn"]


def forward(port, arn, **changed):
    return {"port": port, "default_actions": [{"type": "forward", "target_group_arn": arn}]} | changed


def forward_to(*weights):
    groups = [{"target_group_arn": arn, "weight": weight} for arn, weight in weights]
    return {"port": 80, "default_actions": [{"type": "forward", "forward_config": {"target_groups": groups}}]}


def fixed(port, text="nothing here", **changed):
    action = {"type": "fixed-response", "fixed_response_config": {"status_code": "404", "message_body": text}}
    return {"port": port, "default_actions": [action]} | changed


def redirect(**config):
    return {"port": 80, "default_actions": [{"type": "redirect", "redirect_config": {"status_code": "HTTP_301", **config}}]}


def balancer(network, name, **changed):
    return {
        "name": name,
        "scheme": "internal",
        "subnets": network["subnets"][:2],
        "security_groups": network["groups"][:1],
        "attributes": {"idle_timeout.timeout_seconds": 30, "routing.http.drop_invalid_header_fields.enabled": True},
        "listeners": [fixed(80)],
        "tags": {"threetier:tier": "web"},
    } | changed


def one(network, name, **changed):
    return {"load_balancers": [balancer(network, name, **changed)], "tags": TAGS}


def absent(*names):
    return {"load_balancers": [{"name": name} for name in names], "tags": TAGS, "state": "absent"}


def described(aws, name):
    return aws("elbv2").describe_load_balancers(Names=[name])["LoadBalancers"][0]


def listeners(aws, name):
    found = aws("elbv2").describe_listeners(LoadBalancerArn=described(aws, name)["LoadBalancerArn"])["Listeners"]
    return {listener["Port"]: listener for listener in found}


def attributes(aws, name):
    answer = aws("elbv2").describe_load_balancer_attributes(LoadBalancerArn=described(aws, name)["LoadBalancerArn"])
    return {each["Key"]: each["Value"] for each in answer["Attributes"]}


def tags(aws, arn):
    answer = aws("elbv2").describe_tags(ResourceArns=[arn])
    return {tag["Key"]: tag["Value"] for tag in answer["TagDescriptions"][0]["Tags"]}


def names(aws, prefix):
    found = aws("elbv2").describe_load_balancers()["LoadBalancers"]
    return sorted(each["LoadBalancerName"] for each in found if each["LoadBalancerName"].startswith(prefix))


def test_creates_the_set_with_listeners_and_answers_in_its_order(aws, network, check_run_check_run):
    arn = target_group(aws, network, "alb-new")
    public = balancer(network, "alb-new-public", scheme="internet-facing", listeners=[forward(80, arn)])
    internal = balancer(network, "alb-new-internal", subnets=network["subnets"][1:], tags={"threetier:tier": "api"})
    done = check_run_check_run("application_load_balancers", load_balancers=[public, internal], tags=TAGS)["load_balancers"]
    assert [each["name"] for each in done] == ["alb-new-public", "alb-new-internal"]
    made = described(aws, "alb-new-public")
    assert (done[0]["load_balancer_arn"], done[0]["dns_name"]) == (made["LoadBalancerArn"], made["DNSName"])
    assert (made["Scheme"], made["SecurityGroups"]) == ("internet-facing", network["groups"][:1])
    assert attributes(aws, "alb-new-public")["idle_timeout.timeout_seconds"] == "30"
    listener = listeners(aws, "alb-new-public")[80]
    assert listener["DefaultActions"][0]["TargetGroupArn"] == arn
    assert done[0]["listeners"][0]["listener_arn"] == listener["ListenerArn"]
    assert tags(aws, made["LoadBalancerArn"]) == tags(aws, listener["ListenerArn"]) == {"threetier:stack": "demo", "threetier:tier": "web"}
    assert described(aws, "alb-new-internal")["Scheme"] == "internal"


def test_a_preview_takes_parents_that_are_not_made_yet(run_module, requests):
    unmade = {"subnets": [state.planned("a"), state.planned("b")], "groups": [state.planned("group")]}
    wanted = balancer(unmade, "alb-planned", listeners=[forward(80, state.planned("alb-planned-web"))])
    [previewed] = run_module("application_load_balancers", check=True, load_balancers=[wanted], tags=TAGS)["load_balancers"]
    assert previewed["load_balancer_arn"] == previewed["dns_name"] == state.planned("alb-planned")
    assert previewed["listeners"][0]["default_actions"][0]["target_group_arn"] == state.planned("alb-planned-web")
    assert requests == ["DescribeLoadBalancers"]


def test_an_unchanged_pair_costs_eight_requests(aws, network, run_module, requests):
    pair = {"load_balancers": [balancer(network, "alb-count-a"), balancer(network, "alb-count-b")], "tags": TAGS}
    run_module("application_load_balancers", **pair)
    assert requests == ["DescribeLoadBalancers", *["CreateLoadBalancer", "CreateListener", "ModifyLoadBalancerAttributes"] * 2]
    requests.clear()
    assert not run_module("application_load_balancers", **pair)["changed"]
    asked = ["DescribeLoadBalancers", *["DescribeListeners", "DescribeRules"] * 2, "DescribeTags", *["DescribeLoadBalancerAttributes"] * 2]
    assert requests == asked


def test_changes_subnets_groups_and_kind_of_addresses_in_place(aws, network, run_module, check_run_check_run):
    before = run_module("application_load_balancers", **one(network, "alb-move"))["load_balancers"][0]
    changed = {"subnets": network["subnets"][::-1], "security_groups": network["groups"][::-1], "ip_address_type": "dualstack"}
    done = check_run_check_run("application_load_balancers", **one(network, "alb-move", **changed))
    assert done["diff"]["after"]["alb-move"] == {
        "Subnets": sorted(network["subnets"]),
        "SecurityGroups": sorted(network["groups"]),
        "IpAddressType": "dualstack",
    }
    moved = described(aws, "alb-move")
    assert moved["LoadBalancerArn"] == before["load_balancer_arn"]
    assert {zone["SubnetId"] for zone in moved["AvailabilityZones"]} == set(network["subnets"])
    assert set(moved["SecurityGroups"]) == set(network["groups"]) and moved["IpAddressType"] == "dualstack"
    assert {zone["subnet_id"] for zone in done["load_balancers"][0]["availability_zones"]} == set(network["subnets"])


def test_sends_only_the_attributes_that_differ_and_leaves_others(aws, network, run_module, check_run_check_run):
    run_module("application_load_balancers", **one(network, "alb-attr"))
    wanted = one(network, "alb-attr", attributes={"idle_timeout.timeout_seconds": 40, "routing.http2.enabled": True})
    done = check_run_check_run("application_load_balancers", **wanted)
    assert done["diff"] == {
        "before": {"alb-attr": {"idle_timeout.timeout_seconds": "30"}},
        "after": {"alb-attr": {"idle_timeout.timeout_seconds": "40"}},
    }
    assert attributes(aws, "alb-attr")["routing.http.drop_invalid_header_fields.enabled"] == "true"


def test_a_changed_listener_keeps_its_arn(aws, network, run_module, check_run_check_run):
    run_module("application_load_balancers", **one(network, "alb-change"))
    before, arn = listeners(aws, "alb-change")[80], target_group(aws, network, "alb-change")
    check_run_check_run("application_load_balancers", **one(network, "alb-change", listeners=[forward(80, arn)]))
    after = listeners(aws, "alb-change")[80]
    assert after["ListenerArn"] == before["ListenerArn"] and after["DefaultActions"][0]["TargetGroupArn"] == arn


def test_purges_rules_unless_told_otherwise(aws, network, run_module, check_run_check_run):
    run_module("application_load_balancers", **one(network, "alb-rules"))
    condition = {"Field": "path-pattern", "Values": ["/theirs"]}
    action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}
    arn = listeners(aws, "alb-rules")[80]["ListenerArn"]
    aws("elbv2").create_rule(ListenerArn=arn, Priority=7, Conditions=[condition], Actions=[action])
    assert not run_module("application_load_balancers", **one(network, "alb-rules"), purge_rules=False)["changed"]
    done = check_run_check_run("application_load_balancers", **one(network, "alb-rules"))
    assert done["diff"]["before"]["alb-rules"]["listener 80"]["rule 7"]["Conditions"] == [condition]
    assert done["diff"]["after"]["alb-rules"]["listener 80"] == {"rule 7": None}
    assert len(aws("elbv2").describe_rules(ListenerArn=arn)["Rules"]) == 1


@pytest.mark.parametrize(
    ("name", "first", "then"),
    [
        ("alb-act-host", redirect(protocol="HTTPS", port="443"), redirect(protocol="HTTPS", port="443", host="shop.example.com")),
        ("alb-act-path", redirect(protocol="HTTPS", port="443", path="/there"), redirect(protocol="HTTPS", port="443")),
        ("alb-act-text", fixed(80, "one"), fixed(80, None)),
    ],
    ids=["a redirect gets a host", "a redirect loses its path", "a fixed response loses its text"],
)
def test_a_default_action_changes_and_is_then_unchanged(network, run_module, check_run_check_run, name, first, then):
    run_module("application_load_balancers", **one(network, name, listeners=[first]))
    check_run_check_run("application_load_balancers", **one(network, name, listeners=[then]))


@pytest.mark.parametrize(
    ("listener", "added"),
    [
        (forward(80, "arn"), {"Order": 1, "ForwardConfig": FORWARDED}),
        (redirect(protocol="HTTPS", port="443"), {"Order": 1, "RedirectConfig": REDIRECTED}),
        (fixed(80, None), {"Order": 1}),
    ],
    ids=["forward", "redirect", "fixed response"],
)
def test_what_aws_adds_to_an_action_is_no_difference(listener, added):
    [action] = snake_dict_to_camel_dict(listener["default_actions"], capitalize_first=True)
    wanted = state.without_none(action)
    config = {key: wanted.get(key, {}) | value if isinstance(value, dict) else value for key, value in added.items()}
    assert module.comparable_action(wanted | config) == module.comparable_action(wanted)


def test_forwards_to_several_groups_by_weight(aws, network, run_module, check_run_check_run):
    blue, green = (target_group(aws, network, f"alb-weight-{colour}") for colour in ("blue", "green"))

    def weighted(*weights):
        return one(network, "alb-weight", listeners=[forward_to(*zip((blue, green), weights, strict=True))])

    check_run_check_run("application_load_balancers", **weighted(9, 1))
    check_run_check_run("application_load_balancers", **weighted(1, 9))
    [action] = listeners(aws, "alb-weight")[80]["DefaultActions"]
    assert {group["TargetGroupArn"]: group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]} == {blue: 1, green: 9}


def test_takes_a_long_forward_to_one_group_for_the_short_one(aws, network, run_module):
    arn = target_group(aws, network, "alb-long")
    run_module("application_load_balancers", **one(network, "alb-long", listeners=[forward_to((arn, 5))]))
    assert not run_module("application_load_balancers", **one(network, "alb-long", listeners=[forward(80, arn)]))["changed"]


def test_purges_listeners_only_when_told(aws, network, run_module, check_run_check_run):
    run_module("application_load_balancers", **one(network, "alb-purge", listeners=[fixed(80), fixed(81)]))
    assert not run_module("application_load_balancers", **one(network, "alb-purge", listeners=None))["changed"]
    kept = run_module("application_load_balancers", **one(network, "alb-purge"), purge_listeners=False)
    assert not kept["changed"] and [listener["port"] for listener in kept["load_balancers"][0]["listeners"]] == [80, 81]
    done = check_run_check_run("application_load_balancers", **one(network, "alb-purge"))
    assert list(done["diff"]["before"]["alb-purge"]) == ["listener 81"] and done["changes"]["changed"] == ["alb-purge"]
    assert done["diff"]["after"] == {"alb-purge": {"listener 81": None}}
    assert list(listeners(aws, "alb-purge")) == [80]


def test_an_https_listener_has_all_its_certificates_and_no_others(aws, network, run_module, check_run_check_run):
    acm = aws("acm")
    first, second, third = (acm.request_certificate(DomainName=f"{name}.example.com")["CertificateArn"] for name in "abc")

    def https(*certificates, policy="ELBSecurityPolicy-TLS13-1-2-2021-06"):
        return one(network, "alb-tls", listeners=[fixed(443, protocol="HTTPS", ssl_policy=policy, certificates=list(certificates))])

    def certificates():
        listener = listeners(aws, "alb-tls")[443]
        found = aws("elbv2").describe_listener_certificates(ListenerArn=listener["ListenerArn"])["Certificates"]
        default = listener["Certificates"][0]["CertificateArn"]
        return default, {each["CertificateArn"] for each in found} - {default}

    check_run_check_run("application_load_balancers", **https(first, second))
    assert certificates() == (first, {second})
    assert not run_module("application_load_balancers", **https(first, second))["changed"]
    check_run_check_run("application_load_balancers", **https(first, third))
    assert certificates() == (first, {third})
    check_run_check_run("application_load_balancers", **https(third))
    assert certificates() == (third, set())
    check_run_check_run("application_load_balancers", **https(third, policy="ELBSecurityPolicy-FS-1-2-Res-2020-10"))
    assert listeners(aws, "alb-tls")[443]["SslPolicy"] == "ELBSecurityPolicy-FS-1-2-Res-2020-10"


def test_mends_the_tags_of_a_load_balancer_and_its_listeners(aws, network, run_module, check_run_check_run):
    run_module("application_load_balancers", **one(network, "alb-tags"))
    arns = [described(aws, "alb-tags")["LoadBalancerArn"], listeners(aws, "alb-tags")[80]["ListenerArn"]]
    # as another tool leaves a listener
    aws("elbv2").remove_tags(ResourceArns=arns[1:], TagKeys=["threetier:stack", "threetier:tier"])
    aws("elbv2").add_tags(ResourceArns=arns[:1], Tags=[{"Key": "by", "Value": "hand"}])
    done = check_run_check_run("application_load_balancers", **one(network, "alb-tags"))
    assert done["diff"]["before"]["alb-tags"]["tag by"] == "hand"
    assert done["diff"]["after"]["alb-tags"]["listener 80"] == {"tag threetier:stack": "demo", "tag threetier:tier": "web"}
    assert [tags(aws, arn) for arn in arns] == [{"threetier:stack": "demo", "threetier:tier": "web"}] * 2


@pytest.mark.parametrize("cut", ["CreateListener", "ModifyLoadBalancerAttributes"])
def test_finishes_what_an_interrupted_run_began(aws, network, run_module, requests, answers, cut):
    name = f"alb-cut-{cut[:6].lower()}"
    answers[cut] = [refusal("AccessDenied")]
    with pytest.raises(ModuleFailed, match="AccessDenied"):
        run_module("application_load_balancers", **one(network, name))
    assert run_module("application_load_balancers", **one(network, name))["changed"]
    assert names(aws, name) == [name] and list(listeners(aws, name)) == [80]
    assert attributes(aws, name)["idle_timeout.timeout_seconds"] == "30"
    assert not run_module("application_load_balancers", **one(network, name))["changed"]


def test_waits_for_what_was_made_just_now(aws, network, run_module, requests, answers):
    answers["CreateLoadBalancer"] = [refusal("SubnetNotFound"), refusal("InvalidSecurityGroup")]
    answers["CreateListener"] = [refusal("TargetGroupNotFound"), refusal("LoadBalancerNotFound")]
    answers["ModifyLoadBalancerAttributes"] = [refusal("InvalidConfigurationRequest", "Access Denied for bucket: demo-logs.")]
    run_module("application_load_balancers", **one(network, "alb-late"))
    made = ["CreateLoadBalancer"] * 3 + ["CreateListener"] * 3 + ["ModifyLoadBalancerAttributes"] * 2
    assert writes(requests) == made and names(aws, "alb-late") == ["alb-late"]


def test_writes_access_logs_to_a_bucket_that_admits_the_delivery(aws, network, check_run_check_run):
    aws("s3").create_bucket(Bucket="alb-logs", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::alb-logs/*",
    }
    aws("s3").put_bucket_policy(Bucket="alb-logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    logs = {"access_logs.s3.enabled": True, "access_logs.s3.bucket": "alb-logs", "access_logs.s3.prefix": "alb-logged"}
    check_run_check_run("application_load_balancers", **one(network, "alb-logged", attributes=logs))
    # AWS shows an empty bucket where there are no logs, and refuses one that is sent
    off = {"access_logs.s3.enabled": False, "access_logs.s3.bucket": ""}
    done = check_run_check_run("application_load_balancers", **one(network, "alb-logged", attributes=off))
    assert done["diff"]["after"] == {"alb-logged": {"access_logs.s3.enabled": "false"}}


def test_waits_until_active_only_when_told(network, run_module, requests, answers):
    def provisioning(answer):
        for each in answer["LoadBalancers"]:
            each["State"] = {"Code": "provisioning"}
        return answer

    answers["CreateLoadBalancer"] = [provisioning] * 2
    run_module("application_load_balancers", **one(network, "alb-wait-not"))
    assert requests.count("DescribeLoadBalancers") == 1
    requests.clear()
    answers["DescribeLoadBalancers"] = [lambda answer: answer, provisioning, lambda answer: answer]
    done = run_module("application_load_balancers", **one(network, "alb-wait"), wait=True)
    assert requests.count("DescribeLoadBalancers") == 3
    assert done["load_balancers"][0]["state"]["code"] == "active"
    requests.clear()
    run_module("application_load_balancers", **one(network, "alb-wait"), wait=True)
    assert requests.count("DescribeLoadBalancers") == 1


def test_a_load_balancer_that_could_not_be_set_up_fails_with_its_reason(network, run_module, requests, answers):
    def failed(answer):
        for each in answer["LoadBalancers"]:
            each["State"] = {"Code": "failed", "Reason": "no addresses left"}
        return answer

    answers["CreateLoadBalancer"] = [failed]
    answers["DescribeLoadBalancers"] = [lambda answer: answer, failed, failed]
    with pytest.raises(ModuleFailed, match="could not be set up .no addresses left.: remove it"):
        run_module("application_load_balancers", **one(network, "alb-failed"), wait=True)
    requests.clear()
    with pytest.raises(ModuleFailed, match="no addresses left"):
        run_module("application_load_balancers", **one(network, "alb-failed", attributes={"idle_timeout.timeout_seconds": 90}))
    assert writes(requests) == []


def test_names_all_that_cannot_be_before_the_first_write(aws, network, run_module, requests):
    run_module("application_load_balancers", **one(network, "alb-no-scheme"))
    theirs = {"load_balancers": [balancer(network, "alb-no-theirs")], "tags": {"threetier:stack": "theirs"}}
    run_module("application_load_balancers", **theirs)
    network_type = {"Name": "alb-no-type", "Type": "network", "Subnets": network["subnets"], "Scheme": "internal"}
    aws("elbv2").create_load_balancer(**network_type, Tags=[{"Key": "threetier:stack", "Value": "demo"}])
    wanted = [balancer(network, f"alb-no-{name}") for name in ("new", "scheme", "theirs", "type")]
    wanted[1]["scheme"] = "internet-facing"
    requests.clear()
    with pytest.raises(ModuleFailed) as failed:
        run_module("application_load_balancers", load_balancers=wanted, tags=TAGS)
    for part in ("-scheme' is internal, not internet-facing", "'alb-no-theirs' is somebody else's", "-type' is of the type network"):
        assert part in str(failed.value)
    assert writes(requests) == []


def test_names_every_problem_of_the_input_before_the_first_request(network, run_module, requests):
    both = {"type": "redirect", "target_group_arn": "arn:aws:any", "redirect_config": {"status_code": "HTTP_301"}}
    wanted = [
        balancer(network, "internal-bad", subnets=network["subnets"][:1]),
        balancer(network, "bad", listeners=[fixed(80), fixed(80, certificates=["arn:aws:any"]), fixed(443, protocol="HTTPS"), fixed(0)]),
        balancer(network, "bad", listeners=[{"port": 80, "default_actions": [both]}, {"port": 81, "default_actions": []}]),
    ]
    with pytest.raises(ModuleFailed) as failed:
        run_module("application_load_balancers", load_balancers=wanted, tags=TAGS)
    for part in (
        "no name that begins with internal-",
        "'internal-bad' has 1 subnet(s)",
        "'bad' is given 2 times",
        "'bad' has 2 listeners on port 80",
        "listener 80 is HTTP with certificates",
        "listener 443 is HTTPS without certificates",
        "listener 0: allowed are ports",
        "a default action redirect with target_group_arn and redirect_config: give redirect_config alone",
        "listener 81 has 0 default_actions",
    ):
        assert part in str(failed.value)
    with pytest.raises(ModuleFailed, match="tags is empty"):
        run_module("application_load_balancers", **absent("any") | {"tags": {}})
    assert requests == []


def test_removes_the_set_and_waits_until_it_is_gone(aws, network, run_module, check_run_check_run, requests, answers):
    for name in ("alb-gone-a", "alb-gone-b", "alb-gone-not"):
        run_module("application_load_balancers", **one(network, name))
    run_module("application_load_balancers", load_balancers=[balancer(network, "alb-gone-theirs")], tags={"threetier:stack": "theirs"})
    # still listed for a moment after their deletion
    there = aws("elbv2").describe_load_balancers()
    answers["DescribeLoadBalancers"] = [lambda answer: answer, lambda answer: answer, lambda answer: there]
    requests.clear()
    check_run_check_run("application_load_balancers", **absent("alb-gone-a", "alb-gone-b", "alb-gone-theirs"), wait=True)
    assert writes(requests) == ["DeleteLoadBalancer"] * 2
    assert requests.count("DescribeLoadBalancers") == 6
    assert names(aws, "alb-gone") == ["alb-gone-not", "alb-gone-theirs"]


def test_removal_is_refused_while_one_is_protected_and_removes_none(aws, network, run_module, check_run_check_run, requests):
    protected = {"deletion_protection.enabled": True}
    run_module("application_load_balancers", **one(network, "alb-safe-not"))
    run_module("application_load_balancers", **one(network, "alb-safe", attributes=protected))
    requests.clear()
    for check in (True, False):
        with pytest.raises(ModuleFailed, match="alb-safe must not be deleted, deletion protection is on: set the attribute"):
            run_module("application_load_balancers", check=check, **absent("alb-safe-not", "alb-safe"))
    assert writes(requests) == []
    run_module("application_load_balancers", **one(network, "alb-safe", attributes={"deletion_protection.enabled": False}))
    check_run_check_run("application_load_balancers", **absent("alb-safe-not", "alb-safe"))
    assert names(aws, "alb-safe") == []
