"""The two calls to Azure DevOps' REST API: a comment on a pull request, a work item. Both as the build's own token.

Requests and answers: learn.microsoft.com/rest/api/azure/devops, "Pull Request Threads", "Pull Request Thread
Comments", "Wiql" and "Work Items", version 7.1. The list of threads has no pages.
"""

from __future__ import annotations

import html
import json
import os
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

_VERSION = "7.1"
_LONGEST = 60_000
"""Characters of a preview; a comment holds 150,000."""
_CLOSED = 4
"""State of a thread that need not be resolved before the pull request completes."""
_DRIFT = re.compile(r"^[1-9]\d* differences? of stack \S+ that should not be there\.$", re.MULTILINE)
"""Last line of `make drift` after a complete comparison (pipelines/agent/drift.py)."""
# In every process template (Basic, Agile, Scrum, CMMI): Scrum has no Issue.
_TYPE, _DONE = "Task", "'Done', 'Closed', 'Removed'"
_REASON_CHARACTERS = 300
_TAG = re.compile(r"[A-Za-z0-9._-]{1,400}")
"""A tag of Azure DevOps has at most 400 characters, and neither commas nor semicolons."""
_LONGEST_TITLE = 255
"""Longest title of a work item."""


class DevOpsError(Exception):
    """Azure DevOps refused, or the build lacks a value; the text names the mend."""


def comment(stack: str, file: Path) -> str:
    """Post or renew the stack's preview on the pull request; the address of the thread for people.

    Raises DevOpsError outside of a pull request in Azure Repos, and when Azure DevOps refuses.
    """
    provider = _variable("BUILD_REPOSITORY_PROVIDER")
    if provider != "TfsGit":
        raise DevOpsError(
            f"The repository is of {provider}: the build's token comments in Azure Repos only. The preview is in the "
            f"artifact preview-{stack}-{_variable('SYSTEM_STAGEATTEMPT')}."
        )
    number, repository = _variable("SYSTEM_PULLREQUEST_PULLREQUESTID"), _variable("BUILD_REPOSITORY_ID")
    threads = f"{_project()}/_apis/git/repositories/{repository}/pullRequests/{number}/threads"
    mark = f"<!-- preview of {stack} -->"
    body = f"{mark}\n**Preview of `{stack}`**\n\n{_quoted(_read(file) or 'The preview did not come to its end.')}"
    known = _known(_call("GET", threads).get("value", []), mark)
    if known is None:
        first = {"parentCommentId": 0, "content": body, "commentType": 1}
        thread = _call("POST", threads, {"comments": [first], "status": _CLOSED})["id"]
    else:
        thread, first_id = known
        _call("PATCH", f"{threads}/{thread}/comments/{first_id}", {"content": body})
    return f"{_project()}/_git/{repository}/pullrequest/{number}?discussionId={thread}"


def work_item(stack: str, file: Path) -> str:
    """Open a work item about drift, unless one is open; return its address for people.

    A check that failed before the comparison has another title. Raises DevOpsError when Azure DevOps refuses.
    """
    text = _read(file)
    title = f"Drift of stack {stack}" if _DRIFT.search(text) else f"The drift check of stack {stack} failed"
    open_ = f"[System.TeamProject] = @project AND [System.State] NOT IN ({_DONE})"
    query = f"SELECT [System.Id] FROM WorkItems WHERE {open_} AND [System.Title] = '{title}'"  # noqa: S608 - own words
    known = _call("POST", f"{_project()}/_apis/wit/wiql", {"query": query}).get("workItems", [])
    if known:
        return f"{_project()}/_workitems/edit/{known[0]['id']}"
    return _open(title, f"<pre>{html.escape(_tail(text), quote=False)}</pre>")


def work_items(file: Path) -> list[str]:
    """Open a work item for each episode in a file without one, open or done; return their addresses for people.

    `file` is the output of `mlops episodes --file`. An episode has its tag, so that another build opens no second
    item. Raises DevOpsError for an invalid tag, before any item is opened, and when Azure DevOps refuses.
    """
    episodes = json.loads(file.read_text(encoding="utf-8"))
    for episode in episodes:
        if _TAG.fullmatch(episode["tag"]) is None:
            raise DevOpsError(f"{episode['tag']!r} is no tag of an episode: it has letters, digits and ._- alone.")
    return [_episode_item(**episode) for episode in episodes]


