"""Access of notebook runs to the training data by Unity Catalog, for workspaces that have a metastore.

A cluster has no identity of its own for storage. Unity Catalog gives it short-lived credentials of an access
connector's identity, for the external locations on which its user has privileges. The pipeline's identity may read the
training data and the files to be scored, and read and write the engineered data; principals that the settings name may
read predictions. Managed storage has a location of its
own: it is reached through tables and volumes only, and external locations must not overlap
(learn.microsoft.com/azure/databricks/volumes/paths).

A metastore is shared by all workspaces of a region, also of other environments. The stack's objects are
therefore isolated: open to its own workspace alone, regardless of grants elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_databricks as databricks
from pulumi_azure_native import databricks as azure_databricks

from declarations.roles import Grantee, Role, RoleAssigner, RoleScope
from infra.naming import Names
from infra.placement import Placement
from infra.storage import DATA, ENGINEERED, NEW_DATA, PREDICTION_TABLES, PREDICTIONS, SCORING_FILES
from infra.unity_catalog_settings import UnityCatalogSettings

_ISOLATED = "ISOLATION_MODE_ISOLATED"
_MANAGED = "unity-catalog"
"""The folder of the container in which the catalog stores managed data."""


@dataclass(frozen=True, kw_only=True)
class UnityCatalogArgs:
    """The training container, and where it is. `new_data`: notebooks read the files that others leave."""

    names: Names
    placement: Placement
    settings: UnityCatalogSettings
    assigner: RoleAssigner
    training_account: RoleScope
    training_container: RoleScope
    training_account_name: pulumi.Input[str]
    training_container_name: pulumi.Input[str]
    new_data: bool = False


class UnityCatalog(pulumi.ComponentResource):
    """Credential, external locations, catalog and schema, with the pipeline identity's privileges on each.

    The access connector and its `assignments` come first: external locations are tested with its identity, and its
    roles take effect while the Databricks workspace is made (infra.access). `declare` adds the objects of the
    metastore.
    """

    assignments: list[pulumi.Resource]

    def __init__(self, name: str, args: UnityCatalogArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:databricks:UnityCatalog", name, None, opts)
        self._name, self._args = name, args
        self._label = f"{args.names.base}_{args.names.environment}"
        place = args.placement
        self._connector = azure_databricks.AccessConnector(
            f"{name}-connector",
            connector_name=args.names.access_connector,
            resource_group_name=place.resource_group_name,
            location=place.location,
            identity=azure_databricks.ManagedServiceIdentityArgs(
                type=azure_databricks.ManagedServiceIdentityType.SYSTEM_ASSIGNED
            ),
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        principal = self._connector.identity.apply(lambda identity: (identity.principal_id if identity else None) or "")
        grantee = Grantee(label="access-connector", principal_id=principal)
        self.assignments = [
            args.assigner.assign(self, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, grantee, args.training_container),
            # Clusters get a user delegation SAS. Its key is the account's: a role on the container does not allow it
            # (learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas).
            args.assigner.assign(self, Role.STORAGE_BLOB_DELEGATOR, grantee, args.training_account),
        ]
        self.register_outputs({})

    def declare(self, provider: pulumi.ProviderResource, client_id: pulumi.Input[str]) -> None:
        """Add the objects of the metastore. `provider` is the workspace's, `client_id` the pipeline identity's."""
        self._child = pulumi.ResourceOptions(parent=self, provider=provider)
        self._client_id = client_id
        args, name, label = self._args, self._name, self._label
        credential = databricks.StorageCredential(
            f"{name}-credential",
            name=f"{label}_training",
            azure_managed_identity=databricks.StorageCredentialAzureManagedIdentityArgs(
                access_connector_id=self._connector.id
            ),
            isolation_mode=_ISOLATED,
            opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=self.assignments),
        )
        root = pulumi.Output.concat(
            "abfss://", args.training_container_name, "@", args.training_account_name, ".dfs.core.windows.net/"
        )
        managed = databricks.ExternalLocation(
            f"{name}-location",
            name=f"{label}_training",
            url=pulumi.Output.concat(root, f"{_MANAGED}/"),
            credential_name=credential.name,
            isolation_mode=_ISOLATED,
            # An earlier version of this location was the whole container; the catalog in it stays where it is.
            force_update=True,
            opts=self._child,
        )
        pipeline = self._grants("READ_FILES")
        self._locate(DATA, root, managed, pipeline)
        self._locate(ENGINEERED, root, managed, self._grants("READ_FILES", "WRITE_FILES"))
        # The notebook reads files that are to be scored; predictions are written by the job, under its role.
        self._locate(SCORING_FILES, root, managed, pipeline)
        if args.new_data:
            # Trainings that a file starts read it where it is; all others have a copy of it below data/.
            self._locate(NEW_DATA, root, managed, pipeline)
        self._share_predictions(root, managed)
        catalog = databricks.Catalog(
            f"{name}-catalog",
            name=args.settings.catalog or label,
            isolation_mode="ISOLATED",
            storage_root=pulumi.Output.concat(root, f"{_MANAGED}/"),
            comment="The platform's tables.",
            opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=[managed]),
        )
        schema = databricks.Schema(
            f"{name}-schema", name=args.settings.schema_name, catalog_name=catalog.name, opts=self._child
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

    def _share_predictions(self, root: pulumi.Input[str], managed: databricks.ExternalLocation) -> None:
        """Add external locations of the predictions, where the settings name readers or writers."""
        readers, writers = self._args.settings.prediction_readers, self._args.settings.prediction_writers
        reading = {principal: ["READ_FILES"] for principal in (*readers, *writers)}
        if reading:
            changing = reading | {principal: ["READ_FILES", "WRITE_FILES"] for principal in writers}
            self._locate(PREDICTIONS, root, managed, _grants(reading))
            self._locate(PREDICTION_TABLES, root, managed, _grants(changing))

    def _locate(
        self,
        folder: str,
        root: pulumi.Input[str],
        managed: databricks.ExternalLocation,
        grants: Sequence[databricks.GrantsGrantArgs],
    ) -> None:
        """Add an external location for a folder of the container, with privileges on it."""
        name = folder.replace("/", "-")
        location = databricks.ExternalLocation(
            f"{self._name}-{name}-location",
            name=f"{self._label}_{folder.replace('/', '_')}",
            url=pulumi.Output.concat(root, f"{folder}/"),
            credential_name=managed.credential_name,
            isolation_mode=_ISOLATED,
            # Locations must not overlap: an older one of the whole container is deleted first.
            opts=pulumi.ResourceOptions(parent=self, provider=self._child.provider, depends_on=[managed]),
        )
        databricks.Grants(
            f"{self._name}-{name}-location-grants",
            external_location=location.id,
            grants=grants,
            opts=self._child,
        )

    def _grants(self, *privileges: str) -> list[databricks.GrantsGrantArgs]:
        return [databricks.GrantsGrantArgs(principal=self._client_id, privileges=list(privileges))]


def _grants(privileges: Mapping[str, Sequence[str]]) -> list[databricks.GrantsGrantArgs]:
    """Return the grants by principal, in the order in which Databricks lists them."""
    return [
        databricks.GrantsGrantArgs(principal=principal, privileges=list(names))
        for principal, names in sorted(privileges.items())
    ]
