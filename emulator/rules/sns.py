"""SNS: topics, their policies and keys, and subscriptions that wait for their confirmation."""

from __future__ import annotations

import json
import re

from moto.core.utils import camelcase_to_underscores
from moto.sns.models import Topic, sns_backends

from emulator.authorization import find_key
from emulator.policies import listed, statements
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.iam import check_principals
from emulator.wire import ACCOUNT

ATTRIBUTES = re.compile(
    "ArchivePolicy|ContentBasedDeduplication|DeliveryPolicy|DisplayName|FifoThroughputScope|FifoTopic|KmsMasterKeyId|Policy"
    "|SignatureVersion|TracingConfig|(Application|Firehose|HTTP|Lambda|SQS)(Success|Failure)Feedback(RoleArn|SampleRate)"
)
ENDPOINTS = {
    "email": (r"[^@\s]+@[^@\s]+\.[^@\s]+", "Email address"),
    "email-json": (r"[^@\s]+@[^@\s]+\.[^@\s]+", "Email address"),
    "http": (r"http://.+", "Endpoint must match the specified protocol"),
    "https": (r"https://.+", "Endpoint must match the specified protocol"),
    "lambda": (r"arn:aws:lambda:.+", "Lambda endpoint ARN"),
    "firehose": (r"arn:aws:firehose:.+", "Firehose endpoint ARN"),
    "sqs": (r"arn:aws:sqs:.+", "SQS endpoint ARN"),
    "sms": (r".+", ""),
    "application": (r".+", ""),
}
CONFIRMED_BY_THE_RECEIVER = ("email", "email-json", "http", "https")
# https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
POLICY_ACTIONS = {
    f"sns:{action}".lower()
    for action in (
        "AddPermission", "DeleteTopic", "GetDataProtectionPolicy", "GetTopicAttributes", "ListSubscriptionsByTopic", "ListTagsForResource",
        "Publish", "PutDataProtectionPolicy", "Receive", "RemovePermission", "SetTopicAttributes", "Subscribe",
    )  # fmt: skip
}


def topic_of(region: str, arn: str) -> Topic | None:
    """A topic by its ARN."""
    return sns_backends[ACCOUNT][region].topics.get(arn)


@rule("sns", "CreateTopic")
def topic_is_there_otherwise(call: Call, proceed: Proceed) -> Answer:
    """A topic can be created again only as it is: InvalidParameter for other attributes or tags. Moto ignores them.

    Moto could take it.
    https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
    """
    topic = topic_of(call.region, f"arn:aws:sns:{call.region}:{ACCOUNT}:{call.params.get('Name')}")
    if topic:
        for name, value in call.params.get("Attributes", {}).items():
            if str(getattr(topic, camelcase_to_underscores(name), None) or "") != value:
                raise AwsError("InvalidParameter", "Invalid parameter: Attributes Reason: Topic already exists with different attributes")
        tags = {tag["Key"]: tag.get("Value", "") for tag in call.params.get("Tags", [])}
        if tags and tags != topic._tags:
            raise AwsError("InvalidParameter", "Invalid parameter: Tags Reason: Topic already exists with different tags")
    return proceed()


@rule("sns", "CreateTopic", "SetTopicAttributes")
def topic_attribute_unknown(call: Call, proceed: Proceed) -> Answer:
    """A topic has the attributes of the document: InvalidParameter for others. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html
    """
    for name in call.params.get("Attributes") or [call.params.get("AttributeName") or "Policy"]:
        if not ATTRIBUTES.fullmatch(name):
            raise AwsError("InvalidParameter", "Invalid parameter: AttributeName")
    return proceed()


