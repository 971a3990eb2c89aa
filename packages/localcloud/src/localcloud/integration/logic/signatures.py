"""Signed addresses of workflows, as Azure hands them out: the trigger's, and the addresses of actions' outputs.

The form is from azure-rest-api-specs' example of WorkflowTriggers_ListCallbackUrl and from the contents links of runs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote, urlencode

from localcloud.core.json import Json
from localcloud.core.resource import Resource

API_VERSION = "2016-10-01"
_SIGNATURE_VERSION = "1.0"


def host(workflow: Resource) -> str:
    """Return the host name of a workflow's addresses."""
    return f"prod-00.{workflow.location}.logic.azure.com"


def callback(workflow: Resource, trigger: str) -> Json:
    """Return the answer of listCallbackUrl."""
    path = f"/triggers/{trigger}/paths/invoke"
    queries = _queries(workflow, f"/triggers/{trigger}/run")
    base = f"https://{host(workflow)}:443/workflows/{workflow.private['guid']}{quote(path)}"
    return {
        "value": f"{base}?{urlencode(queries, quote_via=quote, safe='')}",
        "method": "POST",
        "basePath": base,
        "queries": queries,
    }


def contents(workflow: Resource, run: str, action: str) -> str:
    """Return the address of an action's outputs."""
    path = f"/runs/{run}/actions/{action}/contents/ActionOutputs"
    base = f"https://{host(workflow)}:443/workflows/{workflow.private['guid']}{quote(path)}"
    queries = _queries(workflow, f"/runs/{run}/actions/{action}/contents/ActionOutputs/read")
    return f"{base}?{urlencode(queries, quote_via=quote, safe='')}"


def is_signed(workflow: Resource, permission: str, version: str, signature: str) -> bool:
    """Return whether a signature allows the action `permission`."""
    genuine = hmac.compare_digest(_signature(workflow, permission).encode(), signature.encode())
    return genuine and version == _SIGNATURE_VERSION


def _queries(workflow: Resource, permission: str) -> dict[str, str]:
    return {
        "api-version": API_VERSION,
        "sp": permission,
        "sv": _SIGNATURE_VERSION,
        "sig": _signature(workflow, permission),
    }


def _signature(workflow: Resource, permission: str) -> str:
    key = str(workflow.private["key"]).encode()
    text = f"{workflow.private['guid']}\n{permission}\n{_SIGNATURE_VERSION}"
    return base64.urlsafe_b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode().rstrip("=")
