"""Headers that keep a browser from doing more with a page than showing it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders

from localcloud.gateway.hosts import Service

_OWN_POLICY = "; ".join(
    (
        "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'", "form-action 'none'",
        "frame-ancestors 'none'",
    )
)  # fmt: skip
"""localcloud's own pages are text with a style: they run no scripts and load nothing."""
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
    """Add them to the headers of a page. Blobs are as they are on Azure, which adds none."""
    if service is Service.STORAGE or not headers.get("content-type", "").lower().startswith("text/html"):
        return
    mlflow = service is Service.LOCAL and path.startswith(_MLFLOW_PATH)
    headers["content-security-policy"] = _MLFLOW_POLICY if mlflow else _OWN_POLICY
    headers["x-content-type-options"] = "nosniff"
    headers.setdefault("referrer-policy", "no-referrer")
