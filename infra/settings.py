"""All settings of a stack in one model, with defaults and limits: the content of `Pulumi.<stack>.yaml`.

This module has values only; infra.configuration parses them and reports errors. The environment is the stack's name.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from contract.storage_redundancy import redundancy_problem
from infra import spark_storage
from infra.naming import Names
from infra.network_settings import NetworkSettings
from infra.new_data_settings import NewDataSettings
from infra.serving_settings import ServingSettings
from infra.setting_types import (
    BaseName,
    EachOnce,
    Email,
    Environment,
    Guid,
    InvokerRole,
    PrincipalType,
    Region,
    ResourceGroupName,
    SecretInSettingsError,
    Section,
    SparkKey,
    TagName,
    TagValue,
    VmSize,
    WebhookUrl,
    wrong_field,
)
from infra.storage_settings import TrainingDataSettings, WorkspaceStorageSettings
from infra.unity_catalog_settings import UnityCatalogSettings

_SECRET_KEY = re.compile(r"(?i)(account\.key|secret|password|token|sas)\b")
_REFERENCE = re.compile(r"\{\{secrets/[\w.@-]+/[\w.@-]+\}\}")
_LARGEST_BASE_TAGS = 5  # project, environment, managed_by, owner, cost_center
_STORAGE_TAGS_MAX = 15  # a storage account allows no more; other resources allow 50


class ComputeSettings(Section):
    """The AmlCompute cluster that runs the pipeline's steps. It scales to zero."""

    vm_size: VmSize = Field(default="Standard_DS3_v2", description="Size of the nodes.", examples=["Standard_DS3_v2"])
    max_nodes: int = Field(default=2, ge=1, le=100, description="Maximum number of nodes.", examples=[2])
    priority: Literal["dedicated", "low_priority"] = Field(
        default="dedicated", description="low_priority is cheaper; Azure may evict its nodes.", examples=["dedicated"]
    )
    idle_seconds: int = Field(
        default=120,
        ge=60,
        le=86_400,
        description="Seconds after which an idle node is released.",
        examples=[120],
    )


class DatabricksSettings(Section):
    """The instance pool and the cluster policy of the notebook runs."""

    spark_version: Annotated[str, Field(pattern=r"^\d+\.(\d+|x)\.x(-[a-z0-9]+)*-scala2\.1[23]$")] = Field(
        default="17.3.x-scala2.13",
        description="Databricks runtime of the runs, preloaded on the pool. The tests use the same Spark version.",
        examples=["17.3.x-scala2.13"],
    )
    node_type: VmSize = Field(
        default="Standard_DS3_v2", description="Size of the pool's instances.", examples=["Standard_DS3_v2"]
    )
    pool_idle_minutes: int = Field(
        default=10, ge=0, le=10_000, description="Minutes after which an idle instance is released.", examples=[10]
    )
    pool_capacity: int = Field(default=4, ge=1, le=500, description="Maximum number of instances.", examples=[4])
    max_workers: int = Field(
        default=2,
        ge=0,
        le=499,
        description="Maximum number of workers of a run; the driver needs another instance.",
        examples=[2],
    )
    availability: Literal["on_demand", "spot"] = Field(
        default="on_demand",
        description="spot is cheaper: Azure may evict or not provide any node of a run, the driver included, and the "
        "run fails then. A pool has no fallback to on demand.",
        examples=["on_demand"],
    )
    managed_resource_group: ResourceGroupName | None = Field(
        default=None,
        description="Resource group that Azure Databricks creates and owns. It cannot change: a workspace that is "
        "older than the stack keeps its group. By default the name follows the naming scheme.",
        examples=["databricks-rg-dataops"],
    )

    spark_conf: dict[SparkKey, str] = Field(
        default={},
        description="Spark settings of every run, fixed by the cluster policy. Without Unity Catalog they sign runs "
        "in to storage: docs/infrastructure.md has the keys. Secrets are allowed by reference only.",
        examples=[{"fs.azure.account.oauth2.client.secret": "{{secrets/platform/reader}}"}],
    )

    @field_validator("spark_conf")
    @classmethod
    def _secrets_are_referred_to(cls, value: dict[str, str]) -> dict[str, str]:
        held = [key for key, text in value.items() if _SECRET_KEY.search(key) and not _REFERENCE.fullmatch(text)]
        if held:
            raise SecretInSettingsError(f"must refer to the secret of {held[0]}, not hold it")
        return value

    @field_validator("max_workers")
    @classmethod
    def _a_run_fits_the_pool(cls, value: int, info: ValidationInfo) -> int:
        capacity = info.data.get("pool_capacity")
        if capacity is not None and value >= capacity:
            raise ValueError(
                f"must be less than databricks.pool_capacity, {capacity}: the driver needs an instance too"
            )
        return value


