"""Settings of the rehearsal's cloud: objects that a platform owner creates in Azure before the first build."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from pipeline_runner.errors import RunnerError
from pipeline_runner.organisation import problems
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from declarations.roles import Role


def _role(value: Any) -> Any:
    """Return the role of a name as Azure shows it, such as `Storage Blob Data Reader`."""
    role = Role.__members__.get(value.upper().replace(" ", "_")) if isinstance(value, str) else value
    if role is None:
        raise ValueError(f"{value!r} is not a role in declarations/roles.py, such as 'Storage Blob Data Reader'")
    return role


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Connection(_Section):
    """A service connection with workload identity federation, and the roles of its identity.

    A role's scope is `subscription`, or `state:CONTAINER` for a container of the state account. `subscription` is the
    connection's subscription; empty for the stacks' own.
    """

    identity: str
    roles: tuple[tuple[Annotated[Role, BeforeValidator(_role)], str], ...]
    subscription: str = ""


class CloudSettings(_Section):
    """Containers of states, service connections by name, and variables that hold the object id of an identity.

    `principals` has the names of service connections by variable group and variable.
    """

    identities_group: str
    containers: tuple[str, ...]
    connections: Mapping[str, Connection]
    principals: Mapping[str, Mapping[str, str]]


def connection_id(name: str) -> str:
    """Return the id of a connection in Azure DevOps; here it is the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def parse(raw: Mapping[str, Any]) -> CloudSettings:
    """Return the settings of an organisation's file. Raises RunnerError with every mistake by path."""
    try:
        settings = CloudSettings.model_validate(raw)
    except ValidationError as error:
        raise RunnerError(f"cloud.settings of the organisation: {problems(error)}") from error
    unknown = {
        connection
        for variables in settings.principals.values()
        for connection in variables.values()
        if connection not in settings.connections
    }
    if unknown:
        raise RunnerError(f"cloud.settings.principals: there is no connection {', '.join(sorted(unknown))}.")
    return settings
