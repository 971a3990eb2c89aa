"""GET, POST and DELETE /_localcloud/clock on localhost: read, set and reset the clock of schedules.

POST takes {"now": "2027-01-04T03:15:00Z"}. Like faults it is the deployer's alone, with a token for Resource Manager.
Only schedules use this clock: tokens, signatures and stamps use the machine's time.
"""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localcloud.core.clock import Clock
from localcloud.core.errors import ServiceError
from localcloud.core.local_routes import details_of, read_model
from localcloud.gateway.deployer import DeployerCheck


class Setting(BaseModel):
    """The time that it shall be."""

    model_config = ConfigDict(extra="forbid")

    now: AwareDatetime


class ClockRoute:
    """/_localcloud/clock."""

    def __init__(self, clock: Clock, check: DeployerCheck) -> None:
        self._clock, self._check = clock, check

    async def answer(self, request: Request) -> Response:
        try:
            self._check(request.headers.get("authorization"))
            if request.method == "POST":
                self._clock.set((await read_model(request, Setting)).now)
            elif request.method == "DELETE":
                self._clock.set(None)
        except ServiceError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.status)
        except ValidationError as error:
            return JSONResponse(
                {"error": {"code": "InvalidTime", "message": str(error), "details": details_of(error)}}, 400
            )
        return JSONResponse(
            {"now": self._clock.now().isoformat(), "offset_seconds": self._clock.offset.total_seconds()}
        )
