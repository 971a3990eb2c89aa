"""Online deployments in tests: a small MLflow model that adds two columns, registered, deployed and called."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import psutil
import requests
from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint, Model, OnlineRequestSettings
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from localcloud.core.json import Json
from localcloud.core.process_marks import children_folder, marked
from localcloud.testing.azure_session import unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.workspace_session import MlWorkspace

FRAME: Json = {"columns": ["first", "second"], "index": [0, 1], "data": [[1.0, 2.0], [3.0, 4.5]]}
REQUEST: Json = {"input_data": FRAME}

_CODE = """
import time
import mlflow

class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep((params or {}).get("seconds", 0))
        times = model_input["times"] if "times" in model_input else 1
        return ((model_input["first"] + model_input["second"]) * times + OFFSET).tolist()

mlflow.models.set_model(Sum())
"""
_MONITORING = "azureml-ai-monitoring==1.0.0"
"""Packages that Azure's scoring script imports and a model brings along: see localcloud.azureml.online.preparation."""
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("double", "first"), ColSpec("double", "second"), ColSpec("long", "times", required=False)]),
    outputs=Schema([ColSpec("double")]),
    params=ParamSchema([ParamSpec("seconds", "double", 0.0)]),
)
NEEDED = (
    f"mlflow-skinny=={importlib.metadata.version('mlflow')}", f"pandas=={importlib.metadata.version('pandas')}",
    f"cloudpickle=={importlib.metadata.version('cloudpickle')}", _MONITORING,
)  # fmt: skip


def save(folder: Path, *, offset: int = 0, packages: Sequence[str] = NEEDED, code: str = _CODE) -> Path:
    """Save the model into `folder`/model, with its packages on Python 3.12; return that folder."""
    script = folder / "sum_model.py"
    script.write_text(code.replace("OFFSET", str(offset)), encoding="utf-8")
    environment = {"name": "mlflow-env", "dependencies": ["python=3.12", "pip", {"pip": list(packages)}]}
    mlflow.pyfunc.save_model(
        folder / "model", python_model=str(script), signature=SIGNATURE, conda_env=environment,
        input_example=None,
    )  # fmt: skip
    return folder / "model"


def register(ml: MlWorkspace, folder: Path) -> str:
    """Register a model's folder; return the version's id."""
    model = ml.client.models.create_or_update(Model(name=unique("sum"), path=str(folder), type="mlflow_model"))
    return str(model.id)


def deployment(endpoint: str, name: str, model: str | None, **settings: Any) -> ManagedOnlineDeployment:
    """Return a deployment of a model, which is to be created."""
    requests_ = OnlineRequestSettings(request_timeout_ms=60_000, max_concurrent_requests_per_instance=8)
    return ManagedOnlineDeployment(
        name=name, endpoint_name=endpoint, model=model, instance_type="Standard_DS3_v2", instance_count=1,
        **{"request_settings": requests_} | settings,
    )  # fmt: skip


def serve(ml: MlWorkspace, model: str, **settings: Any) -> str:
    """Make an endpoint with a deployment `blue` that has all of its traffic; return its name."""
    name = unique("oep")
    endpoint = ManagedOnlineEndpoint(name=name, **{"auth_mode": "key"} | settings)
    created = ml.client.online_endpoints.begin_create_or_update(endpoint).result()
    ml.client.online_deployments.begin_create_or_update(deployment(name, "blue", model)).result()
    created.traffic = {"blue": 100}
    ml.client.online_endpoints.begin_create_or_update(created).result()
    return name


def score(ml: MlWorkspace, endpoint: str, body: Any, *, path: str = "score", **headers: str) -> requests.Response:
    """POST to an endpoint with its primary key, unless `headers` have another one."""
    key = ml.client.online_endpoints.get_keys(endpoint).primary_key
    return requests.post(
        f"https://{endpoint}.westeurope.inference.ml.azure.com/{path}", data=json.dumps(body), timeout=90,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"} | headers,
    )  # fmt: skip


def logs(ml: MlWorkspace, endpoint: str, name: str = "blue", lines: int = 5000, **settings: Any) -> str:
    """Return the end of a deployment's log."""
    return str(ml.client.online_deployments.get_logs(name, endpoint, lines, **settings))


def find_server(cloud: Cloud, endpoint: str) -> psutil.Process | None:
    """Return the process of the endpoint's one deployment, recognised by its environment's SERVICE_NAME."""
    for mark in children_folder(cloud.settings).glob("endpoint-*.pid"):
        process = marked(mark)
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # a process that was just killed
            if process is not None and process.environ().get("SERVICE_NAME") == endpoint:
                return process
    return None


def server_of(cloud: Cloud, endpoint: str) -> psutil.Process:
    """Return the process of the endpoint's one deployment, which runs."""
    process = find_server(cloud, endpoint)
    assert process is not None, f"no server of {endpoint} runs"
    return process
