"""Settings of one localcloud: its state folder, its ports and the fixed ids of its tenant and subscription.

Every value comes from the environment, so that several localclouds (a user's, a test's) run side by side.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from localcloud.core.errors import ConfigurationError

TENANT_ID = "5d3c1f7e-64a0-4f0e-9d1c-2c1b7a90c0de"
SUBSCRIPTION_ID = "8a4e7c52-0b1d-4f63-a9f8-6f6d2b5e10ca"

DEFAULT_PORT = 9800
_LAST_FIRST_PORT = 65535 - 4
TRACKING_PATH = "/_localcloud/mlflow"
_PORT_FILE = "port"
_STATE_FILE = "state.json"
_STATE_VARIABLE = "LOCALCLOUD_STATE_{}"


@dataclass(frozen=True, kw_only=True)
class StateNames:
    """The names of the container that every localcloud has for the engine's state."""

    group: str = "rg-localcloud-state"
    account: str = "stlocalcloudstate"
    container: str = "state"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a localcloud: `home` holds all its files; the five ports follow one another from `port`."""

    home: Path
    port: int = DEFAULT_PORT
    cache: Path
    state: StateNames = StateNames()

    @property
    def gateway_port(self) -> int:
        """TLS: every Azure host name, distinguished by the Host header."""
        return self.port

    @property
    def proxy_port(self) -> int:
        """HTTP CONNECT proxy that brings Azure host names to the gateway."""
        return self.port + 1

    @property
    def azurite_port(self) -> int:
        return self.port + 2

    @property
    def mlflow_port(self) -> int:
        return self.port + 3

    @property
    def identity_port(self) -> int:
        """Plain HTTP, loopback only: the managed identity endpoint of jobs."""
        return self.port + 4

    @property
    def gateway_url(self) -> str:
        return f"https://localhost:{self.gateway_port}"

    @property
    def tracking_url(self) -> str:
        """MLflow's address for people and programs: the gateway checks the caller."""
        return f"{self.gateway_url}{TRACKING_PATH}"

    @property
    def mlflow_url(self) -> str:
        """The address of the MLflow server itself, which accepts the gateway's requests alone."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def database(self) -> Path:
        return self.home / "localcloud.db"

    @property
    def logs(self) -> Path:
        """One file per process: gateway.log, azurite.log, mlflow.log; logs of runs are under `runs`."""
        return self.home / "logs"

    @property
    def runs(self) -> Path:
        """Working folders of jobs and notebook runs, one per run id."""
        return self.home / "runs"

    @property
    def scratch(self) -> Path:
        """TMPDIR of the gateway and its children: emptied when localcloud starts and stops."""
        return self.home / "tmp"

    @property
    def tls(self) -> Path:
        """ca.pem, bundle.pem (the machine's own roots and ours), server.pem, truststore.p12."""
        return self.home / "tls"


def load_settings() -> Settings:
    """Read LOCALCLOUD_HOME, LOCALCLOUD_PORT, LOCALCLOUD_CACHE and LOCALCLOUD_STATE_GROUP, _ACCOUNT and _CONTAINER.

    A home's port and state names default to its first start's. Raises ConfigurationError when the port
    is not a number between 1024 and 65531.
    """
    states = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    home = Path(os.environ.get("LOCALCLOUD_HOME") or states / "localcloud").resolve()
    text = os.environ.get("LOCALCLOUD_PORT") or _kept_port(home)
    if not text.isdigit() or not 1024 <= int(text) <= _LAST_FIRST_PORT:
        raise ConfigurationError(
            f"LOCALCLOUD_PORT is {text!r}: give the first of five free ports, 1024 to {_LAST_FIRST_PORT}, such as 9800."
        )
    default_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "localcloud"
    cache = Path(os.environ.get("LOCALCLOUD_CACHE") or default_cache)
    return Settings(home=home, port=int(text), cache=cache.resolve(), state=_state_names(home))


def keep(settings: Settings) -> None:
    """Write port and state names into the home, so that later commands need its path alone."""
    (settings.home / _PORT_FILE).write_text(str(settings.port))
    (settings.home / _STATE_FILE).write_text(json.dumps(asdict(settings.state)))


def _state_names(home: Path) -> StateNames:
    try:
        kept = json.loads((home / _STATE_FILE).read_text())
    except OSError:
        kept = {}
    names = (field.name for field in fields(StateNames))
    variables = {name: os.environ.get(_STATE_VARIABLE.format(name.upper())) for name in names}
    return StateNames(**kept | {name: value for name, value in variables.items() if value})


def _kept_port(home: Path) -> str:
    try:
        return (home / _PORT_FILE).read_text()
    except OSError:
        return str(DEFAULT_PORT)
