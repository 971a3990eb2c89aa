"""Addresses in Azure Data Lake Storage: abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from localcloud.core.json import Json
from localcloud.databricks.unity import errors
from localcloud.databricks.unity.securables import CATALOG, EXTERNAL_LOCATION, SCHEMA
from localcloud.databricks.unity.session import Session

_URL = re.compile(
    r"abfss://(?P<container>[a-z0-9$](?:[a-z0-9-]{1,61}[a-z0-9])?)@(?P<account>[a-z0-9]{3,24})"
    r"\.dfs\.core\.windows\.net(?P<path>/[^?#]*)?"
)


@dataclass(frozen=True)
class Url:
    """An address. `path` begins with a slash, and ends with one only at the container's root."""

    account: str
    container: str
    path: str

    def __str__(self) -> str:
        return f"abfss://{self.container}@{self.account}.dfs.core.windows.net{self.path}"

    def holds(self, other: Url) -> bool:
        """Whether `other` is this place or below it."""
        below = self.path.rstrip("/") + "/"
        same = (self.account, self.container) == (other.account, other.container)
        return same and (other.path.rstrip("/") + "/").startswith(below)

    def overlaps(self, other: Url) -> bool:
        return self.holds(other) or other.holds(self)


def parse(text: str) -> Url:
    """Raise INVALID_PARAMETER_VALUE."""
    if "://" not in text:
        raise errors.invalid("Missing cloud file system scheme")
    match = _URL.fullmatch(text)
    if match is None:
        raise errors.invalid(
            f"Input path url '{text}' is not a path of Azure Data Lake Storage: use"
            " abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH"
        )
    path = "/" + "/".join(part for part in (match["path"] or "").split("/") if part)
    return Url(match["account"], match["container"], path)


def location_of(session: Session, url: Url) -> Json | None:
    """Return the external location that holds the url; there is at most one, since they may not overlap."""
    return next((location for location in session.all(EXTERNAL_LOCATION) if parse(location["url"]).holds(url)), None)


def refuse_overlap(session: Session, url: Url, own: str, call: str) -> None:
    """Raise LOCATION_OVERLAP where the url is, contains or is inside of another location than `own`."""
    for other in session.all(EXTERNAL_LOCATION):
        if other["name"] != own and parse(other["url"]).overlaps(url):
            conflict = f" Conflicting location: {other['name']}."
            raise errors.overlap(str(url), call, "an existing external location", conflict)


def managed(session: Session) -> Iterable[Url]:
    """Yield the managed storage of catalogs and schemas."""
    for securable in (CATALOG, SCHEMA):
        for document in session.all(securable):
            if document.get("storage_location"):
                yield parse(document["storage_location"])
