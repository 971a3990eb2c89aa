"""The host of a workspace's data plane: the region's, or its own where it has a private endpoint.

Source of the names: MicrosoftDocs/azure-docs how-to-custom-dns.md. Source of a workspace's choice: azureml-mlflow
`_internal/utils.py` ("Needs this so that discovery url is set correctly for Private Link (PL) and non PL workspace.
Now since we are using tracking uri …"). A workspace that is closed and has no private endpoint shows the region's.
"""

from __future__ import annotations

from localcloud.arm import private_link
from localcloud.core.context import Context
from localcloud.core.resource import Resource

_GROUP = "amlworkspace"


def data_plane(ctx: Context, workspace: Resource) -> str:
    """Return the host of discovery, run history and MLflow that the workspace shows its callers."""
    return own(workspace) if private_link.has_endpoint(ctx, workspace, _GROUP) else region(workspace)


def own(workspace: Resource) -> str:
    return f"{workspace.properties['workspaceId']}.workspace.{workspace.location}.api.azureml.ms".lower()


def region(workspace: Resource) -> str:
    return f"{workspace.location}.api.azureml.ms".lower()


def addresses_json(ctx: Context, workspace: Resource) -> dict[str, str]:
    """Return the properties of a workspace that name the host."""
    host = data_plane(ctx, workspace)
    return {
        "discoveryUrl": f"https://{host}/discovery",
        "mlFlowTrackingUri": f"azureml://{host}/mlflow/v1.0{workspace.id}",
    }