class KeyVaultSettings(Section):
    """The Key Vault of the workspace."""

    soft_delete_days: int = Field(
        default=90,
        ge=7,
        le=90,
        description="Days for which a deleted vault can be restored and keeps its name.",
        examples=[90],
    )
    purge_protection: bool = Field(
        default=True,
        description="A deleted vault cannot be purged before those days are over. The setting can never be switched "
        "off again.",
        examples=[True],
    )


class MonitoringSettings(Section):
    """Retention of logs, and recipients of alerts."""

    retention_days: int = Field(default=30, ge=30, le=730, description="Days for which logs are kept.", examples=[90])
    alert_emails: Annotated[list[Email], EachOnce] = Field(
        default=[],
        description="Recipients of alerts on failed runs, watched models and the budget.",
        examples=[["mlops@example.com"]],
        max_length=20,
    )
    alert_webhooks: list[WebhookUrl] = Field(
        default=[],
        description="https URLs that alerts are posted to, in Azure's common alert schema. They may hold a secret: set "
        "them with `pulumi config set --secret --path 'dataopsml:monitoring.alert_webhooks[0]'`.",
        examples=[["https://hooks.example.com/alerts"]],
        max_length=10,
        json_schema_extra={"secret": True},
    )


class BudgetSettings(Section):
    """Monthly budget of the resource group."""

    monthly_amount: int = Field(
        default=0, ge=0, le=10_000_000, description="Amount in the billing currency; 0 means no budget.", examples=[500]
    )
    warn_percent: int = Field(
        default=80, ge=1, le=100, description="Percentage of the amount at which an alert is sent.", examples=[80]
    )


class ProtectionSettings(Section):
    """Protection of resources that hold data against deletion."""

    lock: bool = Field(
        default=False, description="Put a CanNotDelete lock on resources that hold data.", examples=[True]
    )
    protect: bool = Field(
        default=False, description="Let Pulumi refuse to delete resources that hold data.", examples=[True]
    )


class Operator(Section):
    """An identity that ships data and models."""

    object_id: Guid = Field(description="Object id in Entra.", examples=["11111111-2222-3333-4444-555555555555"])
    type: PrincipalType = Field(description="Type of the identity.", examples=["ServicePrincipal"])


class ModelRegistrySettings(Section):
    """The Azure ML registry that carries models from one environment to the next."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$")] | None = Field(
        default=None, description="Name of the registry; without a name there is no registry.", examples=["mlr-dataops"]
    )
    create: bool = Field(
        default=False, description="Create the registry in this stack; the other stacks only name it.", examples=[True]
    )
    protect: bool = Field(
        default=True,
        description="Lock and protect the registry in the stack that creates it, even without `protection`: other "
        "stacks run its models.",
        examples=[True],
    )
    users: Annotated[list[Operator], EachOnce] = Field(
        default=[],
        description="Identities of other stacks that publish models to the registry or fetch them.",
        examples=[[{"object_id": "11111111-2222-3333-4444-555555555555", "type": "ServicePrincipal"}]],
        max_length=20,
    )
    resource_group: ResourceGroupName | None = Field(
        default=None,
        description="Resource group of a registry that another stack has created.",
        examples=["rg-dataops-staging"],
    )

    @field_validator("create")
    @classmethod
    def _a_registry_has_a_name(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("name") is None:
            raise ValueError("needs model_registry.name")
        return value

    @field_validator("resource_group")
    @classmethod
    def _a_foreign_registry_has_a_group(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("create"):
            raise ValueError(
                "must not be set when model_registry.create is true: the registry lies in the stack's group"
            )
        return value


class AccessSettings(Section):
    """Identities that can write to the storage accounts, besides the pipeline's."""

    operators: Annotated[list[Operator], EachOnce] = Field(
        default=[],
        description="Identities that upload data and code. By default, the identity that deploys the stack.",
        examples=[[{"object_id": "11111111-2222-3333-4444-555555555555", "type": "ServicePrincipal"}]],
        max_length=20,
    )
    deployer_type: PrincipalType = Field(
        default="ServicePrincipal",
        description="Type of the identity that deploys the stack: a pipeline's or a person's. It matters without "
        "`operators`.",
        examples=["User"],
    )
    invoker_role: InvokerRole = Field(
        default="bootstrap",
        description="Who makes the custom roles of the identities that start trainings, where a pipeline has "
        "`watch.retrain: on_drift` or `new_data.train` names one: the bootstrap, whose deployers may assign them, or "
        "the stack, whose deployer then needs Microsoft.Authorization/roleDefinitions/write.",
        examples=["stack"],
    )