@rule("sns", "CreateTopic", "SetTopicAttributes")
def topic_policy_invalid(call: Call, proceed: Proceed) -> Answer:
    """A topic's policy speaks of SNS's actions, each by its name, and of principals that are there: InvalidParameter. Moto takes any JSON.

    Moto could take it.
    https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
    """
    text = call.params.get("Attributes", {}).get("Policy")
    if call.params.get("AttributeName") == "Policy":
        text = call.params.get("AttributeValue", "")
    if text:
        try:
            json.loads(text)
        except ValueError:
            raise AwsError("InvalidParameter", "Invalid parameter: Policy Error: null") from None
        for statement in statements(text):
            if not all(str(action).lower() in POLICY_ACTIONS for action in listed(statement.get("Action", []))):
                raise AwsError("InvalidParameter", "Invalid parameter: Policy statement action out of service scope!")
        check_principals(text, "InvalidParameter", "Invalid parameter: Policy Error: PrincipalNotFound")
    return proceed()


@rule("sns", "Publish", "PublishBatch")
def topic_key_not_usable(call: Call, proceed: Proceed) -> Answer:
    """SNS takes any key for a topic, and misses it when somebody publishes: KMSNotFound, KMSDisabled, KMSInvalidState. Moto needs none.

    Moto could take it.
    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    """
    topic = topic_of(call.region, call.params.get("TopicArn") or call.params.get("TargetArn") or "")
    wanted = topic.kms_master_key_id if topic else ""
    if wanted and not wanted.endswith("alias/aws/sns"):
        key = find_key(call.region, wanted)
        if key is None:
            raise AwsError("KMSNotFound", f"The request was rejected because the specified entity or resource can't be found: {wanted}")
        if key.key_state != "Enabled":
            raise AwsError("KMSInvalidState" if key.key_state == "PendingDeletion" else "KMSDisabled", f"{key.arn} is {key.key_state}.")
    return proceed()


@rule("sns", "Subscribe")
def endpoint_of_another_kind(call: Call, proceed: Proceed) -> Answer:
    """An endpoint fits its protocol: InvalidParameter. Moto looks at those of SQS and SMS alone.

    Moto could take it.
    https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
    """
    protocol, endpoint = call.params.get("Protocol", ""), call.params.get("Endpoint", "")
    if protocol not in ENDPOINTS:
        raise AwsError("InvalidParameter", f"Invalid parameter: Amazon SNS does not support this protocol string: {protocol}")
    pattern, what = ENDPOINTS[protocol]
    if not re.fullmatch(pattern, endpoint):
        raise AwsError("InvalidParameter", f"Invalid parameter: {what}")
    return proceed()


@rule("sns", "Subscribe", "ListSubscriptions", "ListSubscriptionsByTopic")
def subscription_waits_for_its_confirmation(call: Call, proceed: Proceed) -> Answer:
    """Who has an e-mail or web address must confirm; until then a subscription has no ARN. Moto's has one at once.

    Nobody confirms here, so it stays that way.
    Moto could take it.
    https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
    """
    answer = proceed()
    subscriptions = sns_backends[ACCOUNT][call.region].subscriptions
    if call.operation == "Subscribe":
        found = subscriptions.get(answer["SubscriptionArn"])
        if found and found.protocol in CONFIRMED_BY_THE_RECEIVER:
            found.attributes["PendingConfirmation"] = True
            if not call.params.get("ReturnSubscriptionArn"):
                answer["SubscriptionArn"] = "pending confirmation"
    for each in answer.get("Subscriptions", []):
        found = subscriptions.get(each["SubscriptionArn"])
        if found and found.attributes.get("PendingConfirmation"):
            each["SubscriptionArn"] = "PendingConfirmation"
    return answer


@rule("sns", "Unsubscribe", "SetSubscriptionAttributes", "GetSubscriptionAttributes")
def subscription_without_arn(call: Call, proceed: Proceed) -> Answer:
    """What waits for its confirmation cannot be changed or ended: InvalidParameter. Moto ends anything.

    Moto could take it.
    https://docs.aws.amazon.com/sns/latest/api/API_Unsubscribe.html
    """
    arn = call.params.get("SubscriptionArn", "")
    if arn.count(":") < 5:
        elements = arn.count(":") + 1
        message = f"Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not {elements}"
        raise AwsError("InvalidParameter", message)
    return proceed()
