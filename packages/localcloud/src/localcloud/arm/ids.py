"""Resource ids: /subscriptions/S/resourceGroups/G/providers/NS/T1/N1/T2/N2, and extensions of them.

Ids compare case-insensitively and are shown in their first spelling, as in ARM, which has one spelling of its own
words (resourceGroups).
"""

from __future__ import annotations

from dataclasses import dataclass

RESOURCE_GROUP_TYPE = "Microsoft.Resources/resourceGroups"


@dataclass(frozen=True)
class ResourceId:
    """A parsed id. `type` and `name` are of the last resource; `parent` is the id of its container.

    The parent of a top-level resource is its resource group; of an extension (role assignment, diagnostic setting,
    lock) the resource that it extends.
    """

    text: str
    subscription: str
    resource_group: str
    type: str
    name: str
    parent: str
    extension: bool = False

    @property
    def key(self) -> str:
        return self.text.lower()


def parse(text: str) -> ResourceId | None:
    """Return the parsed id, or None when `text` is not the id of a resource or resource group."""
    parts = text.strip("/").split("/")
    if any(not part for part in parts) or len(parts) < 2:
        return None
    parts[0] = parts[0].lower()
    if parts[0].lower() == "subscriptions":
        subscription, group, rest = parts[1], "", parts[2:]
    elif parts[0].lower() == "providers":
        subscription, group, rest = "", "", parts
    else:
        return None
    scope = parts[: len(parts) - len(rest)]
    if len(rest) >= 2 and rest[0].lower() == "resourcegroups":
        group, scope, rest = rest[1], [*scope, "resourceGroups", rest[1]], rest[2:]
        if not rest:
            return ResourceId(
                "/" + "/".join(scope), subscription, group, RESOURCE_GROUP_TYPE, group, f"/subscriptions/{subscription}"
            )
    return _below_scope(scope, rest, subscription, group)


def _below_scope(scope: list[str], rest: list[str], subscription: str, group: str) -> ResourceId | None:
    chains: list[list[str]] = []
    for part in rest:
        if part.lower() == "providers" and (not chains or len(chains[-1]) % 2 == 1):
            chains.append([])
        elif not chains:
            return None
        else:
            chains[-1].append(part)
    if not chains or any(len(chain) < 3 or len(chain) % 2 == 0 for chain in chains):
        return None
    last = chains[-1]
    type_ = "/".join([last[0], *last[1::2]])
    if type_.lower() == RESOURCE_GROUP_TYPE.lower():
        return None  # a group's id has no provider: this one would be taken for its own group
    whole = scope + rest
    extension = len(chains) > 1
    # A nested resource is in its parent resource; a top-level one (and an extension) in the scope before /providers.
    parent = whole[:-2] if len(last) > 3 else whole[: -len(last) - 1]
    return ResourceId(
        text="/" + "/".join(whole),
        subscription=subscription,
        resource_group=group,
        type=type_,
        name=last[-1],
        parent="/" + "/".join(parent),
        extension=extension,
    )


def child(parent: str, type_name: str, name: str) -> str:
    """Return the id of a nested resource, such as the type name "computes" and the name "cpu" in a workspace."""
    return f"{parent}/{type_name}/{name}"


def in_group(subscription: str, group: str, type_: str, name: str) -> str:
    """Return the id of a top-level resource of `type_` in a resource group."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{type_}/{name}"
