"""The two storage accounts: the ML workspace's own, and the training data's.

The workspace's account must not have a hierarchical namespace; it keeps versions of code and logs. The training
data's must have one: Spark reads it by the dfs endpoint, which refuses flat accounts with soft delete (docs/adr/0013).
Neither has keys: every access is by an Entra identity with a role.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from infra.diagnostics import Source
from infra.naming import Names
from infra.network import Link, Network
from infra.placement import Placement
from infra.storage_settings import TrainingDataSettings, WorkspaceStorageSettings

TRAINING_CONTAINER = "trainingdata"
DATA, ENGINEERED = "data", "engineered"
"""Folders of the container: uploaded training data, which stay, and the output of each feature engineering run."""
SCORING_FILES = "scoring/files"
"""Copies of the files to be scored, which stay unchanged while runs read them."""
_SCORING_INPUTS = ("scoring/in", SCORING_FILES, "scoring/labels")
PREDICTIONS, PREDICTION_TABLES = "scoring/out", "scoring/tables"
_SCORING_OUTPUTS = (PREDICTIONS, "scoring/quarantine")
"""Not scoring/tables: a rule that deletes a file by its age breaks the Delta table whose log names it. The score step
deletes rows there."""
_SCORING_SAMPLES, _SCORING_LEDGER, _SCORING_WATCH = "scoring/samples", "scoring/ledger", "scoring/watch"
_LEDGER_MARGIN_DAYS = 30
"""Days for which the ledger knows a scored file that is gone, so that a file that is still there is never unknown."""
NEW_DATA = "incoming"
INPUT_FOLDERS = (DATA, NEW_DATA)
"""Folders of the runs' input data: uploaded by `mlops`, or written by other systems."""


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """`protect`: Pulumi refuses to delete the accounts."""

    names: Names
    placement: Placement
    network: Network
    training_data: TrainingDataSettings
    workspace_storage: WorkspaceStorageSettings
    protect: bool


