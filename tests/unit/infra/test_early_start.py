"""The provider is started by the request that the program makes anyway, and by no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.runtime import settings
from pulumi_azure_native import _utilities

from infra.early_start import start_provider


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the requests that the engine gets without an answer."""
    deployment: list[Any] = []
    monitor = SimpleNamespace(Invoke=SimpleNamespace(future=deployment.append))
    monkeypatch.setattr(settings, "get_monitor", lambda: monitor)
    return deployment


def test_the_early_start_requests_as_the_sdk_does(requests: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version or address would be another provider in the stack's state."""
    monkeypatch.delenv("DATAOPSML_FAST_START", raising=False)

    start_provider()

    options = _utilities.get_invoke_opts_defaults()
    (request,) = requests
    assert request.tok == "azure-native:authorization:getClientConfig"
    assert (request.version, request.pluginDownloadURL) == (options.version, options.plugin_download_url or "")
    assert request.provider == request.packageRef == ""


def test_the_early_start_can_be_switched_off(requests: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAOPSML_FAST_START", "0")

    start_provider()

    assert requests == []
