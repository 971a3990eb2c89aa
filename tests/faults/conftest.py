"""A localcloud that tests of faults may kill, and the platform on it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from localcloud.testing.cloud import Cloud, running_cloud

from tests.faults.platform import Platform
from tests.faults.table import tries as tries


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Start a localcloud that no other test uses."""
    with running_cloud(tmp_path_factory.mktemp("faults")) as cloud:
        yield cloud


@pytest.fixture
def platform(own: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Make a stack of the product's program, not brought up yet; it is destroyed after the test."""
    platform = Platform.make(own, tmp_path_factory.mktemp("platform") / "it", f"f{secrets.token_hex(3)}")
    yield platform
    platform.destroy()
