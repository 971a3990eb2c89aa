"""Settings of the bootstrap, read once from Pulumi's configuration and validated before any resource is made."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from bootstrap.naming import federated_connections
from contract.storage_redundancy import redundancy_problem

PROJECT = "dataopsml-bootstrap"
_BASE_NAME = re.compile(r"[a-z0-9]{1,10}")
_PRIVATE = tuple(
    ipaddress.IPv4Network(text)
    for text in ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
)

_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
Guid = Annotated[str, StringConstraints(pattern=f"^{_GUID}$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,9}$")]
_Text = Annotated[str, StringConstraints(min_length=1)]


_RETIRING = "https://vstoken.dev.azure.com/"
_SUBJECTS = {
    re.compile(rf"https://login\.microsoftonline\.com/{_GUID}/v2\.0"): "/eid1/",
    re.compile(rf"{re.escape(_RETIRING)}{_GUID}"): "sc://",
}
"""The prefixes of subjects by the pattern of the issuer."""


class SettingsError(Exception):
    """Settings are missing or invalid; the text names each by dotted path, with its value."""


def _base_name(value: str) -> str:
    if _BASE_NAME.fullmatch(value) is None:
        raise ValueError("must be 1 to 10 lowercase letters and digits, such as 'dataops'")
    return value


def _address(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"must be a public IPv4 address or range, such as 203.0.113.0/24 ({error})") from None
    if any(network.overlaps(other) for other in _PRIVATE):
        raise ValueError("is not a public range, and Azure's firewalls refuse it; such as 203.0.113.0/24")
    if network.prefixlen == 31:
        raise ValueError("is a /31 range, which Azure's firewalls refuse: name its two addresses")
    return value.removesuffix("/32")


class _Section(BaseModel):
    # A name may be all digits, such as a cost center's, and is then a number in an object.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, coerce_numbers_to_str=True)


class Environment(_Section):
    """An environment; its stack has the same name."""

    name: EnvironmentName
    subscription_id: Guid | None = Field(None, description="Subscription; the one you are signed in to when left out.")
    approvers: tuple[Guid, ...] = Field((), description="Azure DevOps ids of who approves a deployment.")
    unapproved: bool = Field(False, description="The last environment is deployed without anybody's approval.")
    approval_minutes: int = Field(4320, ge=1, le=43200, description="A missing approval expires after this time.")


class Operator(_Section):
    """An identity that runs the bootstrap and can read and write every state."""

    object_id: Guid
    type: Literal["User", "Group", "ServicePrincipal"] = "User"


class Repository(_Section):
    """The repository of the pipelines' YAML."""

    kind: Literal["azure_repos", "github"] = "azure_repos"
    name: _Text = Field(description="Repository in the project, or OWNER/NAME on GitHub.")
    branch: _Text = Field("main", description="Branch that is deployed.")
    connection_id: Guid | None = Field(None, description="Service connection to GitHub.")

    @field_validator("connection_id")
    @classmethod
    def _connected(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "github" and value is None:
            raise ValueError("a GitHub repository needs connection_id, the id of its service connection")
        return value


class Presented(_Section):
    """Issuer and subject of an existing service connection, as its page in Azure DevOps shows them.

    Connections older than the tenant's own issuer have the issuer of Azure DevOps, until it is retired on 2027-07-01
    (learn.microsoft.com/azure/devops/pipelines/release/convert-service-connections).
    """

    issuer: _Text
    subject: _Text

    @field_validator("issuer")
    @classmethod
    def _known_issuer(cls, value: str) -> str:
        if not any(form.fullmatch(value) for form in _SUBJECTS):
            raise ValueError(
                "is no issuer of a service connection, such as "
                "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0"
            )
        return value

    @field_validator("subject")
    @classmethod
    def _fits_the_issuer(cls, value: str, info: ValidationInfo) -> str:
        issuer = info.data.get("issuer", "")
        for form, begins in _SUBJECTS.items():
            if form.fullmatch(issuer) and not value.startswith(begins):
                raise ValueError(f"should begin with {begins}, as subjects of {issuer} do")
        return value

    @property
    def retires(self) -> bool:
        """True for the issuer that Azure DevOps retires."""
        return self.issuer.startswith(_RETIRING)


class AzureDevOps(_Section):
    """The Azure DevOps project. With `enabled: false` it is left alone: `connections` lists existing ones."""

    enabled: bool = True
    organization: _Text = Field(description="Name in https://dev.azure.com/NAME.")
    project: _Text
    repository: Repository
    connections: dict[str, Presented] = Field(
        {}, description="Issuer and subject of each existing service connection, by its name."
    )


class Settings(_Section):
    """The settings of a bootstrap."""

    base_name: Annotated[str, AfterValidator(_base_name)] = Field(description="Base name of the platform's stacks.")
    location: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")] = Field(
        description="Azure region, such as westeurope."
    )
    owner: _Text = Field(description="Tag: who answers for these resources.")
    cost_center: _Text = Field(description="Tag: who pays.")
    environments: tuple[Environment, ...] = Field(min_length=1, description="In the order of promotion.")
    azure_devops: AzureDevOps
    operators: tuple[Operator, ...] = Field((), description="Default: the signed-in identity.")
    operator_type: Literal["User", "ServicePrincipal"] = Field("User", description="Type of the signed-in identity.")
    protect: bool = Field(True, description="Lock the state account, and let Pulumi refuse to delete data and keys.")
    soft_delete_days: int = Field(90, ge=7, le=90, description="How long deleted states and keys can come back.")
    replication: Literal["LRS", "ZRS", "GRS", "GZRS"] = Field("ZRS", description="Copies of the states.")
    online_caller_roles: tuple[Guid, ...] = Field(
        (), description="Custom roles that stacks give to callers of online endpoints (`serving.caller_role`), by id."
    )
    allowed_ips: tuple[Annotated[str, AfterValidator(_address)], ...] = Field(
        (), description="Public addresses from which states and keys can be reached; left out, from everywhere."
    )

    @field_validator("replication")
    @classmethod
    def _the_region_can_copy_so(cls, value: str, info: ValidationInfo) -> str:
        problem = redundancy_problem(value, info.data.get("location", ""))
        if problem is not None:
            raise ValueError(problem)
        return value

    @field_validator("environments")
    @classmethod
    def _environments_differ(cls, value: tuple[Environment, ...]) -> tuple[Environment, ...]:
        names = [environment.name for environment in value]
        reserved = {"bootstrap", "preview"} & set(names)
        if len(set(names)) != len(names) or reserved:
            raise ValueError(f"environments {names} must have names of their own, and not {sorted(reserved)}")
        return value

    @field_validator("azure_devops")
    @classmethod
    def _last_is_approved(cls, value: AzureDevOps, info: ValidationInfo) -> AzureDevOps:
        *_, last = info.data.get("environments") or [None]
        if value.enabled and last is not None and not last.approvers and not last.unapproved:
            raise ValueError(
                f"every commit would reach {last.name} by itself: name who approves it in its `approvers`, "
                "or set its `unapproved` to true"
            )
        return value

    @field_validator("azure_devops")
    @classmethod
    def _connections_are_known(cls, value: AzureDevOps, info: ValidationInfo) -> AzureDevOps:
        environments = [environment.name for environment in info.data.get("environments") or ()]
        known = federated_connections(environments)
        unknown = sorted(set(value.connections) - set(known)) if environments else []
        if unknown:
            raise ValueError(f"connections names {unknown}; the pipelines use {known}")
        if value.enabled and value.connections:
            raise ValueError("connections are made by the bootstrap itself while `enabled` is true: leave them out")
        return value

    @property
    def names(self) -> list[str]:
        """The environments' names, in the order of promotion."""
        return [environment.name for environment in self.environments]


def read_settings(config: Mapping[str, str]) -> Settings:
    """Parse settings: "project:name" keys with text or JSON values. Raises SettingsError with every problem."""
    prefix = f"{PROJECT}:"
    values = {key.removeprefix(prefix): _decoded(text) for key, text in config.items() if key.startswith(prefix)}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        lines = ["The settings of the bootstrap are not valid; nothing was changed."]
        for problem in error.errors(include_url=False):
            path = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "missing":
                lines.append(f"  {path} is missing.")
            elif problem["type"] == "extra_forbidden":
                lines.append(f"  {path}: there is no such setting.")
            else:
                setting = f"{path} = {problem['input']!r}: " if path else ""
                lines.append(f"  {setting}{problem['msg'].removeprefix('Value error, ')}.")
        lines.append("Correct bootstrap/Pulumi.main.yaml and run it again.")
        raise SettingsError("\n".join(lines)) from None


def _decoded(text: str) -> Any:
    """Parse objects and lists. Return other text unchanged: its field converts it."""
    if text[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
