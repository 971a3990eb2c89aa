"""The two calls to Azure DevOps' REST API: a comment on a pull request, a work item. Both as the build's own token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx

_VERSION = "7.1"
_LONGEST = 60_000
"""Characters of a preview; a comment holds 150,000."""


class DevOpsError(Exception):
    """Azure DevOps refused, or the build has no such thing; the text says what to do."""


def comment(stack: str, file: Path) -> str:
    """Post or renew the stack's preview on the pull request; the address of the thread."""
    number, repository = _variable("SYSTEM_PULLREQUEST_PULLREQUESTID"), _variable("BUILD_REPOSITORY_ID")
    threads = f"{_project()}/_apis/git/repositories/{repository}/pullRequests/{number}/threads"
    mark = f"<!-- preview of {stack} -->"
    text = (
        file.read_text(encoding="utf-8", errors="replace") if file.exists() else "The preview did not come to its end."
    )
    body = f"{mark}\n**Preview of `{stack}`**\n\n```\n{text[-_LONGEST:]}\n```"
    for thread in _call("GET", threads).get("value", []):
        first = (thread.get("comments") or [{}])[0]
        if str(first.get("content", "")).startswith(mark):
            _call("PATCH", f"{threads}/{thread['id']}/comments/{first['id']}", {"content": body})
            return f"{threads}/{thread['id']}"
    made = _call(
        "POST", threads, {"comments": [{"parentCommentId": 0, "content": body, "commentType": 1}], "status": 4}
    )
    return f"{threads}/{made['id']}"


def work_item(stack: str, file: Path) -> str:
    """Open an issue about drift, unless one is open; its address."""
    title = f"Drift of stack {stack}"
    open_ = "[System.TeamProject] = @project AND [System.State] NOT IN ('Done', 'Closed')"
    query = f"SELECT [System.Id] FROM WorkItems WHERE {open_} AND [System.Title] = '{title}'"  # noqa: S608 - own words
    known = _call("POST", f"{_project()}/_apis/wit/wiql", {"query": query}).get("workItems", [])
    if known:
        return str(known[0]["url"])
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    fields = {"System.Title": title, "System.Description": f"<pre>{_escaped(text[-_LONGEST:])}</pre>"}
    patch = [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in fields.items()]
    made = _call("POST", f"{_project()}/_apis/wit/workitems/$Issue", patch, "application/json-patch+json")
    return str(made["url"])


def _project() -> str:
    return f"{_variable('SYSTEM_COLLECTIONURI').rstrip('/')}/{_variable('SYSTEM_TEAMPROJECTID')}"


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise DevOpsError(f"{name} is not set: this runs in a build of Azure DevOps.")
    return value


def _call(method: str, address: str, body: Any = None, media: str = "application/json") -> dict[str, Any]:
    token = _variable("SYSTEM_ACCESSTOKEN")
    answer = httpx.request(
        method, address, params={"api-version": _VERSION}, json=body, timeout=60,
        headers={"Authorization": f"Bearer {token}", "Content-Type": media},
    )  # fmt: skip
    if answer.status_code >= 400 or "json" not in answer.headers.get("content-type", ""):
        raise DevOpsError(
            f"{method} {address}: {answer.status_code}. The project's build service needs the permission to contribute "
            f"to pull requests and to edit work items. {answer.text[:300]}"
        )
    content: dict[str, Any] = answer.json()
    return content


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
