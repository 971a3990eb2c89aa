"""User delegation keys: the answer of `Get User Delegation Key`, and SAS that localcloud's own services hand out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response

from localcloud.core.context import Principal
from localcloud.core.errors import ServiceError
from localcloud.core.settings import TENANT_ID
from localcloud.core.streams import whole_body
from localcloud.storage import errors
from localcloud.storage.azurite_accounts import StorageFabric
from localcloud.storage.delegation_keys import KEY_VERSION, key_value

_LONGEST = timedelta(days=7)
_LARGEST = 64 * 1024


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad_value(text) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _bad_value(text: str) -> ServiceError:
    """Azure's words do not name the fault of the time (Azure/azure-sdk-for-net#45789)."""
    return ServiceError(
        400,
        "InvalidXmlNodeValue",
        f"The value for one of the XML nodes is not in the correct format: {text}. A key holds from Start to Expiry, "
        "at most seven days from now.",
    )


async def key_response(fabric: StorageFabric, principal: Principal, request: Request) -> Response:
    """POST /?restype=service&comp=userdelegationkey.

    Raises ServiceError 400 when Expiry is missing, a time is none, or the key would hold for more than seven days.
    """
    body = (await whole_body(request, _LARGEST, errors.body_too_large())).decode("utf-8", "replace")
    times = {name: re.search(rf"<{name}>([^<]+)</{name}>", body) for name in ("Start", "Expiry")}
    start, expiry = times["Start"], times["Expiry"]
    if expiry is None:
        raise ServiceError(
            400, "InvalidXmlDocument", "XML specified is not syntactically valid: KeyInfo has no Expiry."
        )
    begin = start[1] if start is not None else expiry[1]
    if not _moment(begin) <= _moment(expiry[1]) <= datetime.now(UTC) + _LONGEST:
        raise _bad_value(expiry[1])
    value = key_value(fabric.secret, principal.object_id, begin, expiry[1], KEY_VERSION)
    fields = {
        "SignedOid": principal.object_id,
        "SignedTid": TENANT_ID,
        "SignedStart": begin,
        "SignedExpiry": expiry[1],
        "SignedService": "b",
        "SignedVersion": KEY_VERSION,
        "Value": value,
    }
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
    return Response(
        f'<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>{inner}</UserDelegationKey>',
        media_type="application/xml",
        headers={"x-ms-version": KEY_VERSION},
    )
