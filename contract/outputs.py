"""The contract between the stack and the code that is shipped on it: every stack output with type and meaning.

`__main__.py` exports exactly these outputs; `mlops` reads them with `read_outputs`. No output is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

_Text = Annotated[str, StringConstraints(min_length=1)]
_ArmId = Annotated[str, StringConstraints(pattern=r"^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/.+$")]
_Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
_Https = Annotated[str, StringConstraints(pattern=r"^https://[^/]+/?$")]


class OutputsError(Exception):
    """Stack outputs are missing or malformed; the text names the stack and every such output."""


class PlatformOutputs(BaseModel):
    """Outputs of a stack. Field names are the output names."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    environment: _Text = Field(description="Environment of the stack: local, dev, staging, prod.")
    location: _Text = Field(description="Azure region of the resource group, such as westeurope.")
    tenant_id: _Guid = Field(description="Entra tenant of the subscription.")
    subscription_id: _Guid = Field(description="Azure subscription.")
    resource_group: _Text = Field(description="Resource group that holds the platform.")
    workspace_name: _Text = Field(description="Azure Machine Learning workspace.")
    compute_name: _Text = Field(description="AmlCompute cluster that runs the pipeline's steps.")
    identity_id: _ArmId = Field(description="ARM id of the pipeline's user-assigned identity.")
    identity_client_id: _Guid = Field(description="Client id of the pipeline's user-assigned identity.")
    retraining_client_id: _Guid | None = Field(
        default=None,
        description="Client id of the identity that starts retrainings, where a pipeline has watch.retrain: on_drift.",
    )
    training_account: _Text = Field(description="Storage account of the training data.")
    training_container: _Text = Field(description="Blob container of the training data.")
    training_datastore: _Text = Field(description="Azure ML datastore over that container.")
    container_registry: _Text = Field(description="Login server of the container registry.")
    key_vault_uri: _Https = Field(description="URI of the Key Vault.")
    databricks_workspace_id: _ArmId = Field(description="ARM id of the Databricks workspace.")
    databricks_host: _Https = Field(description="URL of the Databricks workspace, with https://.")
    instance_pool_id: _Text = Field(description="Databricks instance pool of the notebook runs.")
    cluster_policy_id: _Text = Field(description="Databricks cluster policy of the notebook runs.")
    spark_version: _Text = Field(description="Databricks runtime key, such as 17.3.x-scala2.13.")
    notebook_folder: _Text = Field(description="Databricks workspace folder that published notebooks go to.")
    batch_endpoint: _Text = Field(description="Azure ML batch endpoint that invokes the published pipeline.")
    pipeline_endpoints: dict[str, str] = Field(
        default={},
        description="Batch endpoints of the training pipelines besides the default one, by the pipeline's name.",
    )
    online_endpoints: dict[str, str] = Field(
        default={},
        description="Azure ML online endpoints of the training pipelines that serve online, by the pipeline's name.",
    )
    engineered_days: int | None = Field(
        default=None,
        ge=1,
        description="Days until engineered data are deleted; runs reuse them for half as long.",
    )
    scoring_output_days: int | None = Field(
        default=None, ge=1, description="Days until predictions are deleted; without a number they stay."
    )
    application_insights_connection_string: Annotated[str, StringConstraints(pattern=r"InstrumentationKey=")] | None = (
        Field(default=None, description="Where jobs send metrics, signed in; it is no secret: local sign-in is off.")
    )
    model_registry: str | None = Field(None, description="Azure ML registry shared by the stacks, where there is one.")

    @property
    def training_uri(self) -> str:
        """URI of the training container, as Spark reads it."""
        return f"abfss://{self.training_container}@{self.training_account}.dfs.core.windows.net"


def read_outputs(values: Mapping[str, Any], stack: str) -> PlatformOutputs:
    """Validate the output of `pulumi stack output --json`.

    Raises OutputsError, which names the stack, every missing or malformed output, and the mend.
    """
    if not values:
        raise OutputsError(f"Stack {stack} has no outputs yet: bring it up with `pulumi up --stack {stack}`.")
    try:
        return PlatformOutputs.model_validate(values)
    except ValidationError as error:
        lines = [f"Stack {stack} does not have the outputs that the code needs:"]
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            state = "is missing" if problem["type"] == "missing" else f"is {problem['input']!r}: {problem['msg']}"
            lines.append(f"  {name} {state}")
        lines.append(f"Bring it up to date with `pulumi up --stack {stack}`.")
        raise OutputsError("\n".join(lines)) from error
