"""The module security_groups."""

from __future__ import annotations

from collections import Counter

import pytest
from botocore.exceptions import ClientError

from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import security_groups
from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "sg-test"}


@pytest.fixture
def vpc_id(aws):
    """A VPC of the test's own."""
    return aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def chain(vpc_id, **changed):
    """Three groups, each of which names the next one before it is there, and the one before it: two circles."""
    groups = [
        {
            "name": "alb",
            "description": "Balancer",
            "ingress": [{"port": 80, "cidrs": ["0.0.0.0/0", "::/0"], "description": "from the Internet"}],
            "egress": [{"port": 8080, "groups": ["web"]}],
        },
        {
            "name": "web",
            "tags": {"threetier:tier": "web"},
            "ingress": [{"port": 8080, "groups": ["alb"], "description": "from the balancer"}],
            "egress": [{"from_port": 8000, "to_port": 8010, "groups": ["api"]}],
        },
        {"name": "api", "ingress": [{"from_port": 8000, "to_port": 8010, "groups": ["web", "api"]}]},
    ]
    return {"vpc_id": vpc_id, "groups": groups, "tags": TAGS} | changed


def one(vpc_id, ingress=(), egress=(), **changed):
    return {"vpc_id": vpc_id, "groups": [{"name": "one", "ingress": list(ingress), "egress": list(egress)}], "tags": TAGS} | changed


