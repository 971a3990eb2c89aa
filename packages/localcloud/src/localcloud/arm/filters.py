"""$filter of the lists of resources: eq, ne, substringof, and tags, joined by and and or."""

from __future__ import annotations

import re
from collections.abc import Callable

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json

Holds = Callable[[Json], bool]

_COMPARED = re.compile(
    r"\s*(resourceType|name|location|tagName|tagValue|resourceGroup)\s+(eq|ne)\s+'([^']*)'\s*", re.IGNORECASE
)
_CONTAINS = re.compile(r"\s*substringof\(\s*'([^']*)'\s*,\s*(name|resourceGroup)\s*\)\s*", re.IGNORECASE)
_TAG_PREFIX = re.compile(r"\s*startswith\(\s*tagName\s*,\s*'([^']*)'\s*\)\s*", re.IGNORECASE)


def filtered(items: list[Json], text: str) -> list[Json]:
    """Return the resources that match a filter. Raises ServiceError 400 for a malformed one."""
    if not text.strip():
        return items
    alternatives = [_all_of(text, part) for part in re.split(r"\sor\s", text, flags=re.IGNORECASE)]
    return [item for item in items if any(holds(item) for holds in alternatives)]


def _all_of(text: str, part: str) -> Holds:
    conditions: list[Holds] = []
    tag: dict[str, str] = {}
    for piece in re.split(r"\sand\s", part, flags=re.IGNORECASE):
        if match := _COMPARED.fullmatch(piece):
            name, operator, value = match[1].lower(), match[2].lower(), match[3]
            if name in {"tagname", "tagvalue"}:
                if operator == "ne":
                    raise _invalid(text)
                tag[name] = value
            else:
                conditions.append(_compares(name, value, equal=operator == "eq"))
        elif match := _CONTAINS.fullmatch(piece):
            conditions.append(_contains(match[2].lower(), match[1]))
        elif match := _TAG_PREFIX.fullmatch(piece):
            conditions.append(_has_tag_like(match[1]))
        else:
            raise _invalid(text)
    if tag:
        conditions.append(_tagged(tag, text))
    return lambda item: all(holds(item) for holds in conditions)


def _value(item: Json, name: str) -> str:
    if name == "resourcegroup":
        return str(item["id"].split("/")[4]) if item["id"].count("/") > 4 else ""
    return str(item.get({"resourcetype": "type"}.get(name, name)) or "")


def _compares(name: str, value: str, *, equal: bool) -> Holds:
    return lambda item: (_value(item, name).lower() == value.lower()) == equal


def _contains(name: str, value: str) -> Holds:
    return lambda item: value.lower() in _value(item, name).lower()


def _has_tag_like(prefix: str) -> Holds:
    return lambda item: any(tag.lower().startswith(prefix.lower()) for tag in item.get("tags") or {})


def _tagged(tag: dict[str, str], text: str) -> Holds:
    if "tagname" not in tag:
        raise _invalid(text)
    name, value = tag["tagname"], tag.get("tagvalue")
    return lambda item: name in (item.get("tags") or {}) and value in (None, item["tags"][name])


def _invalid(text: str) -> ServiceError:
    return ServiceError(
        400,
        "InvalidFilterInQueryString",
        f"Invalid $filter '{text}' specified in the query string. localcloud knows resourceType, name, location, "
        "resourceGroup, tagName and tagValue with eq (the first four with ne), substringof of name and resourceGroup, "
        "startswith of tagName, and and or.",
    )
