"""setAccessControl: owner, group, permissions and ACL of one path, or of all below one."""

from __future__ import annotations

import json
import re

import httpx
from starlette.responses import Response

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.storage.authorization import Demand
from localcloud.storage.dfs import access, conditions, needs, properties, tree
from localcloud.storage.dfs.call import Call, written
from localcloud.storage.dfs.errors import refused
from localcloud.storage.listing import ACCESS

_REMOVED = re.compile(r"(default:)?(user|group|mask|other)(:[^:,|]*)?")


async def set_control(call: Call) -> Response:
    node = await _node(call)
    conditions.check(node, call.conditions())
    _check_control(call, node)
    changed = access.changed(node.access, call.headers)
    return call.answer(200, written(await write_metadata(call, node, _with(node, changed))))


async def set_below(call: Call) -> Response:
    """mode=set|modify|remove, in one go: no continuation. Failures are counted, as on Azure."""
    mode, text = call.query.get("mode", "").lower(), call.headers.get("x-ms-acl", "")
    if mode not in {"set", "modify", "remove"}:
        raise refused("InvalidQueryParameterValue", f"mode: {mode!r} is not one of set, modify and remove.")
    top = await _node(call)
    counts = {"directoriesSuccessful": 0, "filesSuccessful": 0, "failureCount": 0}
    failed = []
    names = [call.path, *(item.name for item in await call.blobs.below(call.path))]
    for name in names:
        node = top if name == call.path else await tree.need(call.blobs, name)
        try:
            _check_control(call, node)
            acl = _merged(node, mode, text)
            await write_metadata(call, node, _with(node, access.changed(node.access, {"x-ms-acl": acl})))
        except ServiceError as error:
            if node is top or error.status == 400:
                raise
            counts["failureCount"] += 1
            failed.append({"name": name, "type": node.kind.upper(), "errorMessage": error.message})
            continue
        counts["directoriesSuccessful" if node.directory else "filesSuccessful"] += 1
    body = json.dumps({**counts, "failedEntries": failed}).encode()
    return call.answer(200, {"content-type": "application/json;charset=utf-8"}, body)


async def write_metadata(call: Call, node: tree.Node, metadata: dict[str, str]) -> httpx.Headers:
    if not node.marked:
        return await call.blobs.mark(node.path, metadata, new=False)
    folder = {properties.FOLDER: "true"} if node.directory else {}
    headers = {**properties.as_headers({**metadata, **folder}), **call.lease()}
    return (await call.blobs.call("PUT", node.path, {"comp": "metadata"}, headers)).headers


async def _node(call: Call) -> tree.Node:
    if not call.hierarchical:
        raise refused("HierarchicalNamespaceNotEnabled")
    node = await tree.need(call.blobs, call.path)
    if not call.path:
        raise not_emulated("setting access control of a filesystem's root")
    return node


def _check_control(call: Call, node: tree.Node) -> None:
    """Check that the caller may change a path's ACL: its owner may. Raises ServiceError 403."""
    check_ownership(call)
    if call.principal is not None and node.access.owner != call.principal.object_id:
        call.gate.check(call.principal, call.account, Demand(call.target, needs.ACL))


def check_ownership(call: Call) -> None:
    """Refuse a change of owner without a role for it. Raises ServiceError 403."""
    if call.principal is not None and "x-ms-owner" in call.headers:
        call.gate.check(call.principal, call.account, Demand(call.target, needs.OWNERSHIP))


def _with(node: tree.Node, changed: access.Access) -> dict[str, str]:
    kept = {name: value for name, value in node.metadata.items() if name.lower() != ACCESS}
    return {**kept, **changed.kept()}


def _merged(node: tree.Node, mode: str, text: str) -> str:
    """Return the new ACL of a path. Only directories have default entries."""
    changes = [entry.strip() for entry in text.split(",")]
    if not node.directory:
        changes = [entry for entry in changes if not entry.startswith("default:")]
    if mode == "set":
        return ",".join(changes)
    if mode == "remove":
        wrong = [entry for entry in changes if not _REMOVED.fullmatch(entry)]
        if wrong:
            raise refused("InvalidHeaderValue", f"x-ms-acl: {wrong[0]!r} is not like user:OBJECT-ID.")
        replaced = {entry if entry.count(":") > entry.startswith("default:") else f"{entry}:" for entry in changes}
        return ",".join(entry for entry in node.access.acl if entry.rpartition(":")[0] not in replaced)
    entries = {entry.rpartition(":")[0]: entry for entry in node.access.acl}
    return ",".join((entries | {entry.rpartition(":")[0]: entry for entry in changes}).values())
