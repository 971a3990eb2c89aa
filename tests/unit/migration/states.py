"""Terraform states and declarations of a stack, as small as the tests need them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migration.declared import Declaration, Declared, Reference
from migration.kinds import KINDS

Json = dict[str, Any]
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-dataops-dev"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stdataopsdevtr"


def resource(type_: str, name: str, id_: str, **attributes: Any) -> Json:
    return {
        "mode": "managed", "type": type_, "name": name,
        "provider": 'provider["registry.terraform.io/hashicorp/azurerm"]',
        "instances": [{"attributes": {"id": id_, "location": "westeurope", **attributes}}],
    }  # fmt: skip


def account(**changes: Any) -> Json:
    attributes = {
        "account_kind": "StorageV2", "account_tier": "Standard", "account_replication_type": "LRS",
        "is_hns_enabled": False, "shared_access_key_enabled": True, "primary_access_key": "key-in-the-clear", **changes,
    }  # fmt: skip
    return resource("azurerm_storage_account", "training", ACCOUNT, **attributes)


def state(*resources: Json, **changes: Any) -> Json:
    return {"version": 4, "terraform_version": "1.9.8", "resources": list(resources), **changes}


def write(folder: Path, content: Any) -> Path:
    file = folder / "terraform.tfstate"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def declared(type_: str, logical: str, name: str | None, *, managed: bool = False, **inputs: Any) -> Declared:
    kind = KINDS[type_]
    group = {} if type_ == "azurerm_resource_group" else {
        "resourceGroupName": Reference(KINDS["azurerm_resource_group"].pulumi, "rg-dataops-dev")
    }  # fmt: skip
    return Declared(
        urn=f"urn:pulumi:dev::dataopsml::{kind.pulumi}::{logical}", type=kind.pulumi, logical_name=logical, name=name,
        inputs={kind.name_input: name, "location": "westeurope", **group, **inputs}, managed=managed,
    )  # fmt: skip


def training(**inputs: Any) -> Declared:
    """Return the training account as infra/ declares it."""
    expected = {"kind": "StorageV2", "allowSharedKeyAccess": False, "sku": {"name": "Standard_LRS"}, **inputs}
    return declared("azurerm_storage_account", "storage-training", "stdataopsdevtr", **expected)


def declaration(*resources: Declared) -> Declaration:
    """Return a preview with placeholders as the engine writes them: a component above each resource."""
    top: list[Json] = [{"type": "dataopsml:platform:Platform", "name": "platform", "component": True}]
    parents = [
        {
            "type": "dataopsml:storage:Storage",
            "name": f"of-{resource.logical_name}",
            "parent": "platform",
            "component": True,
        }
        for resource in resources
    ]
    leaves = [
        {
            "type": resource.type, "name": resource.logical_name, "id": "<PLACEHOLDER>",
            "parent": f"of-{resource.logical_name}",
            "version": "3.29.0",
        }
        for resource in resources
        if not resource.managed
    ]  # fmt: skip
    return Declaration(list(resources), [*leaves, *parents, *top])
