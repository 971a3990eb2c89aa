"""Comparison of a request's api-version with localcloud's versions."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FORM = re.compile(r"(\d{4}-\d{2}-\d{2})(-[a-z]+(\.\d+)?)?", re.IGNORECASE)


def is_supported(version: str, known: Sequence[str]) -> bool:
    """Return whether a request with `version` is answered; a service without listed versions answers all.

    A version newer than all known ones is answered as the newest: clients send versions that are newer than this table
    (azure-cli 2.91 sends 2026-09-01-preview to Container Registry).
    """
    if not known or version.lower() in known:
        return True
    match = _FORM.fullmatch(version)
    return match is not None and match[1] > max(name[:10] for name in known)
