"""The checks of privileges: owners, MANAGE, grants, and inheritance from catalogs and schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from localcloud.core.json import Json
from localcloud.databricks.unity import errors
from localcloud.databricks.unity.securables import ALL, NOT_IN_ALL, Securable, chain
from localcloud.databricks.unity.session import Session


def holds(session: Session, securable: Securable, name: str, privilege: str) -> bool:
    """Whether the caller has the privilege: on the object, on one above it, or as the owner of either."""
    return any(
        _held(session, above, full_name, lambda privileges: _covers(privileges, privilege))
        for above, full_name in chain(securable, name)
    )


def manages(session: Session, securable: Securable, name: str) -> bool:
    """Whether the caller owns the object or one above it, or has MANAGE there."""
    return holds(session, securable, name, "MANAGE")


def sees(session: Session, securable: Securable, name: str) -> bool:
    """Whether the caller can see the object: by the privilege for that, or by any."""
    own = [securable.use] if securable.use else sorted(securable.privileges)
    return manages(session, securable, name) or any(holds(session, securable, name, privilege) for privilege in own)


def require(session: Session, securable: Securable, name: str, privilege: str) -> None:
    """Raise PERMISSION_DENIED that names the privilege; the objects above must be open to the caller first."""
    enter(session, securable, name)
    if not holds(session, securable, name, privilege):
        raise errors.lacks(privilege, securable, name)


def enter(session: Session, securable: Securable, name: str) -> None:
    """Raise PERMISSION_DENIED for the first catalog or schema above that is closed to the caller."""
    for above, full_name in _closed(session, securable, name):
        raise errors.lacks(above.use, above, full_name)


def require_sight(session: Session, securable: Securable, name: str) -> None:
    enter(session, securable, name)
    if not sees(session, securable, name):
        raise errors.lacks(securable.use or "BROWSE", securable, name)


def only_browses(session: Session, securable: Securable, name: str) -> bool:
    """Whether the caller sees the object by BROWSE alone: include_browse shows it a part of the object."""
    sight = sees(session, securable, name) and not any(_closed(session, securable, name))
    return not sight and holds(session, securable, name, "BROWSE")


def require_owner(session: Session, securable: Securable, name: str) -> None:
    """Raise PERMISSION_DENIED for callers that neither own the object or one above it nor have MANAGE."""
    if not manages(session, securable, name):
        raise errors.not_owner(securable, name)


def _closed(session: Session, securable: Securable, name: str) -> Iterator[tuple[Securable, str]]:
    """Yield the catalog and schema above that the caller may not use, from the top."""
    for above, full_name in reversed(chain(securable, name)[1:]):
        if not (holds(session, above, full_name, above.use) or manages(session, above, full_name)):
            yield above, full_name


def _held(session: Session, securable: Securable, name: str, suffices: Callable[[list[str]], bool]) -> bool:
    document: Json | None = session.find(securable, name)
    if document is not None and document["owner"] in session.names:
        return True
    grants = session.grants(securable, name)
    return any(suffices(grants[principal]) for principal in session.names & grants.keys())


def _covers(privileges: list[str], privilege: str) -> bool:
    return privilege in privileges or (ALL in privileges and privilege not in NOT_IN_ALL)
