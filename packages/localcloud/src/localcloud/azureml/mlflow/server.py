"""The MLflow server's process: MLflow's own application, with additions for Azure ML.

A job's MLflow run has the job's name as its id, a model version registered through ARM has the requested number, and
artifacts are blobs of the workspace's storage account. Operations for the first two, for localcloud alone:

    POST   /_localcloud/runs              {experiment_id, run_id, run_name, user_id, start_time, tags}
    POST   /_localcloud/model-versions    {name, version, source, run_id, description, tags}
    DELETE /_localcloud/default           everything in MLflow's workspace "default", which MLflow does not delete
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import uvicorn

from localcloud.azureml.mlflow import workspaces
from localcloud.azureml.mlflow.gateway_key import GatewayOnly, gateway_key
from localcloud.core.database import Database

_HOST = "127.0.0.1"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m localcloud.azureml.mlflow.server")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--azurite-port", type=int, required=True)
    arguments = parser.parse_args()
    folder = arguments.home / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    _configure(folder)
    application = GatewayOnly(
        _application(arguments.home, f"http://{_HOST}:{arguments.azurite_port}", folder), gateway_key(arguments.home)
    )
    uvicorn.run(
        application, host=_HOST, port=arguments.port, http="httptools", access_log=False, log_level="warning",
        timeout_keep_alive=75, timeout_graceful_shutdown=2,
    )  # fmt: skip


def _configure(folder: Path) -> None:
    """Set the variables of `mlflow server` for its workers (mlflow.server._run_server), which MLflow's import reads."""
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": _store(folder),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "localcloud:/",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "MLFLOW_ENABLE_WORKSPACES": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _store(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def _application(home: Path, azurite: str, folder: Path) -> Any:
    # MLflow reads its configuration from the environment when it is imported.
    from mlflow.server import handlers
    from mlflow.server.fastapi_app import app
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
    from starlette.routing import Route

    from localcloud.arm.store import ResourceStore
    from localcloud.azureml.mlflow import artifacts, extensions
    from localcloud.azureml.mlflow.places import Places

    handlers.initialize_backend_stores(_store(folder), None, "mlflow-artifacts:/")
    database = Database(home / "localcloud.db")
    database.script(workspaces.SCHEMA)
    stores = extensions.Stores(handlers._get_tracking_store(), handlers._get_model_registry_store())
    locator = artifacts.Locator(Places(database, ResourceStore(database)), azurite, extensions.LoggedModels(stores))

    def repository(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
        return artifacts.BlobArtifacts(locator, artifact_uri, tracking_uri, registry_uri)

    _artifact_repository_registry.register(artifacts.SCHEME, repository)
    answers = extensions.Answers(stores)
    # They precede MLflow's own routes, the last of which matches every path.
    app.router.routes[:0] = [
        Route("/_localcloud/runs", answers.create_run, methods=["POST"]),
        Route("/_localcloud/model-versions", answers.create_model_version, methods=["POST"]),
        Route("/_localcloud/default", answers.empty_default, methods=["DELETE"]),
    ]
    return app


if __name__ == "__main__":
    main()
