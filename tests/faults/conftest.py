"""A localcloud that tests of faults may kill, and the platform on it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from localcloud.cli.env import variables
from localcloud.core.settings import Settings, load_settings
from localcloud.engine import provision
from localcloud.testing.cloud import RESOURCE_PROVIDERS, Cloud, free_port

from tests.faults.platform import Platform
from tests.faults.table import tries as tries


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A running localcloud which no other test uses."""
    settings = Settings(home=tmp_path_factory.mktemp("faults") / "home", port=free_port(), cache=load_settings().cache)
    provision.ensure(settings)
    made = Cloud(settings, {})
    started = made.command("start", "--register", ",".join(RESOURCE_PROVIDERS))
    try:
        assert started.returncode == 0, started.stderr + started.stdout
        made.environment.update(variables(settings))
        yield made
    finally:
        made.command("stop")


@pytest.fixture
def platform(own: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A stack of the product's program that is not brought up yet, and is destroyed after the test."""
    made = Platform.make(own, tmp_path_factory.mktemp("platform") / "it", f"f{secrets.token_hex(3)}")
    yield made
    made.destroy()
