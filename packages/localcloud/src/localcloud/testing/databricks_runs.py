"""A workspace with Unity Catalog over a data lake, through the whole of localcloud, and runs of notebooks in it."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service import catalog as uc
from databricks.sdk.service import compute, jobs
from databricks.sdk.service.workspace import ImportFormat

from localcloud.testing.azure_session import AzureSession, unique

SINGLE_USER = compute.DataSecurityMode.SINGLE_USER


@dataclass(frozen=True)
class Outcome:
    """End of a run: the notebook's exit value, or its error."""

    value: str | None
    error: str
    trace: str


@dataclass(frozen=True)
class Lakehouse:
    """`client` is the deployer's; `client_id` and `object_id` are of the runs' identity.

    `connector` is the object id of the access connector's identity.
    """

    azure: AzureSession
    client: WorkspaceClient
    account: str
    account_id: str
    connector: str
    connector_id: str
    client_id: str
    object_id: str
    credential: str = field(default_factory=lambda: f"cred_{uuid.uuid4().hex[:8]}")

    @classmethod
    def make(cls, azure: AzureSession, group: str, *, hierarchical: bool = True) -> Lakehouse:
        """Make a workspace, an account with two containers, an identity, and a connector without roles."""
        place = {"location": "westeurope"}
        properties = {"managedResourceGroupId": f"{group}-managed", "computeMode": "Hybrid"}
        workspace = azure.put(
            f"{group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}",
            "2026-01-01",
            {**place, "sku": {"name": "premium"}, "properties": properties},
        )
        account = unique("st")
        account_id = f"{group}/providers/Microsoft.Storage/storageAccounts/{account}"
        body = {**place, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        closed = {"isHnsEnabled": hierarchical, "allowSharedKeyAccess": False}
        azure.put(account_id, "2024-01-01", {**body, "properties": closed})
        for container in ("data", "other"):
            azure.put(f"{account_id}/blobServices/default/containers/{container}", "2024-01-01", {"properties": {}})
        identity = azure.put(
            f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}", "2023-01-31", place
        )["properties"]
        connector = azure.put(
            f"{group}/providers/Microsoft.Databricks/accessConnectors/{unique('dbac-')}",
            "2026-01-01",
            {**place, "identity": {"type": "SystemAssigned"}},
        )
        client = WorkspaceClient(
            host=f"https://{workspace['properties']['workspaceUrl']}",
            auth_type="azure-client-secret",
            azure_tenant_id=os.environ["AZURE_TENANT_ID"],
            azure_client_id=os.environ["AZURE_CLIENT_ID"],
            azure_client_secret=os.environ["AZURE_CLIENT_SECRET"],
        )
        client.service_principals.create(application_id=identity["clientId"], display_name="pipeline")
        return cls(
            azure, client, account, account_id, connector["identity"]["principalId"], connector["id"],
            identity["clientId"], identity["principalId"],
        )  # fmt: skip

    @property
    def container_id(self) -> str:
        return f"{self.account_id}/blobServices/default/containers/data"

    def url(self, folder: str = "", container: str = "data") -> str:
        return f"abfss://{container}@{self.account}.dfs.core.windows.net/{folder}"

    def open_for_connector(self) -> None:
        """Return the roles that the access connector needs, and the storage credential of it."""
        self.azure.assign(self.container_id, "Storage Blob Data Contributor", self.connector)
        self.azure.assign(self.account_id, "Storage Blob Delegator", self.connector)
        identity = uc.AzureManagedIdentityRequest(self.connector_id)
        self.client.storage_credentials.create(self.credential, azure_managed_identity=identity)

    def assignments(self, scope: str) -> list[dict[str, Any]]:
        """Return the connector's role assignments at a scope and above."""
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
        listed = self.azure.arm("GET", path, "2022-04-01", None, **{"$filter": "atScope()"}).json()["value"]
        return [assignment for assignment in listed if assignment["properties"]["principalId"] == self.connector]

    def locate(self, folder: str, *privileges: uc.Privilege) -> str:
        """Return an external location for a folder, with privileges for the identity; its name."""
        name = f"loc_{uuid.uuid4().hex[:8]}"
        self.client.external_locations.create(name, self.url(folder), self.credential)
        self.grant(name, *privileges)
        return name

    def grant(self, location: str, *privileges: uc.Privilege) -> None:
        change = uc.PermissionsChange(add=list(privileges), principal=self.client_id)
        self.client.grants.update("external_location", location, changes=[change])

    def take(self, location: str, *privileges: uc.Privilege) -> None:
        change = uc.PermissionsChange(remove=list(privileges), principal=self.client_id)
        self.client.grants.update("external_location", location, changes=[change])

    def run(
        self,
        notebook: str,
        parameters: dict[str, str] | None = None,
        *,
        mode: compute.DataSecurityMode | None = SINGLE_USER,
        **cluster: Any,
    ) -> Outcome:
        """Run a notebook's text to its end, as the identity."""
        folder = f"/Shared/{uuid.uuid4().hex}"
        self.client.workspace.mkdirs(folder)
        text = "# Databricks notebook source\n" + notebook
        self.client.workspace.upload(f"{folder}/notebook.py", text.encode(), format=ImportFormat.AUTO)
        spec = compute.ClusterSpec(
            spark_version="17.3.x-scala2.13", node_type_id="Standard_DS3_v2", is_single_node=True,
            kind=compute.Kind.CLASSIC_PREVIEW, data_security_mode=mode, **cluster,
        )  # fmt: skip
        task = jobs.SubmitTask(
            "notebook", notebook_task=jobs.NotebookTask(f"{folder}/notebook", parameters), new_cluster=spec
        )
        waiter = self.client.jobs.submit(tasks=[task], run_as=jobs.JobRunAs(service_principal_name=self.client_id))
        run_id = waiter.bind()["run_id"]
        run = self.client.jobs.wait_get_run_job_terminated_or_skipped(run_id, timeout=timedelta(minutes=10))
        assert run.tasks is not None and run.tasks[0].run_id is not None and run.state is not None
        output = self.client.jobs.get_run_output(run.tasks[0].run_id)
        value = output.notebook_output.result if output.notebook_output is not None else None
        return Outcome(value, output.error or run.state.state_message or "", output.error_trace or "")
