"""Experiments as objects of the workspace: their names are paths, and folders or notebooks have their permissions.

- An experiment has its folder's permissions; a notebook's own experiment has the notebook's
  (docs.databricks.com "MLflow experiment permissions", "Organize training runs with MLflow experiments").
- A notebook's experiment has the notebook's path as its name and is made at its first use. On Databricks its id is
  the notebook's; here MLflow's server chooses it, and answers its creation with it, as Databricks does for notebooks in
  Git folders (mlflow/tracking/default_experiment/databricks_notebook_experiment_provider.py handles both).
"""

from __future__ import annotations

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.tracking import TrackingServer
from localcloud.databricks import errors, permissions, workspace_objects
from localcloud.databricks.request import Call


def is_allowed(call: Call, name: str, level: str) -> bool:
    """Return whether the caller has this level ("CAN_READ", "CAN_EDIT") on the experiment of this name."""
    guard = _guard(call, name)
    if guard is None:
        return call.caller.is_admin
    return permissions.allows(
        call.documents, call.caller, workspace_objects.acl_type(guard), str(guard["object_id"]), level
    )


def require(call: Call, name: str, level: str) -> None:
    """Raise PERMISSION_DENIED when the caller does not have this level on the experiment."""
    if not is_allowed(call, name, level):
        raise errors.permission_denied(
            f"{call.caller.name} does not have {level} permission on experiment {name}, whose folder or notebook"
            " gives it."
        )


async def create(call: Call, server: TrackingServer, workspace: Resource) -> Json:
    """Return the id of a new experiment; of the existing one for a notebook."""
    if call.optional_text("artifact_location"):
        raise not_emulated("MLflow experiments with an artifact_location of their own")
    name = _path(call, "name")
    item = workspace_objects.find(call.documents, name)
    if item is not None and item["object_type"] == "NOTEBOOK":
        require(call, name, "CAN_EDIT")
    else:
        new_place(call, "name")
    body = {"name": name, "tags": call.parameters.get("tags") or []}
    try:
        return await server.call(workspace, "POST", "experiments/create", body)
    except ServiceError as error:
        if item is None or error.code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = await server.call(workspace, "GET", "experiments/get-by-name", params={"experiment_name": name})
    return {"experiment_id": known["experiment"]["experiment_id"]}


def new_place(call: Call, field: str) -> str:
    """Return the path that `field` has for an experiment, normalized.

    Raises INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, RESOURCE_ALREADY_EXISTS or PERMISSION_DENIED where the
    caller cannot put one.
    """
    name = _path(call, field)
    if workspace_objects.find(call.documents, name) is not None:
        raise ServiceError(400, "RESOURCE_ALREADY_EXISTS", f"Node named '{name}' already exists.")
    if workspace_objects.find(call.documents, workspace_objects.parent(name)) is None:
        raise errors.missing(f"Workspace directory '{workspace_objects.parent(name)}' not found.")
    require(call, name, "CAN_EDIT")
    return name


def _path(call: Call, field: str) -> str:
    name = call.text(field)
    if not name.startswith("/"):
        raise errors.invalid(
            f"Got an invalid experiment name '{name}'. An experiment name must be an absolute path within the"
            " Databricks workspace. E.g. '/Users/<some-username>/my-experiment'."
        )
    return workspace_objects.normalize(name)


def _guard(call: Call, name: str) -> Json | None:
    """Return the notebook or folder whose permissions are the experiment's: the nearest folder that still exists."""
    path = name if name.startswith("/") else "/"
    item = workspace_objects.find(call.documents, path)
    while item is None and path != "/":
        path = workspace_objects.parent(path)
        item = workspace_objects.find(call.documents, path)
    return item
