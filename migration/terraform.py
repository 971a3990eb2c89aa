"""Reader of Terraform state files: format 4, the azurerm provider, and the resource types of the sample.

Format: hashicorp/terraform internal/states/statefile/version4.go. Attribute names: the azurerm provider's
documentation.
Secrets that Terraform keeps in its state (account keys, connection strings) are never read out of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from migration.errors import MigrationError

FORMAT = 4
SUPPORTED = (
    "azurerm_resource_group",
    "azurerm_storage_account",
    "azurerm_storage_container",
    "azurerm_key_vault",
    "azurerm_log_analytics_workspace",
    "azurerm_application_insights",
    "azurerm_container_registry",
    "azurerm_machine_learning_workspace",
    "azurerm_databricks_workspace",
)


CONTENTS = {
    "azurerm_storage_blob": "a blob",
    "azurerm_key_vault_secret": "a secret",
    "azurerm_key_vault_key": "a key",
    "azurerm_key_vault_certificate": "a certificate",
    "azurerm_role_assignment": "a role assignment",
}
"""Types that no stack adopts: content of an account or vault, and roles. Terraform must let them go."""


@dataclass(frozen=True, kw_only=True)
class TerraformResource:
    """A resource instance. `address` is Terraform's own: module.ml.azurerm_storage_account.data["train"]."""

    address: str
    type: str
    attributes: dict[str, Any]

    def text(self, *names: str) -> str:
        """Return the first attribute that has a value. Raises MigrationError when none has."""
        for name in names:
            value = self.attributes.get(name)
            if isinstance(value, str) and value:
                return value
        raise MigrationError(f"{self.address} has no {' or '.join(names)} in the Terraform state: is it complete?")


@dataclass(frozen=True, kw_only=True)
class Content:
    """A blob, secret, key, certificate or role that Terraform manages. Attributes are not read: some hold values."""

    address: str
    type: str


@dataclass(frozen=True)
class TerraformState:
    """Content of a state file: resources that a stack can declare, and contents and roles that it cannot adopt."""

    resources: list[TerraformResource]
    contents: list[Content]


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Instance(_Model):
    attributes: dict[str, Any] = {}
    index_key: str | int | None = None
    deposed: str | None = None


class _Resource(_Model):
    mode: str
    type: str
    name: str
    module: str | None = None
    provider: str = ""
    instances: list[_Instance] = []


class _State(_Model):
    version: int
    terraform_version: str = Field(default="", description="Of the program that wrote it.")
    resources: list[_Resource] = []


def read_state(file: Path, left_out: Collection[str] = ()) -> TerraformState:
    """Return the file's resources, without the addresses in `left_out`.

    Raises MigrationError for another format or version, for resource types that are neither SUPPORTED nor CONTENTS
    (naming each), and for an address to leave out that is not there.
    """
    state = _parse(file)
    resources: list[TerraformResource] = []
    contents: list[Content] = []
    unknown, absent = [], set(left_out)
    for resource in state.resources:
        if resource.mode != "managed":
            continue
        for instance in resource.instances:
            address = _address(resource, instance)
            if address in left_out or f"{_prefix(resource)}{resource.type}.{resource.name}" in left_out:
                absent -= {address, f"{_prefix(resource)}{resource.type}.{resource.name}"}
            elif resource.type in CONTENTS and _is_azurerm(resource.provider):
                contents.append(Content(address=address, type=resource.type))
            elif resource.type not in SUPPORTED or not _is_azurerm(resource.provider):
                unknown.append(address)
            elif instance.deposed is not None:
                raise MigrationError(f"{address} has an instance that Terraform still has to delete: apply it first.")
            else:
                resources.append(TerraformResource(address=address, type=resource.type, attributes=instance.attributes))
    if unknown:
        raise MigrationError(
            f"{file} has resources that the sample does not have, and of which nothing is known here:\n"
            + "".join(f"  {address}\n" for address in unknown)
            + "Leave each out by name (--leave-out ADDRESS) to go on without it; it then stays with Terraform.\n"
            f"Known are: {', '.join(SUPPORTED)}."
        )
    if absent:
        raise MigrationError(f"{file} has no {', '.join(sorted(absent))} to leave out.")
    if not resources:
        raise MigrationError(f"{file} manages no resources: is it the state of the sample?")
    return TerraformState(resources, contents)


def _parse(file: Path) -> _State:
    try:
        text = file.read_text()
    except OSError as error:
        raise MigrationError(f"{file} cannot be read: {error.strerror}. Get it by `terraform state pull`.") from error
    if not text.strip():
        raise MigrationError(
            f"{file} is empty. `terraform state pull > terraform.tfstate` empties a local state before Terraform reads "
            "it: take terraform.tfstate.backup, and write the pulled state to a file of another name."
        )
    try:
        content = json.loads(text)
    except ValueError as error:
        raise MigrationError(f"{file} is not a Terraform state: it is not JSON ({error}).") from error
    if not isinstance(content, dict) or "version" not in content:
        raise MigrationError(f"{file} is not a Terraform state: it has no version. Get it by `terraform state pull`.")
    if content["version"] != FORMAT:
        raise MigrationError(
            f"{file} is a Terraform state of format {content['version']}; format {FORMAT} is known here. Write it "
            "again with Terraform 0.12 or newer (`terraform refresh`)."
        )
    try:
        return _State.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MigrationError(f"{file} is not a whole Terraform state: {where}: {first['msg']}.") from error


def _prefix(resource: _Resource) -> str:
    return "" if resource.module is None else f"{resource.module}."


def _address(resource: _Resource, instance: _Instance) -> str:
    key = instance.index_key
    index = "" if key is None else f"[{json.dumps(key)}]"
    return f"{_prefix(resource)}{resource.type}.{resource.name}{index}"


def _is_azurerm(provider: str) -> bool:
    """Return whether a provider is azurerm, with or without an alias; old files name no provider.

    The present form is `provider["registry.terraform.io/hashicorp/azurerm"]`.
    """
    return not provider or 'hashicorp/azurerm"]' in provider or provider.startswith("provider.azurerm")
