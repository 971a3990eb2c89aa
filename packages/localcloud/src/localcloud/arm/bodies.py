"""The form of request bodies, and the conditions If-Match and If-None-Match: checked before a type's own rules."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json

T = TypeVar("T")

_FORMS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "location": (str, "string"),
    "kind": (str, "string"),
    "managedBy": (str, "string"),
    "tags": (dict, "object"),
    "properties": (dict, "object"),
    "identity": (dict, "object"),
    "sku": (dict, "object"),
    "plan": (dict, "object"),
}
_RESERVED_IN_TAGS = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")
_log = logging.getLogger("localcloud.arm")


def invalid_content(reason: str) -> ServiceError:
    return ServiceError(
        400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{reason}'."
    )


def check_form(body: Json) -> None:
    """Check the envelope. Raises ServiceError 400 InvalidRequestContent for a field of another JSON type."""
    for name, (kind, type_name) in _FORMS.items():
        value = body.get(name)
        if value is not None and not isinstance(value, kind):
            raise invalid_content(f"Error converting value {value!r:.80} to type '{type_name}'. Path '{name}'.")


def readable(type_: str, read: Callable[[], T]) -> T:
    """Return the result of `read`. Raises ServiceError 400 where the inner form of the body is not the type's.

    Types read their properties in the specification's form; a list where an object belongs shows as one of these
    errors. The log has the place, in case of a mistake of localcloud's own.
    """
    try:
        return read()
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        _log.warning("the body of a %s could not be read", type_, exc_info=True)
        raise invalid_content(f"The body is not one of a {type_}: {error!r:.200}") from error


def check_conditions(headers: Mapping[str, str], etag: str | None, *, exists: bool) -> None:
    """Check If-Match and If-None-Match against an etag, if any. Raises ServiceError 412 PreconditionFailed."""
    if_match, unwanted = headers.get("if-match", "").strip(), headers.get("if-none-match", "").strip()
    if if_match and not (exists and (if_match == "*" or _opaque(if_match) == _opaque(etag))):
        raise _failed("If-Match", if_match, etag)
    if unwanted and exists and (unwanted == "*" or _opaque(unwanted) == _opaque(etag)):
        raise _failed("If-None-Match", unwanted, etag)


def _opaque(etag: str | None) -> str:
    return str(etag).removeprefix("W/").strip('"')


def _failed(header: str, value: str, etag: str | None) -> ServiceError:
    actual = "does not exist" if etag is None else f"has etag {etag}"
    return ServiceError(
        412, "PreconditionFailed", f"The condition '{value}' in the {header} header was not satisfied: it {actual}."
    )


def check_tags(tags: Mapping[str, Any]) -> None:
    """Check for 50 tags at most, names of 512 characters, values of 256 (learn.microsoft.com, tag-resources)."""
    if len(tags) > 50:
        raise ServiceError(
            400, "InvalidTagCount", f"The resource has {len(tags)} tags. The maximum number of tags allowed is '50'."
        )
    reserved = [name for name in tags if _RESERVED_IN_TAGS.search(name)]
    if reserved:
        raise ServiceError(
            400,
            "InvalidTagNameCharacters",
            f"The tag names '{', '.join(reserved)}' have reserved characters '<,>,%,&,\\,?,/' or control characters.",
        )
    for name, value in tags.items():
        if len(name) > 512 or not isinstance(value, str) or len(value) > 256:
            raise ServiceError(
                400,
                "InvalidTagNameOrValue",
                f"Tag '{name[:80]}' is invalid: names have at most 512 characters, values are text of at most 256.",
            )
