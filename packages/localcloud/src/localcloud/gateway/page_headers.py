"""Headers that keep a browser from doing more with a page than showing it."""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders

from localcloud.gateway.hosts import Service

_OWN_POLICY = "; ".join(
    (
        "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'", "form-action 'none'",
        "frame-ancestors 'none'",
    )
)  # fmt: skip
"""localcloud's own pages are text with a style: they run no scripts and load nothing."""
_ARTIFACT_POLICY = "; ".join(
    (
        "sandbox", "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
"""An artifact was written by a job: it runs no scripts, loads nothing, and has no origin of its own."""
_ARTIFACT_PATH = re.compile(r"/_localcloud/azureml/runs/[^/]+/artifacts/")
_MLFLOW_POLICY = "; ".join(
    (
        "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'", "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:", "font-src 'self' data:", "worker-src 'self' blob:", "frame-src 'self' blob:",
        "object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'self'",
    )
)  # fmt: skip
"""MLflow's page is an application of scripts, which come from MLflow alone."""
_MLFLOW_PATH = "/_localcloud/mlflow"


def protect(headers: MutableHeaders, service: Service | None, path: str) -> None:
    """Add them to the headers of a page. Blobs are unchanged, since Azure adds no headers to them."""
    if service is Service.STORAGE or not headers.get("content-type", "").lower().startswith("text/html"):
        return
    policy = _OWN_POLICY
    if service is Service.LOCAL and path.startswith(_MLFLOW_PATH):
        policy = _MLFLOW_POLICY
    elif _ARTIFACT_PATH.match(path):
        policy = _ARTIFACT_POLICY
    headers["content-security-policy"] = policy
    headers["x-content-type-options"] = "nosniff"
    headers.setdefault("referrer-policy", "no-referrer")
