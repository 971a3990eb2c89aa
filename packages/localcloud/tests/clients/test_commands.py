"""The coverage page names for each client the commands that tests use, all of them and no other."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.identity
import mlflow
import pytest
from azure.ai.ml import MLClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient, ContainerClient
from azure.storage.filedatalake import (
    DataLakeDirectoryClient,
    DataLakeFileClient,
    DataLakeServiceClient,
    FileSystemClient,
)
from databricks.sdk import WorkspaceClient
from localcloud.coverage_clients import CLIENTS, Client
from mlflow import MlflowClient

TESTS = Path(__file__).resolve().parents[1]
Commands = Callable[[str], set[str]]


def _methods(*classes: type) -> set[str]:
    return {name for class_ in classes for name, _ in inspect.getmembers(class_, callable) if name[0] != "_"}


def _methods_of(*classes: type) -> Commands:
    """Return a reader of the calls of these classes' methods in a test."""
    names = _methods(*classes) - {"close"}
    return lambda text: names & set(re.findall(r"\.(\w+)\(", text))


def _chains(groups: dict[str, set[str]]) -> Commands:
    """Return a reader of calls such as `client.jobs.get()` in a test: "jobs.get"."""

    def commands(text: str) -> set[str]:
        pairs = re.findall(r"\.\s*(\w+)\.(\w+)\(", text)
        return {f"{group}.{method}" for group, method in pairs if method in groups.get(group, ())}

    return commands


def _databricks_groups() -> dict[str, set[str]]:
    getters = {name: value.fget for name, value in vars(WorkspaceClient).items() if isinstance(value, property)}
    types = {name: inspect.get_annotations(getter).get("return") for name, getter in getters.items() if getter}
    return {name: _methods(type_) for name, type_ in types.items() if isinstance(type_, type)}


def _azure_ml_groups() -> dict[str, set[str]]:
    """Return the groups whose property is annotated with its class, all but experimental ones."""
    groups: dict[str, set[str]] = {}
    for name, value in vars(MLClient).items():
        getter = value.fget if isinstance(value, property) else None
        type_ = inspect.get_annotations(getter).get("return") if getter else None
        if isinstance(type_, type) and type_.__module__.startswith("azure.ai.ml.operations"):
            groups[name] = _methods(type_)
    return groups


def _management(text: str) -> set[str]:
    """Read the calls of each management client that a test imports: "storage: storage_accounts.list"."""
    commands: set[str] = set()
    for module, client in re.findall(r"from azure\.mgmt\.([\w.]+) import (\w+Client)\b", text):
        service: Any = getattr(importlib.import_module(f"azure.mgmt.{module}"), client)(_NoCredential(), "subscription")
        groups = {name: _methods(type(group)) for name, group in vars(service).items() if name[0] != "_"}
        commands |= {f"{module.split('.')[0]}: {command}" for command in _chains(groups)(text)}
    return commands


class _NoCredential:
    def get_token(self, *_: str, **__: Any) -> Any:
        raise AssertionError("nothing is sent")


def _pulumi(text: str) -> set[str]:
    words = re.findall(r'(?:"pulumi", |\bpulumi\((?:folder, )?)"([a-z]+)"(?:, "([a-z]+)")?', text)
    return {f"{verb} {noun}" if verb in {"stack", "config"} and noun else verb for verb, noun in words}


def _mlflow(text: str) -> set[str]:
    """Read calls of mlflow's functions, and of MlflowClient's methods, also in programs of jobs and notebooks."""
    functions = {f"mlflow.{name}" for name in re.findall(r"\bmlflow\.(\w+)\(", text) if hasattr(mlflow, name)}
    methods = _methods_of(MlflowClient)(re.sub(r"\bmlflow\.\w+\(", "", text))
    return functions | {f"MlflowClient.{name}" for name in methods}


def _spark(text: str) -> set[str]:
    """Read the file operations of notebooks' programs: "read.csv", "write.parquet", "dbutils.fs.ls"."""
    writes = re.findall(r"\.write(?:\.\w+\([^()]*\))*\.(csv|json|parquet|save|saveAsTable|text)\(", text)
    reads = re.findall(r"\bspark\.(read\.(?:csv|json|load|parquet|table|text)|sql)\(", text)
    return {*reads, *(f"write.{format_}" for format_ in writes), *re.findall(r"\b(dbutils\.fs\.\w+)\(", text)}


_COMMANDS: dict[str, Commands] = {
    "Pulumi CLI": _pulumi,
    "azure-identity": lambda text: {
        name for name in azure.identity.__all__ if name.endswith("Credential") and re.search(rf"\b{name}\(", text)
    },
    "azure-mgmt packages": _management,
    "azure-storage-blob": _methods_of(BlobClient, ContainerClient, BlobServiceClient, BlobLeaseClient),
    "azure-storage-file-datalake": _methods_of(
        DataLakeServiceClient, FileSystemClient, DataLakeDirectoryClient, DataLakeFileClient
    ),
    "Spark with Hadoop's ABFS driver": _spark,
    "azure-keyvault-secrets": _methods_of(SecretClient),
    "azure-keyvault-keys": _methods_of(KeyClient, CryptographyClient),
    "azureml-fsspec 1.4 and mltable 1.7": lambda text: set(
        re.findall(r"\b(?:AzureMachineLearningFileSystem|MLTable|mltable)\.\w+(?=\()", text)
    ),
    "azure-ai-ml": _chains(_azure_ml_groups()),
    "azureml-mlflow and mlflow": _mlflow,
    "databricks-sdk": _chains(_databricks_groups()),
    "Terraform's databricks provider": lambda text: {
        f"databricks_{'entitlements' if name == 'entitlement' else name}"
        for name in re.findall(r"\bresource_(\w+)\.go\b", text)
    },
    "curl": lambda text: {f"curl {url.group(1)}" for url in re.finditer(r'"curl",.*"(https://[^"]+)"', text)},
}  # fmt: skip
_REPLAYED = {"azure-cli 2.91", "Terraform 1.11 with azurerm 5.2", "Terraform 1.11 with databricks 1.128"}
"""Clients whose recordings have tests of their own for this."""


def test_every_client_of_the_page_has_commands() -> None:
    assert {client.name for client in CLIENTS} == _COMMANDS.keys() | _REPLAYED


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.name in _COMMANDS], ids=str)
def test_the_page_lists_exactly_the_commands_that_tests_use(client: Client) -> None:
    used: set[str] = set()
    for test in client.tests:
        commands = _COMMANDS[client.name]((TESTS / test).read_text(encoding="utf-8"))
        assert commands, f"{test} uses no command of {client.name}"
        used |= commands

    assert sorted(used) == list(client.commands), "correct localcloud/coverage_clients.py, and generate the page again"
