"""Answers in the form of Azure DevOps' REST, to a build's requests.

Errors, the sign-in page and the JSON of threads and work items are as learn.microsoft.com/rest/api/azure/devops has
them. The caller is not trusted: another path, method, api-version or media type is refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.unit.http_service import Request, Response

Json = dict[str, Any]

TOKEN = "eyJ.the-build-s-own-token.x"
_PROJECT = "/org/9c1f4f8e-project"
_THREADS = re.compile(rf"^{_PROJECT}/_apis/git/repositories/repo-1/pullRequests/17/threads$")
_COMMENT = re.compile(rf"^{_PROJECT}/_apis/git/repositories/repo-1/pullRequests/17/threads/(\d+)/comments/(\d+)$")
_WIQL = re.compile(rf"^{_PROJECT}/_apis/wit/wiql$")
_ITEMS = re.compile(rf"^{_PROJECT}/_apis/wit/workitems/\$(\w+)$")
_TITLE = re.compile(r"\[System\.Title\] = '((?:[^']|'')*)'")
_EXCLUDED = re.compile(r"\[System\.State\] NOT IN \(([^)]*)\)")
_TAG = re.compile(r"\[System\.Tags\] CONTAINS '([^']*)'")
_SIGN_IN = "<html><head><title>Azure DevOps Services | Sign In</title></head></html>"
_TYPES = {"Epic", "Task", "Bug", "Impediment"}
"""Types of the Scrum process, which has no Issue."""


@dataclass
class AzureDevOps:
    """Content of the project. `forbidden`: the token is good, and may do nothing. `broken`: answers that come first."""

    forbidden: bool = False
    sign_in: int | None = None
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    threads: list[Json] = field(default_factory=list)
    items: list[Json] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def add_thread(self, *contents: str, deleted: bool = False) -> Json:
        thread: Json = {"id": 100 + len(self.threads), "status": "active", "isDeleted": deleted, "comments": []}
        for number, content in enumerate(contents, 1):
            comment: Json = {"id": number, "commentType": "text", "content": content}
            thread["comments"].append({"id": number, "isDeleted": True} if deleted else comment)
        self.threads.append(thread)
        return thread

    def add_item(self, title: str, state: str) -> Json:
        item: Json = {"id": 900 + len(self.items), "fields": {"System.Title": title, "System.State": state}}
        self.items.append(item)
        return item

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Json]:
        if _THREADS.match(path) and method == "GET":
            return 200, {"count": len(self.threads), "value": self.threads}
        if _THREADS.match(path) and method == "POST":
            thread = self.add_thread(*(comment["content"] for comment in body["comments"]))
            thread["status"] = {1: "active", 4: "closed"}[body["status"]]
            return 200, thread
        if (match := _COMMENT.match(path)) and method == "PATCH":
            return self._patch_comment(int(match[1]), int(match[2]), body)
        if _WIQL.match(path) and method == "POST":
            return 200, self._query(body["query"])
        if (match := _ITEMS.match(path)) and method == "POST":
            return self._create_item(match[1], body)
        return 404, _error("VssResourceNotFoundException", f"The controller for path '{path}' was not found.")

    def _patch_comment(self, thread_id: int, comment_id: int, body: Json) -> tuple[int, Json]:
        for thread in self.threads:
            for comment in thread["comments"]:
                if (thread["id"], comment["id"]) == (thread_id, comment_id):
                    comment["content"] = body["content"]
                    return 200, comment
        return 404, _error("GitPullRequestCommentNotFoundException", f"The comment {comment_id} does not exist.")

    def _query(self, query: str) -> Json:
        if (tag := _TAG.search(query)) is not None:
            items = [item for item in self.items if tag[1] in item["fields"].get("System.Tags", "").split("; ")]
            return {"queryType": "flat", "workItems": [{"id": item["id"], "url": "the API's"} for item in items]}
        title, excluded = _TITLE.search(query), _EXCLUDED.search(query)
        assert title is not None and excluded is not None, query
        states = [state.strip(" '") for state in excluded[1].split(",")]
        items = [
            item for item in self.items
            if item["fields"]["System.Title"] == title[1] and item["fields"]["System.State"] not in states
        ]  # fmt: skip
        return {"queryType": "flat", "workItems": [{"id": item["id"], "url": "the API's"} for item in items]}

    def _create_item(self, kind: str, patch: list[Json]) -> tuple[int, Json]:
        if kind not in _TYPES:
            message = f"VS402323: Work item type {kind} does not exist in project."
            return 404, _error("WorkItemTypeNotFoundException", message)
        fields = {
            operation["path"].removeprefix("/fields/"): operation["value"]
            for operation in patch
            if operation["op"] == "add"
        }
        item = self.add_item(fields["System.Title"], "To Do")
        item["fields"] |= fields
        return 200, item

    def serve(self, request: Request) -> Response:
        """Answer a request of HTTP; for tests.unit.http_service."""
        self.calls.append(f"{request.method} {request.path}")
        if self.broken:
            return Response(*self.broken.pop(0))
        if self.sign_in is not None or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            status = self.sign_in or 401
            moved = {"Location": "/_signin"} if status == 302 else {}
            return Response(status, "text/html; charset=utf-8", "" if status == 401 else _SIGN_IN, moved)
        body = json.loads(request.content or b"null")
        status, answer = self._refusal(request) or self.answer(request.method, request.path, body)
        return Response(status, "application/json; charset=utf-8; api-version=7.1", json.dumps(answer))

    def _refusal(self, request: Request) -> tuple[int, Json] | None:
        if request.query.get("api-version") != ["7.1"]:
            return 400, _error("VssVersionNotSpecifiedException", f"No api-version was supplied for {request.method}.")
        content_type = "application/json-patch+json" if _ITEMS.match(request.path) else "application/json"
        if request.method != "GET" and request.headers.get("Content-Type") != content_type:
            return 415, _error("VssServiceException", "Media type is not supported.")
        if self.forbidden:
            return 403, _error("GitNeedsPermissionException", "TF401027: You need the Git 'PullRequestContribute'.")
        return None


def _error(kind: str, message: str) -> Json:
    return {"$id": "1", "message": message, "typeKey": kind, "errorCode": 0}
