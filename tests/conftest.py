"""Fixtures shared by all tests: an emulator of the session, and a way to run one module against it."""

from __future__ import annotations

import functools
import importlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from botocore.loaders import JSONFileLoader

from support import CREDENTIALS, REGION, ModuleFailed, emulator

# Every boto3 client parses its service's model anew; the modules under test make many clients.
_load_file = functools.cache(JSONFileLoader().load_file)
JSONFileLoader.load_file = lambda self, file_path: _load_file(file_path)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an emulator that lives as long as the test session."""
    with emulator(tmp_path_factory.mktemp("emulator") / "requests.jsonl", "--time-scale", "0") as url:
        yield url


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Makes boto3 clients of the emulator, and points modules that a test runs at it."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    return lambda service: boto3.client(service, region_name=REGION)


@pytest.fixture
def run_module(aws: Callable[[str], Any], capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs a module of the collection in this process: C(run_module("ecs_cluster", check=True, name="demo"))."""

    def run(name: str, /, *, check: bool = False, **params: Any) -> dict[str, Any]:
        module = importlib.import_module(f"ansible_collections.threetier.aws.plugins.modules.{name}")
        arguments = {**params, "_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": os.devnull}
        capsys.readouterr()
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        result = json.loads(capsys.readouterr().out.splitlines()[-1])
        if result.get("failed"):
            raise ModuleFailed(result["msg"])
        return result

    return run


@pytest.fixture
def check_run_check_run(run_module: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Runs a module four times, as the field does: it predicts, does what it predicted, and is then content twice.

    Returns the result of the real run.
    """

    def quadruple(name: str, /, **params: Any) -> dict[str, Any]:
        predicted = run_module(name, check=True, **params)
        done = run_module(name, **params)
        assert predicted["changed"] and done["changed"]
        for told in ("diff", "changes"):
            assert predicted.get(told) == done.get(told), f"the preview's {told} differs from that of the run"
        assert not run_module(name, check=True, **params)["changed"]
        assert not run_module(name, **params)["changed"]
        return done

    return quadruple
