"""Both plugins as processes, signed in by the variables of `make env`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.plugin_process import Plugin


@pytest.fixture(scope="session")
def azure_native(azure: AzureSession) -> Iterator[Plugin]:
    made = Plugin("azure_native", dict(os.environ))
    made.configure()
    yield made
    made.stop()


@pytest.fixture
def group_name(group: str) -> str:
    return group.rsplit("/", 1)[1]
