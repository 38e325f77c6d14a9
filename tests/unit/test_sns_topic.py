"""The module sns_topic."""

from __future__ import annotations

import json

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed

TAGS = {"threetier:stack": "topic-demo"}
EMAIL = {"protocol": "email", "endpoint": "operations@example.com"}
FUNCTION = {"protocol": "lambda", "endpoint": "arn:aws:lambda:eu-central-1:123456789012:function:tell"}


def arn(name):
    return f"arn:aws:sns:eu-central-1:123456789012:{name}"


def publishers(name, *services):
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "SNS:Publish", "Resource": arn(name)}
    return {"Version": "2012-10-17", "Statement": [statement]}


def topic(name, **changed):
    return {
        "name": arn(name),
        "display_name": "Alarms of demo",
        "policy": publishers(name, "cloudwatch.amazonaws.com"),
        "kms_master_key_id": f"alias/{name}",
        "subscriptions": [EMAIL],
        "tags": TAGS,
    } | changed


def attributes(aws, name):
    return aws("sns").get_topic_attributes(TopicArn=arn(name))["Attributes"]


def subscribers(aws, name):
    found = aws("sns").list_subscriptions_by_topic(TopicArn=arn(name))["Subscriptions"]
    return sorted((each["Protocol"], each["Endpoint"]) for each in found)


def topics(aws):
    return [each["TopicArn"] for each in aws("sns").list_topics()["Topics"]]


def test_creates_a_topic_complete_and_deletes_it(aws, requests, check_run_check_run):
    done = check_run_check_run("sns_topic", **topic("complete"))
    assert [call for call in requests if not call.startswith(("Get", "List"))] == ["CreateTopic", "Subscribe"]
    found = attributes(aws, "complete")
    assert (found["DisplayName"], found["KmsMasterKeyId"]) == ("Alarms of demo", "alias/complete")
    assert json.loads(found["Policy"]) == publishers("complete", "cloudwatch.amazonaws.com")
    assert subscribers(aws, "complete") == [("email", "operations@example.com")]
    tags = aws("sns").list_tags_for_resource(ResourceArn=arn("complete"))["Tags"]
    assert tags == [{"Key": "threetier:stack", "Value": "topic-demo"}]
    assert (done["topic"]["topic_arn"], done["topic"]["subscriptions"], done["topic"]["tags"]) == (arn("complete"), [EMAIL], TAGS)
    assert done["diff"]["before"] == {} and done["diff"]["after"]["complete"]["kms_master_key_id"] == "alias/complete"
    check_run_check_run("sns_topic", name=arn("complete"), tags=TAGS, state="absent")
    assert arn("complete") not in topics(aws)


def test_a_name_is_enough(aws, check_run_check_run):
    done = check_run_check_run("sns_topic", name="by-name", tags={"number": 7})
    assert (done["topic"]["topic_arn"], done["changes"]["created"]) == (arn("by-name"), ["by-name"])
    check_run_check_run("sns_topic", name="by-name", state="absent")
    assert arn("by-name") not in topics(aws)


@pytest.mark.parametrize("key", ["alias/other", ""])
def test_changes_and_removes_the_key(aws, run_module, check_run_check_run, key):
    name = f"key-{len(key)}"
    run_module("sns_topic", **topic(name))
    done = check_run_check_run("sns_topic", **topic(name, kms_master_key_id=key))
    assert attributes(aws, name).get("KmsMasterKeyId", "") == key
    expected = {"before": {name: {"kms_master_key_id": f"alias/{name}"}}, "after": {name: {"kms_master_key_id": key}}}
    assert done["diff"] == expected


def test_encrypts_before_more_may_publish_and_tells_last(run_module, requests):
    run_module("sns_topic", name=arn("order"))
    requests.clear()
    run_module("sns_topic", **topic("order"))
    written = [call for call in requests if not call.startswith(("Get", "List"))]
    assert written == ["SetTopicAttributes"] * 3 + ["TagResource", "Subscribe"]


def test_changes_attributes_and_tags_and_shows_only_that(aws, run_module, check_run_check_run):
    run_module("sns_topic", **topic("change", tags=TAGS | {"old": "1"}))
    policy = publishers("change", "cloudwatch.amazonaws.com", "events.amazonaws.com")
    done = check_run_check_run("sns_topic", **topic("change", display_name="New", policy=policy))
    [statement] = policy["Statement"]
    assert done["diff"]["after"] == {"change": {"display_name": "New", "policy": {"statement 1": statement}, "tag old": None}}
    assert (attributes(aws, "change")["DisplayName"], json.loads(attributes(aws, "change")["Policy"])) == ("New", policy)


def test_what_is_not_given_stays(run_module):
    run_module("sns_topic", **topic("stays"))
    done = run_module("sns_topic", name=arn("stays"))
    assert not done["changed"]
    assert (done["topic"]["kms_master_key_id"], done["topic"]["subscriptions"]) == ("alias/stays", [EMAIL])


