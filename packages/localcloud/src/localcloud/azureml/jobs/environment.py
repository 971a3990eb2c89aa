"""Variables of a job's process: Azure ML's own, and the addresses of this localcloud; none of the gateway's.

Source of the names: learn.microsoft.com "Azure ML compute environment variables", azure-identity `_credentials/
azure_ml.py` (MSI_ENDPOINT, MSI_SECRET), mlflow `environment_variables.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from localcloud.azureml.jobs.runs import Run
from localcloud.core.context import Principal
from localcloud.core.resource import Resource
from localcloud.core.settings import Settings

_IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of a Linux image: a job gets the system's programs of this machine, not the user's."""
_KEPT = ("LANG", "LC_ALL", "TZ", "USER", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Access:
    """Secrets with which a running job acts; they are revoked at its end."""

    run_token: str
    identity: Principal | None
    msi_secret: str | None
    mlflow_experiment_id: str
    data_plane: str


def shared(settings: Settings, environment: Path) -> dict[str, str]:
    """Return the variables that all jobs in an environment have, a virtual environment's folder."""
    proxy = f"http://127.0.0.1:{settings.proxy_port}"
    bundle = str(settings.tls / "bundle.pem")
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "PATH": f"{environment / 'bin'}:{_IMAGE_PATH}",
        # Caches such as matplotlib's fonts: made once, not by each job.
        "XDG_CACHE_HOME": str(settings.home / "job-cache"),
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        # No "::1": see cli/env.py.
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": str(settings.tls / "ca.pem"),
    }


def variables(
    settings: Settings, workspace: Resource, run: Run, folder: Path, environment: Path, access: Access
) -> dict[str, str]:
    """Return all variables of a job; `environment` is the folder of the virtual environment that it declares."""
    parts = workspace.id.split("/")
    host = f"https://{access.data_plane}"
    own = shared(settings, environment) | {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "AZUREML_RUN_ID": run.id,
        "AZUREML_ROOT_RUN_ID": run.root,
        "AZUREML_RUN_TOKEN": access.run_token,
        "AZUREML_EXPERIMENT_NAME": run.experiment,
        "AZUREML_EXPERIMENT_ID": access.mlflow_experiment_id,
        "AZUREML_ARM_SUBSCRIPTION": parts[2],
        "AZUREML_ARM_RESOURCEGROUP": parts[4],
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
        "AZUREML_ARM_PROJECT_NAME": run.experiment,
        "AZUREML_WORKSPACE_ID": str(workspace.properties["workspaceId"]),
        "AZUREML_WORKSPACE_SCOPE": workspace.id,
        "AZUREML_SERVICE_ENDPOINT": host,
        # azureml-mlflow serves the scheme: an environment without it cannot log, here as on Azure (mlflow/mlflow#7806
        # has the address, #6692 the error).
        "MLFLOW_TRACKING_URI": f"azureml://{access.data_plane}/mlflow/v1.0{workspace.id}",
        "MLFLOW_TRACKING_TOKEN": access.run_token,
        "MLFLOW_EXPERIMENT_NAME": run.experiment,
        "MLFLOW_EXPERIMENT_ID": access.mlflow_experiment_id,
        "MLFLOW_RUN_ID": run.mlflow_run_id or run.id,
    }
    if run.parent is not None:
        own["AZUREML_PARENT_RUN_ID"] = run.parent
    if access.identity is not None and access.msi_secret is not None:
        own["MSI_ENDPOINT"] = f"http://127.0.0.1:{settings.identity_port}/msi/token"
        own["MSI_SECRET"] = access.msi_secret
        own["DEFAULT_IDENTITY_CLIENT_ID"] = access.identity.app_id
    declared: dict[str, str] = run.spec.get("variables", {})
    return own | declared
