"""Operations that are on no resource of the store: the first route that fits a path is its route."""

from __future__ import annotations

from typing import Any

import pytest
from localcloud.arm.resource_types import ProviderRoute, ResourceTypes

_HOME = "/subscriptions/1/resourceGroups/g/providers/Microsoft.A/homes/h"


async def _handler(*_: Any) -> None: ...


def _route(template: str) -> ProviderRoute:
    return ProviderRoute(method="GET", template=template, permission=None, handler=_handler)


_SPECIAL = _route("{home...}/parts/special")
_PARTS = _route("{home...}/parts/{part}")
_NAMES = _route("/subscriptions/{subscription}/providers/Microsoft.A/checkNameAvailability")


@pytest.mark.parametrize(
    ("path", "route", "parameters"),
    [
        (f"{_HOME}/parts/special", _SPECIAL, {"home": _HOME}),
        (f"{_HOME}/PARTS/Special", _SPECIAL, {"home": _HOME}),
        (f"{_HOME}/parts/other", _PARTS, {"home": _HOME, "part": "other"}),
        ("/parts/other/", _PARTS, {"home": "", "part": "other"}),
        ("/Subscriptions/1/providers/microsoft.a/CheckNameAvailability", _NAMES, {"subscription": "1"}),
    ],
)
def test_a_path_has_the_first_route_that_fits_in_any_letter_case(
    path: str, route: ProviderRoute, parameters: dict[str, str]
) -> None:
    types = ResourceTypes()
    types.register_routes(_SPECIAL, _PARTS, _NAMES)
    assert types.match_route("get", path) == (route, parameters)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", f"{_HOME}/parts/special"), ("GET", _HOME), ("GET", f"{_HOME}/parts/other/more")]
)
def test_a_path_that_fits_none_has_no_route(method: str, path: str) -> None:
    types = ResourceTypes()
    types.register_routes(_SPECIAL, _PARTS, _NAMES)
    assert types.match_route(method, path) is None
