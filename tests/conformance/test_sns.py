"""SNS: topics, their policies and keys, and subscriptions that wait for their confirmation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

API = "https://docs.aws.amazon.com/sns/latest/api"
Aws = Callable[..., Any]


def topic(aws: Aws, name: str) -> str:
    return str(aws("sns").create_topic(Name=name)["TopicArn"])


@conforms(f"{API}/API_CreateTopic.html")
def test_topic_is_there_otherwise(aws: Aws) -> None:
    create = aws("sns").create_topic
    arn = create(Name="again", Attributes={"DisplayName": "one"}, Tags=[{"Key": "team", "Value": "blue"}])["TopicArn"]
    assert "attributes" in refused("InvalidParameter", create, Name="again", Attributes={"DisplayName": "other"})
    assert "tags" in refused("InvalidParameter", create, Name="again", Tags=[{"Key": "team", "Value": "red"}])
    assert create(Name="again", Attributes={"DisplayName": "one"})["TopicArn"] == arn


@conforms(f"{API}/API_SetTopicAttributes.html")
def test_topic_attribute_unknown(aws: Aws) -> None:
    arn = topic(aws, "attributes")
    refused("InvalidParameter", aws("sns").set_topic_attributes, TopicArn=arn, AttributeName="Colour", AttributeValue="blue")
    aws("sns").set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="blue")


@conforms("https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html")
def test_topic_policy_invalid(aws: Aws) -> None:
    arn = topic(aws, "policies")

    def put(**statement: Any) -> None:
        allowed = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed | statement]})
        aws("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)

    refused("InvalidParameter", aws("sns").set_topic_attributes, TopicArn=arn, AttributeName="Policy", AttributeValue="{")
    assert "out of service scope" in refused("InvalidParameter", put, Action="s3:PutObject")
    assert "PrincipalNotFound" in refused("InvalidParameter", put, Principal={"AWS": "arn:aws:iam::123456789012:role/nobody"})
    put()


@conforms(f"{API}/API_Publish.html")
def test_topic_key_not_usable(aws: Aws) -> None:
    sns, kms = aws("sns"), aws("kms")
    arn = topic(aws, "encrypted")

    def encrypt(key: str) -> None:
        sns.set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=key)

    encrypt("alias/none")
    refused("KMSNotFound", sns.publish, TopicArn=arn, Message="text")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/topic", TargetKeyId=key)
    encrypt("alias/topic")
    sns.publish(TopicArn=arn, Message="text")
    kms.disable_key(KeyId=key)
    refused("KMSDisabled", sns.publish, TopicArn=arn, Message="text")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    refused("KMSInvalidState", sns.publish, TopicArn=arn, Message="text")


@conforms(f"{API}/API_Subscribe.html")
def test_endpoint_of_another_kind(aws: Aws) -> None:
    arn = topic(aws, "endpoints")
    for protocol, endpoint in (
        ("email", "nobody"),
        ("http", "https://example.com"),
        ("https", "example.com"),
        ("lambda", "name"),
        ("fax", "1"),
    ):
        refused("InvalidParameter", aws("sns").subscribe, TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
    aws("sns").subscribe(TopicArn=arn, Protocol="https", Endpoint="https://example.com")


@conforms(f"{API}/API_Subscribe.html")
def test_subscription_waits_for_its_confirmation(aws: Aws) -> None:
    sns = aws("sns")
    arn = topic(aws, "confirmation")
    assert sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="oncall@example.com")["SubscriptionArn"] == "pending confirmation"
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert (listed["SubscriptionArn"], listed["Endpoint"]) == ("PendingConfirmation", "oncall@example.com")
    queue = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:eu-central-1:123456789012:queue")["SubscriptionArn"]
    assert queue.startswith(arn)


@conforms(f"{API}/API_Unsubscribe.html")
def test_subscription_without_arn(aws: Aws) -> None:
    arn = topic(aws, "ends")
    refused("InvalidParameter", aws("sns").unsubscribe, SubscriptionArn="PendingConfirmation")
    queue = aws("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:eu-central-1:123456789012:queue")["SubscriptionArn"]
    aws("sns").unsubscribe(SubscriptionArn=queue)
