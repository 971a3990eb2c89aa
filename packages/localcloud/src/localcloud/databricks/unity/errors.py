"""Unity Catalog's refusals, in its words."""

from __future__ import annotations

from localcloud.databricks import errors
from localcloud.databricks.errors import DetailedError
from localcloud.databricks.unity.securables import Securable


def no_metastore() -> DetailedError:
    return DetailedError(404, "METASTORE_DOES_NOT_EXIST", "No metastore assigned for the current workspace.")


def missing(securable: Securable, name: str) -> DetailedError:
    return DetailedError(404, f"{securable.code}_DOES_NOT_EXIST", f"{securable.noun} '{name}' does not exist.")


def exists(securable: Securable, name: str) -> DetailedError:
    return DetailedError(400, f"{securable.code}_ALREADY_EXISTS", f"{securable.noun} '{name}' already exists")


def not_empty(securable: Securable, name: str, content: str) -> DetailedError:
    message = f"{securable.noun} '{name}' is not empty. The {securable.type} has {content}"
    return DetailedError(400, f"{securable.code}_NOT_EMPTY", message)


def in_use(message: str) -> DetailedError:
    return DetailedError(400, "INVALID_STATE", message)


def no_principal(name: str) -> DetailedError:
    return DetailedError(404, "PRINCIPAL_DOES_NOT_EXIST", f"Could not find principal with name {name}")


def no_such_privilege(securable: Securable, privilege: str) -> DetailedError:
    message = (
        f"Privilege {privilege.replace('_', ' ')} is not applicable to this entity [{securable.entity}]. If this seems"
        " unexpected, please check the privilege version of the metastore in use [1.0]."
    )
    return DetailedError(400, "INVALID_PARAMETER_VALUE", message, "PRIVILEGE_NOT_APPLICABLE_TO_ENTITY")


def lacks(privilege: str, securable: Securable, name: str) -> DetailedError:
    message = f"User does not have {privilege.replace('_', ' ')} on {securable.noun} '{name}'."
    return DetailedError(403, "PERMISSION_DENIED", message)


def not_owner(securable: Securable, name: str) -> DetailedError:
    return DetailedError(403, "PERMISSION_DENIED", f"User is not an owner of {securable.noun} '{name}'.")


def not_here(securable: Securable, name: str) -> DetailedError:
    """Return the refusal of an object that is isolated and not bound to the workspace."""
    message = f"{securable.noun} '{name}' is not accessible in current workspace"
    return DetailedError(403, "PERMISSION_DENIED", message)


def overlap(url: str, call: str, kind: str, conflict: str = "") -> DetailedError:
    """Return the refusal of an overlap with `kind`; `conflict` names it. `call` is the RPC."""
    message = f"Input path url '{url}' overlaps with {kind} within '{call}' call.{conflict}"
    return DetailedError(400, "INVALID_PARAMETER_VALUE", message, "LOCATION_OVERLAP")


def bad_name(rpc: str, field: str, name: str) -> DetailedError:
    message = (
        f'Invalid input: RPC {rpc} Field managedcatalog.{field}: name "{name}" is not a valid name. Valid names cannot'
        " contain spaces, periods, forward slashes, or control characters."
    )
    return DetailedError(400, "INVALID_PARAMETER_VALUE", message)


def required(rpc: str, field: str) -> DetailedError:
    return DetailedError(400, "INVALID_PARAMETER_VALUE", f"{rpc} Missing required field: {field}")


def storage_refused(operation: str, url: str, detail: str) -> DetailedError:
    """Return the refusal of an operation that the access connector's identity could not do at the location."""
    message = (
        f"The contributor role on the storage account is not set or Managed Identity does not have {operation}"
        f" permissions on url {url}. Please contact your account admin to update the storage credential. {detail}"
    )
    return DetailedError(403, "PERMISSION_DENIED", message)


def read_only(location: str) -> DetailedError:
    return DetailedError(403, "PERMISSION_DENIED", f"External Location '{location}' is read-only.")


def no_location(url: str) -> DetailedError:
    """Return the refusal of a url that no external location holds."""
    return DetailedError(404, "EXTERNAL_LOCATION_DOES_NOT_EXIST", f"No external location holds the path '{url}'.")


invalid = errors.invalid
