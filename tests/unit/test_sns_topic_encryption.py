"""The module sns_topic_encryption."""

from __future__ import annotations

import pytest

from support import ModuleFailed


def test_sets_changes_and_removes_the_key(aws, check_run_check_run):
    arn = aws("sns").create_topic(Name="encrypted")["TopicArn"]
    for key in ("alias/one", "alias/two", ""):
        check_run_check_run("sns_topic_encryption", topic_arn=arn, kms_master_key_id=key)
        assert aws("sns").get_topic_attributes(TopicArn=arn)["Attributes"].get("KmsMasterKeyId", "") == key


def test_a_topic_to_come_is_previewed_and_a_missing_one_is_an_error(run_module):
    missing = {"topic_arn": "arn:aws:sns:eu-central-1:123456789012:missing", "kms_master_key_id": "alias/one"}
    assert run_module("sns_topic_encryption", check=True, **missing)["changed"]
    with pytest.raises(ModuleFailed, match="missing"):
        run_module("sns_topic_encryption", **missing)
