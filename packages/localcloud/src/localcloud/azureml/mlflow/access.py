"""Access to Azure ML's data plane: sign-in, roles, and tokens of running jobs."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

import jwt
from starlette.requests import Request

from localcloud.arm import private_link
from localcloud.azureml import hosts
from localcloud.azureml.common import WORKSPACE, workspace_of
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

_WORKSPACE = re.compile(
    r"/?(?P<id>subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+)"
    r"(?:/(?P<rest>.*))?",
    re.IGNORECASE,
)


_LIFETIME_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class RunToken:
    """Scope of a job's token: MLflow and the run history of the job's own workspace, while the job runs."""

    run_id: str
    workspace_id: str


class RunTokens:
    """Tokens of running jobs, in memory: jobs do not outlive the gateway."""

    def __init__(self) -> None:
        self._tokens: dict[str, RunToken] = {}
        self._key = secrets.token_bytes(32)

    def grant(self, run_id: str, workspace_id: str) -> str:
        # azureml-mlflow reads `exp` of the token, a JWT, and asks for another one shortly before (its
        # _authentication/azureml_token_authentication.py); this one is revoked before that, when the job ends.
        claims = {"jti": secrets.token_urlsafe(32), "exp": int(time.time()) + _LIFETIME_SECONDS, "runId": run_id}
        token = jwt.encode(claims, self._key, algorithm="HS256")
        self._tokens[token] = RunToken(run_id, workspace_id.lower())
        return token

    def revoke(self, token: str) -> None:
        self._tokens.pop(token, None)

    def find(self, authorization: str | None) -> RunToken | None:
        scheme, _, token = (authorization or "").partition(" ")
        return self._tokens.get(token.strip()) if scheme.lower() == "bearer" else None


def audiences(ctx: Context) -> frozenset[str]:
    """Tokens for Azure ML, or for ARM, as its clients send them."""
    hosts = (
        "https://ml.azure.com", "https://management.azure.com", "https://management.core.windows.net",
        ctx.settings.gateway_url,
    )  # fmt: skip
    return frozenset(host + end for host in hosts for end in ("", "/"))


def split(path: str) -> tuple[str, str]:
    """(workspace id, the rest) of a data-plane path. Raises ServiceError 404 when it names no workspace."""
    match = _WORKSPACE.fullmatch(path)
    if match is None:
        raise ServiceError(404, "NotFound", f"'{path}' does not name an Azure ML workspace.")
    return "/" + match["id"], match["rest"] or ""


def workspace_at(ctx: Context, id_: str) -> Resource:
    """Return the workspace of an id. Raises ServiceError 404."""
    return workspace_of(ctx, id_)


def enter(ctx: Context, tokens: RunTokens, request: Request, workspace_id: str, permission: str) -> Principal | None:
    """Check the caller: the principal, or None for a running job's own token.

    `permission` is relative to the workspace type, such as "experiments/runs/read". Raises ServiceError 401, 403.
    """
    authorization = request.headers.get("authorization")
    run = tokens.find(authorization)
    if run is not None:
        if run.workspace_id != workspace_id.lower():
            raise ServiceError(403, "Forbidden", "The run's token is of another workspace.")
        return None
    principal = ctx.identities.authenticate(authorization, audiences(ctx))
    action = f"{WORKSPACE}/{permission}"
    if not ctx.authorizer.allows(principal, action, workspace_id):
        raise ServiceError(
            403,
            "Forbidden",
            f"The client '{principal.app_id}' with object id '{principal.object_id}' does not have authorization to "
            f"perform action '{action}' over scope '{workspace_id}'.",
        )
    workspace = ctx.resources.get(workspace_id)
    if workspace is not None:
        check_network(ctx, workspace)
        _check_host(workspace, request.headers.get("host", ""))
    return principal


def check_network(ctx: Context, workspace: Resource) -> None:
    """Raise ServiceError 403 when the workspace's public access is off and the caller is not inside.

    Source of the text: MicrosoftDocs/azure-docs#90426.
    """
    if private_link.refused(ctx, workspace, "amlworkspace"):
        raise _denied()


def _check_host(workspace: Resource, host: str) -> None:
    """Raise ServiceError 403 for a closed workspace at another host than its own.

    A private endpoint leads there from the workspace's own names alone (azure-docs how-to-custom-dns.md); a request to
    the region's host goes over the internet, regardless of its origin.
    """
    if private_link.is_closed(workspace) and host.rsplit(":", 1)[0].lower() != hosts.own(workspace):
        raise _denied()


def _denied() -> ServiceError:
    return ServiceError(
        403, "UserError", "Access to workspace was denied based on workspace private link configuration."
    )