def test_a_policy_in_another_order_is_no_change(run_module):
    run_module("sns_topic", **topic("turned", policy=publishers("turned", "cloudwatch.amazonaws.com", "events.amazonaws.com")))
    turned = publishers("turned", "events.amazonaws.com", "cloudwatch.amazonaws.com")
    assert not run_module("sns_topic", **topic("turned", policy=turned))["changed"]


def test_nobody_is_asked_twice(aws, run_module, requests):
    run_module("sns_topic", **topic("twice", subscriptions=[EMAIL, EMAIL]))
    [pending] = aws("sns").list_subscriptions_by_topic(TopicArn=arn("twice"))["Subscriptions"]
    assert pending["SubscriptionArn"] == "PendingConfirmation"
    run_module("sns_topic", **topic("twice", subscriptions=[EMAIL, FUNCTION]))
    assert requests.count("Subscribe") == 2
    assert subscribers(aws, "twice") == [("email", EMAIL["endpoint"]), ("lambda", FUNCTION["endpoint"])]


def test_other_subscriptions_stay_unless_purged(aws, run_module, check_run_check_run):
    run_module("sns_topic", **topic("purge", subscriptions=[EMAIL, FUNCTION]))
    number = {"protocol": "sms", "endpoint": "+4930123456"}
    done = check_run_check_run("sns_topic", **topic("purge", subscriptions=[number]))
    assert done["topic"]["subscriptions"] == [EMAIL, FUNCTION, number]
    done = check_run_check_run("sns_topic", **topic("purge", subscriptions=[number], purge_subscriptions=True))
    assert done["diff"] == {
        "before": {"purge": {f"subscription lambda {FUNCTION['endpoint']}": "subscribed"}},
        "after": {"purge": {f"subscription lambda {FUNCTION['endpoint']}": None}},
    }
    assert subscribers(aws, "purge") == [("email", EMAIL["endpoint"]), ("sms", number["endpoint"])]


def test_a_password_in_a_url_is_sent_and_never_shown(aws, run_module, monkeypatch):
    """SNS lists such an endpoint without its password, which must not count as another subscription."""
    sent, original = [], BaseClient._make_api_call

    def masked(self, operation, parameters):
        if operation == "Subscribe":
            sent.append(parameters["Endpoint"])
            parameters = parameters | {"Endpoint": "https://user:****@example.com/alarms"}
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", masked)
    hook = {"protocol": "https", "endpoint": "https://user:secret-word@example.com/alarms"}
    done = run_module("sns_topic", **topic("masked", subscriptions=[hook]))
    assert sent == [hook["endpoint"]]
    assert "secret-word" not in json.dumps([done["topic"], done["diff"]])
    assert not run_module("sns_topic", **topic("masked", subscriptions=[hook]))["changed"]


def test_goes_on_where_a_crash_left_off(aws, check_run_check_run):
    wanted = topic("crash")
    aws("sns").create_topic(Name="crash", Tags=[{"Key": key, "Value": value} for key, value in TAGS.items()])
    check_run_check_run("sns_topic", **wanted)
    assert subscribers(aws, "crash") == [("email", "operations@example.com")]


def test_outlasts_a_principal_that_is_not_known_yet(run_module, monkeypatch):
    monkeypatch.setattr(state, "POLL_SECONDS", 0)
    refused, original = [], BaseClient._make_api_call

    def once(self, operation, parameters):
        if operation == "CreateTopic" and not refused:
            refused.append(operation)
            error = {"Code": "InvalidParameter", "Message": "Invalid parameter: Policy Error: PrincipalNotFound"}
            raise ClientError({"Error": error}, operation)
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", once)
    assert run_module("sns_topic", **topic("young"))["changed"] and refused


def test_removal_leaves_what_does_not_carry_the_tags(aws, run_module):
    aws("sns").create_topic(Name="foreign")
    done = run_module("sns_topic", name=arn("foreign"), tags=TAGS, state="absent")
    assert not done["changed"] and "foreign" in str(done["warnings"])
    assert arn("foreign") in topics(aws)


@pytest.mark.parametrize(
    "name", ["no name", "events.fifo", "arn:aws:sns:us-east-1:123456789012:elsewhere", "arn:aws:sqs:eu-central-1:1:queue"]
)
def test_a_wrong_name_is_told_before_any_request(run_module, requests, name):
    with pytest.raises(ModuleFailed, match="must be 1 to 256|is no ARN of a standard SNS topic"):
        run_module("sns_topic", name=name)
    assert requests == []


def test_an_unchanged_topic_costs_three_requests(run_module, requests):
    run_module("sns_topic", **topic("count"))
    requests.clear()
    run_module("sns_topic", **topic("count"))
    assert requests == ["GetTopicAttributes", "ListSubscriptionsByTopic", "ListTagsForResource"]
