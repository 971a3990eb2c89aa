"""Rename a file or a directory: one step at Azurite, however much is below it."""

from __future__ import annotations

from contextlib import AsyncExitStack

from starlette.responses import Response

from localcloud.core.errors import not_emulated
from localcloud.storage.dfs import conditions, tree
from localcloud.storage.dfs.blobs import TREE, Blobs
from localcloud.storage.dfs.call import Call
from localcloud.storage.dfs.errors import refused
from localcloud.storage.dfs.needs import renamed


async def rename(call: Call) -> Response:
    """PUT with x-ms-rename-source. Replace the destination, unless it is a directory with content."""
    source = renamed(call.headers)
    if "x-ms-properties" in call.headers:
        raise not_emulated("a rename that sets properties (x-ms-properties)")
    if call.query.get("mode", "posix").lower() not in {"posix", "legacy"}:
        raise refused("InvalidQueryParameterValue", f"mode: {call.query['mode']!r} is neither posix nor legacy.")
    if not call.path:
        raise refused("InvalidInput", "A filesystem's root cannot be the destination of a rename.")
    from_, here = Blobs(call.azurite, call.account.name, source.container), call.blobs
    async with AsyncExitStack() as stack:
        for container in sorted({source.container, call.target.container}):
            await stack.enter_async_context(call.turns.changing(call.account.name, container))
        node = await tree.find(from_, source.blob)
        if node is None:
            raise refused("SourcePathNotFound")
        conditions.check(node, call.headers, source=True)
        target = await tree.find(here, call.path)
        conditions.check(target, call.headers)
        same = source == call.target
        if node.directory and (same or _within(call, source.container, source.blob)):
            raise refused("InvalidRenameSourcePath")
        if not same:
            await _check_destination(call, node, target)
            await tree.ensure_parents(here, call.path, call.owner)
            lease = {"x-ms-source-lease-id": call.headers.get("x-ms-source-lease-id", "")}
            address = f"{call.azurite.url}/{call.account.name}/{source.container}/{Blobs.encoded(source.blob)}"
            await here.call("PUT", call.path, headers={TREE: "rename", "x-ms-copy-source": address, **lease})
            if not node.marked:
                await here.mark(call.path, node.access.kept(), new=True)
            await tree.ensure_parents(from_, source.blob, call.owner)
    return call.answer(201)


def _within(call: Call, container: str, directory: str) -> bool:
    return container == call.target.container and call.path.startswith(f"{directory}/")


async def _check_destination(call: Call, source: tree.Node, target: tree.Node | None) -> None:
    parent = call.path.rpartition("/")[0]
    above = await tree.find(call.blobs, parent)
    if above is None:
        raise refused("RenameDestinationParentPathNotFound")
    if not above.directory:
        raise refused("PathConflict", f"'{parent}' is a file.")
    if target is None:
        return
    if target.kind != source.kind:
        raise refused("InvalidSourceOrDestinationResourceType", f"'{call.path}' is a {target.kind}.")
    if target.directory and await call.blobs.below(call.path, limit=1):
        raise refused("PathAlreadyExists", x_ms_existing_resource_type="directory")
