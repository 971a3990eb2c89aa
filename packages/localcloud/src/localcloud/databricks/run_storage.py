"""The credentials of a run's Spark for storage: Unity Catalog's, vended for a secret of the run.

There is nothing else: a cluster has no identity of its own for storage
(learn.microsoft.com/azure/databricks/connect/storage/azure-storage). Spark settings of the cluster for an account come
before Unity Catalog for that account. Without either, ABFS finds no key and reports that.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from localcloud.core.errors import ServiceError
from localcloud.core.streams import whole_body
from localcloud.databricks.request import Call, Caller, Services, Workspace
from localcloud.databricks.unity import vending
from localcloud.databricks.unity.session import Session, region_of
from localcloud.databricks.unity.storage_urls import Url
from localcloud.engine.vended_sas import PROVIDER

_LARGEST = 64 * 1024
_TOO_LARGE = ServiceError(413, "INVALID_PARAMETER_VALUE", f"The form has more than {_LARGEST} bytes.")
PATH = "/_localcloud/databricks/run-credentials"
_WITH_CATALOG = frozenset(
    {
        "SINGLE_USER", "USER_ISOLATION", "DATA_SECURITY_MODE_AUTO", "DATA_SECURITY_MODE_DEDICATED",
        "DATA_SECURITY_MODE_STANDARD",
    }
)  # fmt: skip
"""Access modes with Unity Catalog (databricks.sdk.service.compute.DataSecurityMode); without a mode there is none."""
_READS = frozenset({"check-access", "get-acl", "get-properties", "get-status", "list", "read"})
"""Operations of ABFS' SASTokenProvider that change nothing."""


@dataclass
class RunStorage:
    """The secrets of active runs, by which their Spark gets credentials."""

    services: Services
    _runs: dict[str, tuple[Workspace, Caller]] = field(default_factory=dict)

    def open(self, workspace: Workspace, caller: Caller) -> str:
        """Return a new secret, with which the run's Spark gets the caller's credentials until `close`."""
        secret = secrets.token_urlsafe(32)
        self._runs[secret] = (workspace, caller)
        return secret

    def close(self, secret: str) -> None:
        self._runs.pop(secret, None)

    def spark_conf(
        self, workspace: Workspace, caller: Caller, secret: str, mode: str | None, own: Mapping[str, str]
    ) -> dict[str, str]:
        """Return settings that send ABFS to Unity Catalog for locations' accounts, the cluster's `own` aside."""
        if mode not in _WITH_CATALOG or not self.services.regions.has(region_of(self.services.context, workspace)):
            return {}
        conf = {
            "spark.hadoop.fs.localcloud.unity.endpoint": f"{self.services.context.settings.gateway_url}{PATH}",
            "spark.hadoop.fs.localcloud.unity.secret": secret,
        }
        for account, hierarchical in vending.accounts(self._session(workspace, caller)).items():
            host = f"{account}.dfs.core.windows.net"
            if not _configures(own, host):
                conf |= {
                    f"spark.hadoop.fs.azure.account.auth.type.{host}": "SAS",
                    f"spark.hadoop.fs.azure.sas.token.provider.type.{host}": PROVIDER,
                    # ABFS would find out at the container's root, which no credential opens.
                    f"spark.hadoop.fs.azure.account.hns.enabled.{host}": str(hierarchical).lower(),
                }
        return conf

    def route(self) -> Route:
        return Route(PATH, self._answer, methods=["POST"])

    async def _answer(self, request: Request) -> Response:
        """Answer a POST of account, container, path and operation: a SAS token, or Databricks' words of refusal."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        run = self._runs.get(secret) if scheme == "Bearer" else None
        if run is None:
            return PlainTextResponse("UNAUTHENTICATED: The run is over, or the secret is none of a run's.", 401)
        try:
            content = await whole_body(request, _LARGEST, _TOO_LARGE)
        except ServiceError as error:
            return PlainTextResponse(f"{error.code}: {error.message}", error.status)
        form = dict(parse_qsl(content.decode(errors="replace"), keep_blank_values=True))
        parts = [part for part in form.get("path", "").split("/") if part]
        if {".", ".."} & set(parts):
            return PlainTextResponse(f"INVALID_PARAMETER_VALUE: The path {form['path']} has segments of dots.", 400)
        url = Url(form.get("account", "").partition(".")[0], form.get("container", ""), "/" + "/".join(parts))
        try:
            credential = vending.vend(self._session(*run), url, write=form.get("operation") not in _READS)
        except ServiceError as error:
            if error.code == "EXTERNAL_LOCATION_DOES_NOT_EXIST":
                # ABFS' own words without a configuration: Unity Catalog is not used outside of its locations.
                return PlainTextResponse(
                    f"Failure to initialize configuration for storage account {url.account}.dfs.core.windows.net: "
                    f"Invalid configuration value detected for fs.azure.account.key. {error.message}", 404
                )  # fmt: skip
            return PlainTextResponse(f"{error.code}: {error.message}", error.status)
        return PlainTextResponse(credential.sas)

    def _session(self, workspace: Workspace, caller: Caller) -> Session:
        return Session.open(Call(self.services, workspace, caller, {}))


def _configures(conf: Mapping[str, str], host: str) -> bool:
    """Return whether the cluster's Spark settings configure sign-in to the account, or to every account."""
    keys = {key.removeprefix("spark.hadoop.") for key in conf}
    return "fs.azure.account.auth.type" in keys or any(
        key.startswith("fs.azure.") and key.endswith(f".{host}") for key in keys
    )
