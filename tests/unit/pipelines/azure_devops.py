"""An HTTP server that answers as Azure DevOps' REST does, for the requests that a build makes of it.

Errors, the sign-in page and the JSON of threads and work items are as learn.microsoft.com/rest/api/azure/devops has
them. Nothing is assumed of the caller: another path, method, api-version or media type is refused.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]

TOKEN = "eyJ.the-build-s-own-token.x"
_PROJECT = "/org/9c1f4f8e-project"
_THREADS = re.compile(rf"^{_PROJECT}/_apis/git/repositories/repo-1/pullRequests/17/threads$")
_COMMENT = re.compile(rf"^{_PROJECT}/_apis/git/repositories/repo-1/pullRequests/17/threads/(\d+)/comments/(\d+)$")
_WIQL = re.compile(rf"^{_PROJECT}/_apis/wit/wiql$")
_ITEMS = re.compile(rf"^{_PROJECT}/_apis/wit/workitems/\$(\w+)$")
_TITLE = re.compile(r"\[System\.Title\] = '((?:[^']|'')*)'")
_EXCLUDED = re.compile(r"\[System\.State\] NOT IN \(([^)]*)\)")
_SIGN_IN = "<html><head><title>Azure DevOps Services | Sign In</title></head></html>"
_TYPES = {"Epic", "Task", "Bug", "Impediment"}
"""Of the Scrum process, which has no Issue."""


@dataclass
class AzureDevOps:
    """What the project holds. `forbidden`: the token is good, and may do nothing. `broken`: answers that come first."""

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
            thread = self.add_thread(*(one["content"] for one in body["comments"]))
            thread["status"] = {1: "active", 4: "closed"}[body["status"]]
            return 200, thread
        if (found := _COMMENT.match(path)) and method == "PATCH":
            return self._patch_comment(int(found[1]), int(found[2]), body)
        if _WIQL.match(path) and method == "POST":
            return 200, self._query(body["query"])
        if (found := _ITEMS.match(path)) and method == "POST":
            return self._create_item(found[1], body)
        return 404, _error("VssResourceNotFoundException", f"The controller for path '{path}' was not found.")

    def _patch_comment(self, thread_id: int, comment_id: int, body: Json) -> tuple[int, Json]:
        for thread in self.threads:
            for comment in thread["comments"]:
                if (thread["id"], comment["id"]) == (thread_id, comment_id):
                    comment["content"] = body["content"]
                    return 200, comment
        return 404, _error("GitPullRequestCommentNotFoundException", f"The comment {comment_id} does not exist.")

    def _query(self, query: str) -> Json:
        title, excluded = _TITLE.search(query), _EXCLUDED.search(query)
        assert title is not None and excluded is not None, query
        states = [one.strip(" '") for one in excluded[1].split(",")]
        found = [
            one for one in self.items
            if one["fields"]["System.Title"] == title[1] and one["fields"]["System.State"] not in states
        ]  # fmt: skip
        return {"queryType": "flat", "workItems": [{"id": one["id"], "url": "the API's"} for one in found]}

    def _create_item(self, kind: str, patch: list[Json]) -> tuple[int, Json]:
        if kind not in _TYPES:
            message = f"VS402323: Work item type {kind} does not exist in project."
            return 404, _error("WorkItemTypeNotFoundException", message)
        fields = {one["path"].removeprefix("/fields/"): one["value"] for one in patch if one["op"] == "add"}
        item = self.add_item(fields["System.Title"], "To Do")
        item["fields"] |= fields
        return 200, item


class Running:
    """The server on a port of its own. `uri` is what a build has as SYSTEM_COLLECTIONURI."""

    def __init__(self, service: AzureDevOps) -> None:
        handler = type("Handler", (_Handler,), {"service": service})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.uri = f"http://127.0.0.1:{self._server.server_port}/org/"

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    service: AzureDevOps

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the test's standard error."""

    def _serve(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.service.calls.append(f"{self.command} {path}")
        if self.service.broken:
            self._send(*self.service.broken.pop(0))
            return
        if self.service.sign_in is not None or self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status = self.service.sign_in or 401
            self._send(status, "text/html; charset=utf-8", "" if status == 401 else _SIGN_IN)
            return
        refusal = self._refusal(path, parse_qs(address.query))
        status, answer = refusal or self.service.answer(self.command, path, json.loads(content or b"null"))
        self._send(status, "application/json; charset=utf-8; api-version=7.1", json.dumps(answer))

    def _refusal(self, path: str, query: dict[str, list[str]]) -> tuple[int, Json] | None:
        if query.get("api-version") != ["7.1"]:
            return 400, _error("VssVersionNotSpecifiedException", f"No api-version was supplied for {self.command}.")
        wanted = "application/json-patch+json" if _ITEMS.match(path) else "application/json"
        if self.command != "GET" and self.headers.get("Content-Type") != wanted:
            return 415, _error("VssServiceException", "Media type is not supported.")
        if self.service.forbidden:
            return 403, _error("GitNeedsPermissionException", "TF401027: You need the Git 'PullRequestContribute'.")
        return None

    def _send(self, status: int, media: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(content)))
        if status == 302:
            self.send_header("Location", "/_signin")
        self.end_headers()
        self.wfile.write(content)


def _error(kind: str, message: str) -> Json:
    return {"$id": "1", "message": message, "typeKey": kind, "errorCode": 0}
