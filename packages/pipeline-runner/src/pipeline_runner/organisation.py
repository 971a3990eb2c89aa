"""The Azure DevOps organisation that a rehearsal plays in: variable groups, environments' checks, service connections.

rehearsal/organisation.yml has what the bootstrap creates in a real one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline_runner.checks import Check
from pipeline_runner.errors import RehearsalError

FILE = Path(__file__).with_name("organisation.yml")


@dataclass(frozen=True)
class Connection:
    """A service connection with workload identity federation. `roles` by scope: subscription, or state:CONTAINER.

    `subscription` is what the connection is bound to; empty for the stacks' own.
    """

    name: str
    identity: str
    roles: tuple[tuple[str, str], ...]
    subscription: str = ""

    @property
    def id(self) -> str:
        """The id that Azure DevOps gives to it."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.name))


@dataclass(frozen=True)
class Organisation:
    groups: Mapping[str, Mapping[str, str]]
    environments: Mapping[str, Check]
    connections: Mapping[str, Connection]
    containers: tuple[str, ...]
    principals: Mapping[str, Mapping[str, str]]
    """Variables of groups that hold the object id of a service connection's identity, which is not known before."""


def read(file: Path = FILE) -> Organisation:
    """Raises RehearsalError naming the file and what is wrong in it."""
    try:
        raw: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        return Organisation(
            groups={name: {key: str(value) for key, value in one.items()} for name, one in raw["groups"].items()},
            environments={name: Check(**(one or {})) for name, one in raw["environments"].items()},
            connections={
                name: Connection(
                    name,
                    one["identity"],
                    tuple((role, scope) for role, scope in one["roles"]),
                    one.get("subscription", ""),
                )
                for name, one in raw["connections"].items()
            },
            containers=tuple(raw["containers"]),
            principals={name: dict(one) for name, one in raw.get("principals", {}).items()},
        )
    except FileNotFoundError as error:
        raise RehearsalError(f"There is no file {file}.") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise RehearsalError(f"{file} does not describe an organisation: {error}") from error
