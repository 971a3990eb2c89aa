"""Names of all resources of a stack: pure functions of the base name and the environment.

The scheme is the sample's: a short prefix for the type, the base name, the environment. Limits are Azure's
(learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules); the longest base name and
environment stay within all of them, which the tests prove for every combination.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass

BASE_NAME_MAX = 10  # "st" + base + environment + "tr" has to fit into a storage account's 24 characters
ENVIRONMENT_MAX = 10  # for the same reason
BASE_NAME = re.compile(rf"[a-z0-9]{{1,{BASE_NAME_MAX}}}")
ENVIRONMENT = re.compile(rf"[a-z][a-z0-9]{{1,{ENVIRONMENT_MAX - 1}}}")

_ENDPOINT_SUFFIX = 5  # hexadecimal digits; "bep-" + base + environment + suffix and hyphens fit into 32 characters
_PIPELINE_SUFFIX, _PIPELINE_LENGTH = 8, 19  # "bep-" + pipeline + "-" + suffix are 32 characters
_WORKBOOKS = uuid.UUID("7e1d3c52-93a4-5a0c-8a49-1f6b9f0f6f0e")
_ROLE_ASSIGNMENTS = uuid.UUID("2d6f4b0e-6f0b-5a53-9c37-3f0f4f9a4a7d")


@dataclass(frozen=True)
class Names:
    """Names of one stack. The constructor raises ValueError for an invalid base name or environment."""

    base: str
    environment: str

    def __post_init__(self) -> None:
        if not BASE_NAME.fullmatch(self.base):
            raise ValueError(f"{self.base!r} must be 1 to {BASE_NAME_MAX} lowercase letters and digits")
        if not ENVIRONMENT.fullmatch(self.environment):
            raise ValueError(
                f"{self.environment!r} must be 2 to {ENVIRONMENT_MAX} lowercase letters and digits, a letter first"
            )

    def _dashed(self, prefix: str, suffix: str = "") -> str:
        return "-".join(filter(None, (prefix, self.base, self.environment, suffix)))

    @property
    def resource_group(self) -> str:
        return self._dashed("rg")

    @property
    def databricks_managed_group(self) -> str:
        """The group that Azure Databricks creates and owns."""
        return self._dashed("rg", "dbw")

    @property
    def workspace(self) -> str:
        return self._dashed("aml")

    @property
    def container_registry(self) -> str:
        return f"acr{self.base}{self.environment}"

    @property
    def key_vault(self) -> str:
        return self._dashed("kv")

    @property
    def workspace_storage(self) -> str:
        return f"st{self.base}{self.environment}"

    @property
    def training_storage(self) -> str:
        return f"st{self.base}{self.environment}tr"

    @property
    def log_workspace(self) -> str:
        return self._dashed("log")

    @property
    def application_insights(self) -> str:
        return self._dashed("appi")

    @property
    def databricks(self) -> str:
        return self._dashed("dbw")

    @property
    def access_connector(self) -> str:
        return self._dashed("dbac")

    @property
    def pipeline_identity(self) -> str:
        return self._dashed("id", "pipeline")

    @property
    def retraining_identity(self) -> str:
        """Sorts behind the pipeline's: jobs run as a cluster's first identity."""
        return self._dashed("id", "retraining")

    @property
    def workspace_identity(self) -> str:
        return self._dashed("id", "aml")

    @property
    def serving_identity(self) -> str:
        return self._dashed("id", "serving")

    @property
    def new_data_identity(self) -> str:
        return self._dashed("id", "newdata")

    @property
    def training_events(self) -> str:
        """The Event Grid topic of the training account: letters, digits and hyphens, at most 50 characters."""
        return self._dashed("evgt", "training")

    @property
    def compute(self) -> str:
        """The cluster's name: unique in its workspace only, at most 16 characters."""
        return f"cpu-{self.environment}"

    @property
    def action_group(self) -> str:
        return self._dashed("ag")

    def alert(self, purpose: str) -> str:
        return self._dashed("alert", purpose)

    def workbook(self, subscription_id: str) -> str:
        """Return the GUID that a workbook is named by: the same for the same stack and subscription."""
        return str(uuid.uuid5(_WORKBOOKS, "|".join((subscription_id.lower(), self._dashed("stack")))))

    @property
    def budget(self) -> str:
        return self._dashed("budget")

    @property
    def network(self) -> str:
        return self._dashed("vnet")

    def network_part(self, kind: str, purpose: str = "") -> str:
        """Return the name of a part of the network; `kind` is a prefix such as nsg, nat, pip, pe."""
        return self._dashed(kind, purpose)

    def batch_endpoint(self, subscription_id: str) -> str:
        """Return a name with a digest of the subscription: endpoint names are unique in a region, across customers."""
        digest = hashlib.sha256(subscription_id.lower().encode()).hexdigest()[:_ENDPOINT_SUFFIX]
        return self._dashed("bep", digest)

    def pipeline_endpoint(self, subscription_id: str, pipeline: str) -> str:
        """Return the name of a training pipeline's own endpoint: letters, digits and hyphens, at most 32 characters."""
        return self._endpoint_of("bep", subscription_id, pipeline)

    def online_endpoint(self, subscription_id: str, pipeline: str) -> str:
        """Return the name of a training pipeline's online endpoint, which is part of a host name of the region."""
        return self._endpoint_of("oep", subscription_id, pipeline)

    def new_data_workflow(self, subscription_id: str, pipeline: str) -> str:
        """Return the name of the Logic App that starts a pipeline, and of its event subscription."""
        return self._endpoint_of("logic", subscription_id, pipeline)

    def _endpoint_of(self, prefix: str, subscription_id: str, pipeline: str) -> str:
        text = "|".join((subscription_id.lower(), self.base, self.environment, pipeline))
        digest = hashlib.sha256(text.encode()).hexdigest()[:_PIPELINE_SUFFIX]
        name = pipeline.replace("_", "-")[:_PIPELINE_LENGTH].strip("-")
        return f"{prefix}-{name}-{digest}"

    def role_assignment(self, subscription_id: str, /, *, grantee: str, role: str, scope: str) -> str:
        """Return a GUID that stays the same for the same identity, role and scope, by their logical names.

        Names of role assignments are unique in a tenant, and principal ids are unknown before the first deployment.
        """
        labels = (subscription_id.lower(), self._dashed("stack"), grantee, role, scope)
        return str(uuid.uuid5(_ROLE_ASSIGNMENTS, "|".join(labels)))