class Storage(pulumi.ComponentResource):
    """Both accounts, with soft delete, lifecycle rules, and the container of the training data."""

    workspace_account_id: pulumi.Output[str]
    training_account_id: pulumi.Output[str]
    training_account_name: pulumi.Output[str]
    training_container_id: pulumi.Output[str]
    training_container_name: pulumi.Output[str]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:storage:Storage", name, None, opts)
        self._args = args
        replication = args.training_data.replication
        workspace = self._account(
            f"{name}-workspace", args.names.workspace_storage, args.workspace_storage.replication, hierarchical=False
        )
        flat = self._blob_service(f"{name}-workspace", workspace, versions=True)
        training = self._account(f"{name}-training", args.names.training_storage, replication, hierarchical=True)
        service = self._blob_service(f"{name}-training", training, versions=False)
        container = storage.BlobContainer(
            f"{name}-trainingdata",
            container_name=TRAINING_CONTAINER,
            account_name=training.name,
            resource_group_name=args.placement.resource_group_name,
            public_access=storage.PublicAccess.NONE,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[service], protect=args.protect),
        )
        # Reads and writes are logged by the blob service; the account itself only has metrics.
        self.sources = [
            Source(label="workspace-storage", id=workspace.id, logs=False),
            Source(label="workspace-blobs", id=pulumi.Output.concat(workspace.id, "/blobServices/default")),
            Source(label="training-storage", id=training.id, logs=False),
            Source(label="training-blobs", id=pulumi.Output.concat(training.id, "/blobServices/default")),
        ]
        versions = self._lifecycle(f"{name}-workspace", workspace, flat, self._version_lifecycle_rules())
        ageing = self._lifecycle(f"{name}-training", training, service, self._training_data_lifecycle_rules())
        for label, account, policy, links in (
            # Batch endpoints need all four (learn.microsoft.com/azure/machine-learning/how-to-secure-batch-endpoint).
            ("workspace-storage", workspace, versions, (Link.BLOB, Link.FILE, Link.QUEUE, Link.TABLE)),
            ("training-storage", training, ageing, (Link.BLOB, Link.DFS)),
        ):
            for link in links:
                args.network.connect(label, account.id, link, after=[policy])
        self.workspace_account_id = workspace.id
        self.training_account_id = training.id
        self.training_account_name = training.name
        self.training_container_id = container.id
        self.training_container_name = container.name
        self.register_outputs(
            {
                "workspace_account_id": self.workspace_account_id,
                "training_account_id": self.training_account_id,
                "training_container_id": self.training_container_id,
            }
        )

    def _account(self, name: str, account_name: str, replication: str, *, hierarchical: bool) -> storage.StorageAccount:
        place = self._args.placement
        return storage.StorageAccount(
            name,
            account_name=account_name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            kind=storage.Kind.STORAGE_V2,
            sku=storage.SkuArgs(name=f"Standard_{replication}"),
            # Left out, not false: accounts of earlier stacks show none, and a difference would replace them.
            is_hns_enabled=True if hierarchical else None,
            allow_shared_key_access=False,
            default_to_o_auth_authentication=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            is_local_user_enabled=False,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            enable_https_traffic_only=True,
            public_network_access=self._args.network.public_access,
            network_rule_set=self._firewall(),
            tags=place.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=self._args.protect,
                # Terraform's accounts show false for both: leaving an input out would replace them too
                # (pulumi-azure-native, provider/pkg/gen/replacement.go and provider/pkg/provider/diff.go).
                ignore_changes=["enableNfsV3"] if hierarchical else ["enableNfsV3", "isHnsEnabled"],
            ),
        )

    def _firewall(self) -> storage.NetworkRuleSetArgs:
        network = self._args.network
        return storage.NetworkRuleSetArgs(
            default_action=storage.DefaultAction.DENY if network.isolated else storage.DefaultAction.ALLOW,
            bypass=storage.Bypass.AZURE_SERVICES,
            ip_rules=[
                storage.IPRuleArgs(i_p_address_or_range=address, action=storage.Action.ALLOW)
                for address in network.allowed_addresses
            ],
            virtual_network_rules=[
                storage.VirtualNetworkRuleArgs(virtual_network_resource_id=subnet, action=storage.Action.ALLOW)
                for subnet in network.service_subnet_ids
            ],
        )

    def _blob_service(
        self, name: str, account: storage.StorageAccount, *, versions: bool
    ) -> storage.BlobServiceProperties:
        """`versions`: Azure refuses them on an account with a hierarchical namespace."""
        retention = storage.DeleteRetentionPolicyArgs(enabled=True, days=self._args.training_data.soft_delete_days)
        return storage.BlobServiceProperties(
            f"{name}-blobs",
            blob_services_name="default",
            account_name=account.name,
            resource_group_name=self._args.placement.resource_group_name,
            is_versioning_enabled=versions,
            delete_retention_policy=retention,
            container_delete_retention_policy=retention,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _version_lifecycle_rules(self) -> list[storage.ManagementPolicyRuleArgs]:
        """Return the rule that deletes replaced versions after N days. The deletion is soft: they can be restored."""
        days = self._args.training_data.soft_delete_days
        version = storage.ManagementPolicyVersionArgs(
            delete=storage.DateAfterCreationArgs(days_after_creation_greater_than=days)
        )
        return [_rule("old-versions", storage.ManagementPolicyActionArgs(version=version))]

    def _training_data_lifecycle_rules(self) -> list[storage.ManagementPolicyRuleArgs]:
        """Return lifecycle rules: delete engineered data after N days; move the runs' input data to the cool tier.

        Each rule has folders of its own, so that no blob is moved to the cool tier, where deleting it within 30 days
        incurs the charge for the rest of them, and deleted soon after.
        """
        settings = self._args.training_data
        rules = [_deletion("engineered-data", settings.engineered_days, (ENGINEERED, _SCORING_SAMPLES))]
        if settings.scoring_input_days is not None:
            days = settings.scoring_input_days
            rules.append(_deletion("scoring-inputs", days, _SCORING_INPUTS))
            rules.append(_deletion("scoring-ledger", days + _LEDGER_MARGIN_DAYS, (_SCORING_LEDGER,)))
        if settings.scoring_output_days is not None:
            rules.append(_deletion("scoring-outputs", settings.scoring_output_days, _SCORING_OUTPUTS))
        if settings.scoring_watch_days is not None:
            rules.append(_deletion("scoring-watch", settings.scoring_watch_days, (_SCORING_WATCH,)))
        if settings.cool_after_days is not None:
            cools = storage.ManagementPolicyBaseBlobArgs(tier_to_cool=_after(settings.cool_after_days))
            folders = [f"{TRAINING_CONTAINER}/{folder}/" for folder in INPUT_FOLDERS]
            rules.append(_rule("training-data", storage.ManagementPolicyActionArgs(base_blob=cools), folders))
        return rules

    def _lifecycle(
        self,
        name: str,
        account: storage.StorageAccount,
        service: pulumi.Resource,
        rules: list[storage.ManagementPolicyRuleArgs],
    ) -> storage.ManagementPolicy:
        return storage.ManagementPolicy(
            f"{name}-lifecycle",
            management_policy_name="default",
            account_name=account.name,
            resource_group_name=self._args.placement.resource_group_name,
            policy=storage.ManagementPolicySchemaArgs(rules=rules),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[service]),
        )


def _after(days: int) -> storage.DateAfterModificationArgs:
    return storage.DateAfterModificationArgs(days_after_modification_greater_than=days)


def _deletion(name: str, days: int, folders: Sequence[str]) -> storage.ManagementPolicyRuleArgs:
    """Return a rule that deletes the content of folders of the training container."""
    ends = storage.ManagementPolicyBaseBlobArgs(delete=_after(days))
    actions = storage.ManagementPolicyActionArgs(base_blob=ends)
    return _rule(name, actions, [f"{TRAINING_CONTAINER}/{folder}/" for folder in folders])


def _rule(
    name: str, actions: storage.ManagementPolicyActionArgs, prefixes: list[str] | None = None
) -> storage.ManagementPolicyRuleArgs:
    """Return a rule over block blobs: all of the account's, or the ones below `prefixes`."""
    return storage.ManagementPolicyRuleArgs(
        name=name,
        enabled=True,
        type=storage.RuleType.LIFECYCLE,
        definition=storage.ManagementPolicyDefinitionArgs(
            actions=actions,
            filters=storage.ManagementPolicyFilterArgs(
                blob_types=["blockBlob"], prefix_match=None if prefixes is None else list(prefixes)
            ),
        ),
    )
