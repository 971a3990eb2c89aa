"""Access to the training data by Unity Catalog, for Databricks workspaces that have a metastore.

Databricks reaches the container by an access connector's own identity; who may go that way is granted in the catalog.
Without it (the default) a run reaches the container as whatever identity its cluster has.

A metastore is shared by all workspaces of a region, those of other environments included. What the stack makes is
therefore isolated: open to its own workspace alone, whatever is granted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_databricks as databricks
from pulumi_azure_native import databricks as azure_databricks

from infra.naming import Names
from infra.placement import Placement
from infra.roles import Assigner, Grantee, Role, Scope
from infra.settings import UnityCatalogSettings

_ISOLATED = "ISOLATION_MODE_ISOLATED"


@dataclass(frozen=True, kw_only=True)
class UnityCatalogArgs:
    """`provider` is the Databricks workspace's; `client_id` is the pipeline identity's."""

    names: Names
    placement: Placement
    settings: UnityCatalogSettings
    provider: pulumi.ProviderResource
    assigner: Assigner
    training_account: Scope
    training_container: Scope
    training_account_name: pulumi.Input[str]
    training_container_name: pulumi.Input[str]
    client_id: pulumi.Input[str]


class UnityCatalog(pulumi.ComponentResource):
    """Credential, external location, catalog and schema, with what the pipeline's identity may do in each."""

    def __init__(self, name: str, args: UnityCatalogArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:databricks:UnityCatalog", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self, provider=args.provider)
        label, settings = f"{args.names.base}_{args.names.environment}", args.settings
        credential = self._credential(label)
        url = pulumi.Output.concat(
            "abfss://", args.training_container_name, "@", args.training_account_name, ".dfs.core.windows.net/"
        )
        location = databricks.ExternalLocation(
            f"{name}-location",
            name=f"{label}_training",
            url=url,
            credential_name=credential.name,
            isolation_mode=_ISOLATED,
            opts=self._child,
        )
        catalog = databricks.Catalog(
            f"{name}-catalog",
            name=settings.catalog or label,
            isolation_mode="ISOLATED",
            storage_root=pulumi.Output.concat(url, "unity-catalog/"),
            comment="The platform's tables.",
            opts=pulumi.ResourceOptions(parent=self, provider=args.provider, depends_on=[location]),
        )
        schema = databricks.Schema(
            f"{name}-schema", name=settings.schema_name, catalog_name=catalog.name, opts=self._child
        )
        databricks.Grants(
            f"{name}-location-grants",
            external_location=location.id,
            grants=self._grants("READ_FILES", "WRITE_FILES"),
            opts=self._child,
        )
        databricks.Grants(
            f"{name}-catalog-grants", catalog=catalog.name, grants=self._grants("USE_CATALOG"), opts=self._child
        )
        databricks.Grants(
            f"{name}-schema-grants",
            schema=schema.id,
            grants=self._grants("USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE"),
            opts=self._child,
        )
        self.register_outputs({})

    def _credential(self, label: str) -> databricks.StorageCredential:
        args, place = self._args, self._args.placement
        connector = azure_databricks.AccessConnector(
            f"{self._name}-connector",
            connector_name=args.names.access_connector,
            resource_group_name=place.resource_group_name,
            location=place.location,
            identity=azure_databricks.ManagedServiceIdentityArgs(
                type=azure_databricks.ManagedServiceIdentityType.SYSTEM_ASSIGNED
            ),
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        principal = connector.identity.apply(lambda identity: (identity.principal_id if identity else None) or "")
        grantee = Grantee(label="access-connector", principal_id=principal)
        roles = [
            args.assigner.assign(self, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, grantee, args.training_container),
            # Clusters get a user delegation SAS. Its key is the account's: a role on the container does not give it
            # (learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas).
            args.assigner.assign(self, Role.STORAGE_BLOB_DELEGATOR, grantee, args.training_account),
        ]
        return databricks.StorageCredential(
            f"{self._name}-credential",
            name=f"{label}_training",
            azure_managed_identity=databricks.StorageCredentialAzureManagedIdentityArgs(
                access_connector_id=connector.id
            ),
            isolation_mode=_ISOLATED,
            opts=pulumi.ResourceOptions(parent=self, provider=args.provider, depends_on=roles),
        )

    def _grants(self, *privileges: str) -> list[databricks.GrantsGrantArgs]:
        return [databricks.GrantsGrantArgs(principal=self._args.client_id, privileges=list(privileges))]