def _episode_item(tag: str, title: str, text: str) -> str:
    where = f"[System.TeamProject] = @project AND [System.Tags] CONTAINS '{tag}'"
    query = f"SELECT [System.Id] FROM WorkItems WHERE {where}"  # noqa: S608 - checked by _TAG
    known = _call("POST", f"{_project()}/_apis/wit/wiql", {"query": query}).get("workItems", [])
    if known:
        return f"{_project()}/_workitems/edit/{known[0]['id']}"
    return _open(title[:_LONGEST_TITLE], f"<p>{html.escape(_tail(text), quote=False)}</p>", tag)


def _open(title: str, content: str, tag: str | None = None) -> str:
    run = f"{_project()}/_build/results?buildId={_variable('BUILD_BUILDID')}"
    fields = {"System.Title": title, "System.Description": f'<p><a href="{run}">The run</a></p>{content}'}
    if tag is not None:
        fields["System.Tags"] = tag
    patch = [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in fields.items()]
    item = _call("POST", f"{_project()}/_apis/wit/workitems/${_TYPE}", patch, "application/json-patch+json")
    return f"{_project()}/_workitems/edit/{item['id']}"


def _known(threads: list[dict[str, Any]], mark: str) -> tuple[int, int] | None:
    """Return the thread that an earlier run began, and its first comment. A deleted one has only its id."""
    for thread in threads:
        first = (thread.get("comments") or [{}])[0]
        deleted = thread.get("isDeleted") or first.get("isDeleted")
        if not deleted and str(first.get("content", "")).startswith(mark):
            return int(thread["id"]), int(first["id"])
    return None


def _project() -> str:
    return f"{_variable('SYSTEM_COLLECTIONURI').rstrip('/')}/{_variable('SYSTEM_TEAMPROJECTID')}"


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        hint = " Map it: env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}." if name == "SYSTEM_ACCESSTOKEN" else ""
        raise DevOpsError(f"{name} is not set: this runs in a build of Azure DevOps.{hint}")
    return value


def _call(method: str, address: str, body: Any = None, media: str = "application/json") -> dict[str, Any]:
    token = _variable("SYSTEM_ACCESSTOKEN")
    try:
        answer = httpx.request(
            method, address, params={"api-version": _VERSION}, json=body, timeout=60,
            headers={"Authorization": f"Bearer {token}", "Content-Type": media, "Accept": "application/json"},
        )  # fmt: skip
    except httpx.HTTPError as error:
        raise DevOpsError(f"{method} {address}: no answer: {error}") from error
    if answer.is_success and answer.status_code != HTTPStatus.NON_AUTHORITATIVE_INFORMATION:
        try:
            content = answer.json()
        except ValueError as error:
            raise DevOpsError(f"{method} {address}: {answer.status_code}, but the answer is no JSON.") from error
        if isinstance(content, dict):
            return content
    raise DevOpsError(f"{method} {address}: {answer.status_code}. {_reason(answer)}{_advice(answer)}")


def _reason(answer: httpx.Response) -> str:
    """Azure DevOps' own words: the field `message` of its errors. Pages for people are left out."""
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f"{str(message)[:_REASON_CHARACTERS]} "


def _advice(answer: httpx.Response) -> str:
    """Return the meaning of a refusal. A token that is not valid gets 401, or a page to sign in (203 or a redirect)."""
    match answer.status_code:
        case 203 | 302 | 401:
            return "The token was not taken: it is valid while its job runs, and for this organisation only."
        case 403:
            return "The project's build service needs the permission: contribute to pull requests, edit work items."
        case 404:
            return "There is no such thing, or the project's build service may not see it."
    return ""


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def _tail(text: str) -> str:
    """Return the end, where the summary is, from the start of a line, with a note that the rest is missing."""
    if len(text) <= _LONGEST:
        return text
    kept = text[-_LONGEST:]
    kept = kept[kept.find("\n") + 1 :]
    return f"… {len(text) - len(kept)} characters before this are left out: the artifact has them.\n{kept}"


def _quoted(text: str) -> str:
    """Return a code block whose fence is longer than any in the text."""
    kept = _tail(text)
    longest = max((len(run) for run in re.findall(r"`{3,}", kept)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{kept}\n{fence}"