class Settings(Section):
    """The settings of one stack."""

    environment: Environment = Field(description="The stack's name.", examples=["dev"])
    base_name: BaseName = Field(
        description="Part of every name. Base name and environment together must be unused in all of Azure.",
        examples=["dataops"],
    )
    location: Region = Field(description="Azure region.", examples=["westeurope"])
    owner: Email = Field(
        description="Responsible person or team; a tag on every resource.", examples=["mlops@example.com"]
    )
    cost_center: TagValue = Field(
        description="Cost center that pays; a tag on every resource.", examples=["research-42"]
    )
    tags: dict[TagName, TagValue] = Field(
        default={}, description="Additional tags on every resource.", examples=[{"data_classification": "internal"}]
    )
    network: NetworkSettings = NetworkSettings()
    compute: ComputeSettings = ComputeSettings()
    databricks: DatabricksSettings = DatabricksSettings()
    training_data: TrainingDataSettings = TrainingDataSettings()
    workspace_storage: WorkspaceStorageSettings = WorkspaceStorageSettings()
    key_vault: KeyVaultSettings = KeyVaultSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    budget: BudgetSettings = BudgetSettings()
    protection: ProtectionSettings = ProtectionSettings()
    unity_catalog: UnityCatalogSettings = UnityCatalogSettings()
    model_registry: ModelRegistrySettings = ModelRegistrySettings()
    access: AccessSettings = AccessSettings()
    serving: ServingSettings = ServingSettings()
    new_data: NewDataSettings = NewDataSettings()

    @field_validator("training_data", "workspace_storage")
    @classmethod
    def _the_region_can_copy_so(
        cls, value: TrainingDataSettings | WorkspaceStorageSettings, info: ValidationInfo
    ) -> TrainingDataSettings | WorkspaceStorageSettings:
        problem = redundancy_problem(value.replication, info.data.get("location", ""))
        if problem is not None:
            raise wrong_field(value, "replication", problem)
        return value

    @field_validator("budget")
    @classmethod
    def _alerts_have_a_recipient(cls, value: BudgetSettings, info: ValidationInfo) -> BudgetSettings:
        monitoring = info.data.get("monitoring")
        if value.monthly_amount and monitoring is not None and not monitoring.alert_emails:
            raise wrong_field(value, "monthly_amount", "needs monitoring.alert_emails: alerts would reach no one")
        return value

    @field_validator("unity_catalog")
    @classmethod
    def _runs_reach_the_data(cls, value: UnityCatalogSettings, info: ValidationInfo) -> UnityCatalogSettings:
        databricks, base, environment = (info.data.get(name) for name in ("databricks", "base_name", "environment"))
        if value.enabled or databricks is None or base is None or environment is None:
            return value
        missing = spark_storage.missing_keys(databricks.spark_conf, Names(base, environment).training_storage)
        if missing:
            raise wrong_field(
                value,
                "enabled",
                "leaves notebook runs without a way to the training data: set unity_catalog.enabled to true (the "
                "workspace needs a metastore), or let databricks.spark_conf sign in as a service principal, which "
                f"takes {', '.join(missing)}",
            )
        return value

    @field_validator("new_data")
    @classmethod
    def _the_endpoints_can_be_reached(cls, value: NewDataSettings, info: ValidationInfo) -> NewDataSettings:
        network = info.data.get("network")
        if value.train and network is not None and network.profile == "private":
            raise wrong_field(
                value,
                "train",
                "cannot work with network.profile private: a Logic App (Consumption) reaches no private endpoint. Let "
                "a schedule train (docs/how-to/schedule-a-pipeline.md), or choose the profile restricted or public",
            )
        return value

    @field_validator("tags")
    @classmethod
    def _tags_leave_room(cls, value: dict[str, str]) -> dict[str, str]:
        most = _STORAGE_TAGS_MAX - _LARGEST_BASE_TAGS
        if len(value) > most:
            raise ValueError(f"has {len(value)} tags; a storage account takes {most} besides the platform's own")
        # Azure tells tag names apart without regard to letter case.
        names = [name.lower() for name in value]
        own = sorted(set(names) & {"project", "environment", "managed_by", "owner", "cost_center"})
        if own:
            raise ValueError(f"must not set {', '.join(own)}: the platform does")
        if len(set(names)) < len(names):
            raise ValueError("has names that differ in letter case alone, which are one name to Azure")
        return value

    def all_tags(self, project: str) -> dict[str, Any]:
        """Return the tags of all resources that support tags."""
        return {
            **self.tags,
            "project": project,
            "environment": self.environment,
            "managed_by": "pulumi",
            "owner": self.owner,
            "cost_center": self.cost_center,
        }
