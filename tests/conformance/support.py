"""What the tests of this suite share by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conforms  # the AWS document that a test follows: @conforms("https://docs.aws.amazon.com/...")


def refused(code: str, call: Callable[..., Any], **params: Any) -> str:
    """Make a call that AWS refuses with this error code; returns the error's message."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    assert error["Code"] == code, f"refused with {error['Code']}: {error['Message']}"
    return str(error["Message"])