def group(aws, vpc_id, name):
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": [name]}]
    return next(iter(aws("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]), None)


def rules(aws, vpc_id, name):
    """Rules of a group as sets of (direction, protocol, first port, peer, description)."""
    found, current = set(), group(aws, vpc_id, name)
    for direction in security_groups.DIRECTIONS:
        for rule, text in security_groups.current_rules(current, direction).items():
            found.add((direction, rule.protocol, rule.from_port, rule.peer, text))
    return found


def test_creates_groups_that_name_each_other_in_circles_and_deletes_them(aws, vpc_id, check_run_check_run):
    done = check_run_check_run("security_groups", **chain(vpc_id))
    ids = done["group_ids"]
    assert [each["name"] for each in done["security_groups"]] == ["alb", "web", "api"]
    assert [each["group_id"] for each in done["security_groups"]] == list(ids.values())
    assert rules(aws, vpc_id, "alb") == {
        ("ingress", "tcp", 80, "0.0.0.0/0", "from the Internet"),
        ("ingress", "tcp", 80, "::/0", "from the Internet"),
        ("egress", "tcp", 8080, ids["web"], None),
    }
    assert rules(aws, vpc_id, "api") == {("ingress", "tcp", 8000, ids["web"], None), ("ingress", "tcp", 8000, ids["api"], None)}
    assert done["security_groups"][1]["tags"] == TAGS | {"Name": "web", "threetier:tier": "web"}
    tags = {tag["Key"]: tag["Value"] for tag in group(aws, vpc_id, "web")["Tags"]}
    assert tags == done["security_groups"][1]["tags"]

    check_run_check_run("security_groups", **chain(None, state="absent", wait_timeout=5))
    assert [group(aws, vpc_id, name) for name in ids] == [None, None, None]


def test_shows_a_new_group_as_a_whole(vpc_id, run_module):
    diff = run_module("security_groups", check=True, **chain(vpc_id))["diff"]
    assert diff["before"] == {}
    assert diff["after"]["web"] == {
        "description": "web",
        "ingress tcp 8080 from alb": "allowed (from the balancer)",
        "egress tcp 8000-8010 to api": "allowed",
        "tags": TAGS | {"Name": "web", "threetier:tier": "web"},
    }


def test_an_unchanged_set_costs_one_request(vpc_id, run_module, requests):
    run_module("security_groups", **chain(vpc_id))
    assert requests == ["DescribeSecurityGroups", *["CreateSecurityGroup"] * 3, "DescribeSecurityGroups", *requests[5:]]
    rules_of_each = {"AuthorizeSecurityGroupIngress": 3, "AuthorizeSecurityGroupEgress": 2, "RevokeSecurityGroupEgress": 3}
    assert Counter(requests[5:]) == rules_of_each
    requests.clear()
    run_module("security_groups", **chain(vpc_id))
    assert requests == ["DescribeSecurityGroups"]


def test_adds_before_it_revokes_and_shows_only_what_differs(aws, vpc_id, run_module, check_run_check_run, requests):
    def inside(port):
        return {"port": port, "cidrs": ["10.0.0.0/8"]}

    run_module("security_groups", **one(vpc_id, [inside(22), inside(80)], [{"protocol": "-1", "cidrs": ["0.0.0.0/0"]}]))
    requests.clear()
    done = check_run_check_run("security_groups", **one(vpc_id, [inside(22), inside(443)], [{"port": 443, "cidrs": ["0.0.0.0/0"]}]))
    assert done["diff"] == {
        "before": {
            "one": {
                "ingress tcp 443 from 10.0.0.0/8": None,
                "ingress tcp 80 from 10.0.0.0/8": "allowed",
                "egress tcp 443 to 0.0.0.0/0": None,
                "egress all to 0.0.0.0/0": "allowed",
            }
        },
        "after": {
            "one": {
                "ingress tcp 443 from 10.0.0.0/8": "allowed",
                "ingress tcp 80 from 10.0.0.0/8": None,
                "egress tcp 443 to 0.0.0.0/0": "allowed",
                "egress all to 0.0.0.0/0": None,
            }
        },
    }
    writes = [name for name in requests if not name.startswith("Describe")]
    assert [name[:9] for name in writes] == ["Authorize", "Authorize", "RevokeSec", "RevokeSec"]


def test_changes_a_description_in_place(aws, vpc_id, run_module, check_run_check_run, requests):
    run_module("security_groups", **one(vpc_id, [{"port": 80, "cidrs": ["10.0.0.0/8"], "description": "old"}]))
    requests.clear()
    done = check_run_check_run("security_groups", **one(vpc_id, [{"port": 80, "cidrs": ["10.0.0.0/8"], "description": "new"}]))
    rule = "ingress tcp 80 from 10.0.0.0/8"
    assert done["diff"] == {"before": {"one": {rule: "allowed (old)"}}, "after": {"one": {rule: "allowed (new)"}}}
    assert [name for name in requests if not name.startswith("Describe")] == ["UpdateSecurityGroupRuleDescriptionsIngress"]
    assert rules(aws, vpc_id, "one") == {("ingress", "tcp", 80, "10.0.0.0/8", "new")}
    assert not run_module("security_groups", **one(vpc_id, [{"port": 80, "cidrs": ["10.0.0.0/8"]}]))["changed"]


def test_knows_rules_as_aws_stores_them(aws, vpc_id, check_run_check_run):
    """AWS answers with canonical blocks, with -1 for any ICMP, and without ports for all protocols."""
    ingress = [
        {"port": 53, "protocol": "udp", "cidrs": ["10.1.2.3/8", "2001:DB8:0::/32", "192.0.2.1"]},
        {"protocol": "icmp", "cidrs": ["10.0.0.0/8"]},
        {"protocol": "-1", "groups": ["one"]},
    ]
    own = check_run_check_run("security_groups", **one(vpc_id, ingress))["group_ids"]["one"]
    assert rules(aws, vpc_id, "one") == {
        ("ingress", "udp", 53, "10.0.0.0/8", None),
        ("ingress", "udp", 53, "2001:db8::/32", None),
        ("ingress", "udp", 53, "192.0.2.1/32", None),
        ("ingress", "icmp", -1, "10.0.0.0/8", None),
        ("ingress", "-1", None, own, None),
    }


def test_revokes_what_it_could_not_have_made(aws, vpc_id, run_module, check_run_check_run):
    group_id = run_module("security_groups", **one(vpc_id))["group_ids"]["one"]
    partners = aws("ec2").create_managed_prefix_list(PrefixListName="partners", MaxEntries=1, AddressFamily="IPv4")["PrefixList"]
    by_hand = [
        {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "PrefixListIds": [{"PrefixListId": partners["PrefixListId"]}]},
        {"IpProtocol": "tcp", "FromPort": 3, "ToPort": 3, "UserIdGroupPairs": [{"GroupId": group_id, "Description": "by hand"}]},
    ]
    aws("ec2").authorize_security_group_ingress(GroupId=group_id, IpPermissions=by_hand)
    check_run_check_run("security_groups", **one(vpc_id))
    assert rules(aws, vpc_id, "one") == set()


def test_closes_the_default_group_and_never_deletes_it(aws, vpc_id, run_module, check_run_check_run):
    params = {"vpc_id": vpc_id, "groups": [{"name": "default"}], "tags": TAGS}
    done = check_run_check_run("security_groups", **params)
    assert rules(aws, vpc_id, "default") == set()
    assert done["group_ids"] == {"default": group(aws, vpc_id, "default")["GroupId"]}
    assert not run_module("security_groups", **params, state="absent")["changed"]
    assert group(aws, vpc_id, "default")


def test_removal_shows_the_rules_of_the_default_group_that_go_with_the_others(aws, vpc_id, run_module, check_run_check_run):
    params = one(vpc_id)
    params["groups"].append({"name": "default", "ingress": [{"port": 80, "groups": ["one"]}]})
    run_module("security_groups", **params)
    done = check_run_check_run("security_groups", **params, state="absent")
    assert (done["changes"]["deleted"], done["changes"]["changed"]) == (["one"], ["default"])
    assert done["diff"]["before"]["default"] == {"ingress tcp 80 from one": "allowed"}
    assert rules(aws, vpc_id, "default") == set()


def test_previews_a_vpc_that_does_not_exist_yet_without_a_request(run_module, requests):
    vpc_id = state.planned("demo")
    params = chain(vpc_id)
    params["groups"].append({"name": "default", "ingress": [{"port": 1, "groups": [state.planned("elsewhere")]}]})
    done = run_module("security_groups", check=True, **params)
    assert done["changed"] and requests == []
    assert done["group_ids"]["web"] == state.planned("web")
    assert done["security_groups"][0]["vpc_id"] == vpc_id
    assert list(done["diff"]["after"]) == ["alb", "web", "api", "default"]
    assert done["diff"]["before"]["default"]["egress all to 0.0.0.0/0"] == "allowed"


def test_changes_tags_in_place(vpc_id, run_module, check_run_check_run):
    run_module("security_groups", **one(vpc_id))
    assert not run_module("security_groups", **one(vpc_id, tags=None))["changed"], "no tags is no opinion"
    done = check_run_check_run("security_groups", **one(vpc_id, tags={"team": 7}))
    assert done["diff"] == {
        "before": {"one": {"tag team": None, "tag threetier:stack": "sg-test"}},
        "after": {"one": {"tag team": "7", "tag threetier:stack": None}},
    }
    assert done["security_groups"][0]["tags"] == {"Name": "one", "team": "7"}
    kept = run_module("security_groups", **one(vpc_id, tags=TAGS, purge_tags=False))
    assert kept["security_groups"][0]["tags"] == {"Name": "one", "team": "7"} | TAGS


def test_goes_on_where_an_earlier_run_was_killed(aws, vpc_id, check_run_check_run):
    """Between the creation of the groups and that of their rules."""
    web = aws("ec2").create_security_group(GroupName="web", Description="web", VpcId=vpc_id)["GroupId"]
    done = check_run_check_run("security_groups", **chain(vpc_id))
    assert done["group_ids"]["web"] == web
    assert ("egress", "-1", None, "0.0.0.0/0", None) not in rules(aws, vpc_id, "web")


def test_refuses_another_description_before_it_writes(vpc_id, run_module, requests):
    run_module("security_groups", **chain(vpc_id))
    params = chain(vpc_id)
    params["groups"][0]["description"] = "Load balancer"
    params["groups"].append({"name": "new"})
    requests.clear()
    with pytest.raises(ModuleFailed, match=r"alb \(sg-.*AWS cannot change to 'Load balancer'; keep the old one, or"):
        run_module("security_groups", **params)
    assert requests == ["DescribeSecurityGroups"]


def test_lists_every_problem_at_once(vpc_id, run_module):
    params = one(
        vpc_id,
        [
            {"cidrs": ["10.0.0.0/33"]},
            {"port": 1, "groups": ["nobody"]},
            {"protocol": "-1", "port": 1, "cidrs": []},
            {"from_port": 9, "to_port": 8, "cidrs": []},
            {"port": 80, "cidrs": ["10.0.0.0/8"], "description": "a"},
            {"port": 80, "cidrs": ["10.0.0.0/8"], "description": "b"},
            {"port": 81, "cidrs": [], "description": "für alle"},
        ],
    )
    params["groups"].append({"name": "one"})
    with pytest.raises(ModuleFailed) as failure:
        run_module("security_groups", **params)
    message = str(failure.value)
    for part in (
        "one is listed 2 times",
        "one: ingress[0] needs port, or from_port and to_port, for tcp",
        "ingress[0] has the block '10.0.0.0/33'",
        "ingress[1] names the group 'nobody', which is neither one of this set",
        "ingress[2] has a port and protocol -1",
        "ingress[3] has ports 9 to 8",
        "ingress tcp 80 from 10.0.0.0/8 is there twice, with different descriptions",
        "description of a rule 'für alle' must consist of 1 to 255 letters",
    ):
        assert part in message


def test_leaves_groups_of_others_with_the_same_names(aws, vpc_id, run_module):
    foreign = aws("ec2").create_security_group(GroupName="foreign", Description="x", VpcId=vpc_id)["GroupId"]
    params = {"vpc_id": vpc_id, "groups": [{"name": "foreign"}, {"name": "fore*"}], "state": "absent"}
    assert not run_module("security_groups", **params, tags=TAGS)["changed"]
    with pytest.raises(ModuleFailed, match="tags must name at least one tag"):
        run_module("security_groups", **params, tags={})
    assert group(aws, vpc_id, "foreign")["GroupId"] == foreign


def test_waits_for_what_still_uses_a_group_and_then_says_what_to_do(aws, vpc_id, run_module, monkeypatch):
    group_id = run_module("security_groups", **one(vpc_id))["group_ids"]["one"]
    subnet = aws("ec2").create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    interface = aws("ec2").create_network_interface(SubnetId=subnet, Groups=[group_id])["NetworkInterface"]["NetworkInterfaceId"]
    with pytest.raises(ModuleFailed, match=rf"one \({group_id}\) is still in use, by a network interface or by a rule"):
        run_module("security_groups", **one(vpc_id, state="absent", wait_timeout=0))
    monkeypatch.setattr("time.sleep", lambda seconds: aws("ec2").delete_network_interface(NetworkInterfaceId=interface))
    run_module("security_groups", **one(vpc_id, state="absent", wait_timeout=60))
    assert group(aws, vpc_id, "one") is None


class Refusing:
    """EC2 that does not know a new group the first time."""

    def __init__(self, **codes):
        self.codes, self.calls = codes, []

    def __getattr__(self, operation):
        def call(**request):
            self.calls.append((operation, request))
            if code := self.codes.pop(operation, None):
                problem = "does not exist" if code.endswith("NotFound") else "already exists for VPC 'vpc-1'"
                raise ClientError({"Error": {"Code": code, "Message": f"The security group 'one' {problem}"}}, operation)

        return call


def test_is_patient_with_a_group_that_is_not_known_everywhere(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    ec2 = Refusing(authorize_security_group_egress="InvalidGroup.NotFound")
    rule = security_groups.Rule("-1", None, None, "IpRanges", "0.0.0.0/0")
    security_groups.call_with_rules(ec2, "authorize_security_group_egress", "sg-1", {rule: None})
    assert len(ec2.calls) == 2


def test_is_patient_with_a_group_that_a_rule_named_a_moment_ago(vpc_id, run_module, requests, answers):
    run_module("security_groups", **one(vpc_id))
    answers["DeleteSecurityGroup"] = [refusal("InvalidGroup.InUse")]
    run_module("security_groups", **one(vpc_id, state="absent"))
    assert requests.count("DeleteSecurityGroup") == 2


def test_adopts_a_group_that_was_created_but_not_shown(vpc_id):
    ec2 = Refusing(create_security_group="InvalidGroup.Duplicate")
    assert security_groups.create(ec2, {"name": "one", "description": None, "tags": None}, {"vpc_id": vpc_id, "tags": TAGS}) is False


def test_describes_and_revokes_rules_with_groups_of_other_accounts():
    """Moto neither changes the description of such a rule nor has other accounts, so this looks at the requests."""
    pair = {"GroupId": "sg-2", "UserId": "210987654321", "Description": "old"}
    permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [pair]}
    there = security_groups.current_rules({"OwnerId": "123456789012", "IpPermissions": [permission]}, "ingress")
    change = security_groups.rule_change(dict.fromkeys(there, "new"), there)
    assert (change.authorize, change.revoke) == ({}, {})
    [permission] = security_groups.permissions(change.describe)
    assert permission["UserIdGroupPairs"] == [{"GroupId": "sg-2", "UserId": "210987654321", "Description": "new"}]
