"""The time until a role assignment has effect: it is listed at once, and authorizes nothing before.

On Azure it is up to ten minutes (learn.microsoft.com/azure/role-based-access-control/troubleshooting, "Role assignment
changes are not being detected"; Azure/azure-rest-api-specs#9467, Azure/bicep#16601). Here it is zero, unless
LOCALCLOUD_ROLE_SECONDS or a POST of {"seconds": 20} to /_localcloud/role-propagation on localhost, with an ARM token,
sets another one. GET shows it. The assignments of localcloud's own deployer, which on Azure are old, have effect at
once.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localcloud.core.errors import ConfigurationError, ServiceError
from localcloud.core.local_routes import details_of, read_model

if TYPE_CHECKING:
    from localcloud.core.context import Context

PATH = "/_localcloud/role-propagation"
VARIABLE = "LOCALCLOUD_ROLE_SECONDS"
ASSIGNED = "assignedAt"
"""Field of an assignment's private part: its time of creation, in seconds since 1970."""


class Change(BaseModel):
    """A new number of seconds."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(ge=0, le=1800)


class Propagation:
    """Raises ConfigurationError when LOCALCLOUD_ROLE_SECONDS is no number of seconds."""

    def __init__(self) -> None:
        text = os.environ.get(VARIABLE) or "0"
        try:
            self.seconds = Change.model_validate({"seconds": text}).seconds
        except ValidationError as error:
            raise ConfigurationError(f"{VARIABLE} is {text!r}: give seconds, 0 to 1800, such as 30.") from error

    def has_effect(self, assigned: float) -> bool:
        """Return whether an assignment of that time has effect by now."""
        return assigned + self.seconds <= time.time()


class PropagationRoute:
    """The route's handler."""

    def __init__(self, ctx: Context, propagation: Propagation, audiences: frozenset[str]) -> None:
        self._ctx, self._propagation, self._audiences = ctx, propagation, audiences

    async def answer(self, request: Request) -> Response:
        try:
            self._ctx.identities.authenticate(request.headers.get("authorization"), self._audiences)
            if request.method == "POST":
                self._propagation.seconds = (await read_model(request, Change)).seconds
        except ServiceError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.status)
        except ValidationError as error:
            return JSONResponse(
                {"error": {"code": "InvalidSeconds", "message": str(error), "details": details_of(error)}}, 400
            )
        return JSONResponse({"seconds": self._propagation.seconds})
