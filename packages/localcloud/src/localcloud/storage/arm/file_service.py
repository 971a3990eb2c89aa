"""The file service's settings of a storage account. Its shares are not emulated."""

from __future__ import annotations

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.storage.arm.default_service import default_service

_TYPE = "Microsoft.Storage/storageAccounts/fileServices"
_KINDS = {"storage", "storagev2", "filestorage"}
"""learn.microsoft.com/azure/storage/common/storage-account-overview, "Types of storage accounts"."""


def _defaults() -> Json:
    """Return Azure's defaults: deleted shares are retained for seven days.

    Source: learn.microsoft.com/azure/storage/files/storage-files-prevent-file-share-deletion.
    """
    return {
        "protocolSettings": {"smb": {}},
        "cors": {"corsRules": []},
        "shareDeleteRetentionPolicy": {"enabled": True, "days": 7},
    }


def _account(ctx: Context, id_: str) -> Resource | None:
    return ctx.resources.get("/" + "/".join(id_.strip("/").split("/")[:8]))


async def _read(ctx: Context, id_: str) -> Resource | None:
    account = _account(ctx, id_)
    if account is None or not id_.lower().endswith("/default"):
        return None
    _check_kind(account)
    stored = ctx.resources.get(id_)
    if stored is not None:
        return stored
    return Resource(
        id=f"{account.id}/fileServices/default", type=_TYPE, name="default", sku=account.sku, properties=_defaults()
    )


def _check_kind(account: Resource) -> None:
    if str(account.kind).lower() not in _KINDS:
        raise ServiceError(400, "FeatureNotSupportedForAccount", "File is not supported for the account.")


def _smb_settings(account: Resource | None, resource: Resource) -> Json:
    """Return the settings without empty texts, which represent Azure's defaults.

    Source: terraform-provider-azurerm's storage_account_resource.go, which sends empty texts for unset settings,
    expects not to read them back, and leaves out multichannel, which accounts of the Standard tier refuse.
    """
    settings: Json = (resource.properties["protocolSettings"] or {}).get("smb") or {}
    premium = account is not None and str((account.sku or {}).get("name")).startswith("Premium")
    if not premium and settings.get("multichannel") is not None:
        raise ServiceError(
            400, "FeatureNotSupportedForAccount",
            "protocolSettings.smb.multichannel is not supported for the account: it needs the Premium tier.",
        )  # fmt: skip
    return {name: value for name, value in settings.items() if value != ""}


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    resource.properties = _defaults() | resource.properties
    resource.properties["cors"] = {"corsRules": []} | (resource.properties["cors"] or {})
    resource.properties["protocolSettings"] = {"smb": _smb_settings(_account(ctx, resource.id), resource)}
    policy = resource.properties["shareDeleteRetentionPolicy"]
    days = policy.get("days")
    if policy.get("enabled") and not (isinstance(days, int) and 1 <= days <= 365):
        raise ServiceError(
            400, "InvalidValuesForRequestProperties",
            f"shareDeleteRetentionPolicy.days is {days}: an enabled policy keeps deleted shares for 1 to 365 days.",
        )  # fmt: skip
    resource.system_data = None


def register(ctx: Context, api_versions: tuple[str, ...]) -> None:
    """Register the type with the versions of the blob service."""
    served = tuple(version for version in api_versions if version >= "2019-04-01")
    ctx.types.register(default_service(_TYPE, "file", served, read=_read, complete=_complete))
