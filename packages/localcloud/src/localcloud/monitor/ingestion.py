"""/v2.1/track and /v2/track of REGION-N.in.applicationinsights.azure.com: telemetry, and the right to send it.

The texts of 400, 401 and 403 are the service's (microsoft/ApplicationInsights-dotnet,
AuthenticationTransmissionPolicy; learn.microsoft.com/azure/azure-monitor/app/azure-ad-authentication,
troubleshooting). Azure has them in the status line; the body here has its form of an error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from localcloud.arm.wire import JsonResponse
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.streams import whole_body
from localcloud.monitor import envelopes
from localcloud.monitor.envelopes import ItemError
from localcloud.monitor.metric_store import MetricStore, Sample

COMPONENT = "Microsoft.Insights/components"
_AUDIENCES = frozenset({"https://monitor.azure.com", "https://monitor.azure.com/"})
_ACTION = "Microsoft.Insights/Telemetry/Write"
_UNSIGNED = "Unauthorized - please provide the valid authorization token"
_FORBIDDEN = "Forbidden - provided credentials do not grant the access to ingest the telemetry into the component"
_NO_SIGN_IN = "Incorrect API was used - v2 API does not support authentication"


class Ingestion:
    """Takes telemetry and keeps its metrics."""

    def __init__(self, ctx: Context, store: MetricStore) -> None:
        self._ctx, self._store = ctx, store

    def routes(self) -> list[BaseRoute]:
        """Return the paths. The exporter appends them to an address that ends in a slash: //v2.1/track."""
        return [
            Route(f"{slash}/{version}/track", self.answer, methods=["POST"])
            for slash in ("", "/")
            for version in ("v2", "v2.1")
        ]

    async def answer(self, request: Request) -> Response:
        try:
            content = await whole_body(request, envelopes.LARGEST, envelopes.too_large())
            items = envelopes.items_of(content, request.headers.get("content-encoding", ""))
        except ServiceError as error:
            return JsonResponse(_body(0, 0, [_error(0, error.status, error.message)]), error.status)
        return self._take(request, items)

    def _take(self, request: Request, items: list[Any]) -> Response:
        now = datetime.now(UTC)
        caller = _Caller(self._ctx, request)
        samples: dict[str, list[Sample]] = {}
        components: dict[str, Resource] = {}
        errors: list[Json] = []
        for index, item in enumerate(items):
            try:
                key = envelopes.instrumentation_key(item)
                if key not in components:
                    components[key] = caller.component(key)
                samples.setdefault(key, []).append(envelopes.sample_of(item, now))
            except ItemError as error:
                errors.append(_error(index, error.status, error.message))
        for key, sent in samples.items():
            self._keep(components[key], key, sent)
        accepted = len(items) - len(errors)
        # ENDPOINT-PROTOCOL.md of microsoft/ApplicationInsights-Home: 206 where some of several items are accepted.
        status = 200 if not errors else 206 if accepted else errors[0]["statusCode"]
        return JsonResponse(_body(len(items), accepted, errors), status)

    def _keep(self, component: Resource, key: str, sent: list[Sample]) -> None:
        """Keep samples by localcloud's clock, which tests move; a client's is the machine's."""
        clock = self._ctx.clock
        moved = [
            Sample(
                sample.name, sample.time + clock.offset, sample.total, sample.count, sample.minimum, sample.maximum,
                sample.dimensions,
            )
            for sample in sent
        ]  # fmt: skip
        with_dimensions = component.properties.get("CustomMetricsOptedInType") == "WithDimensions"
        self._store.add(key, moved, with_dimensions=with_dimensions, now=clock.now())


class _Caller:
    """Sender of a request, and the components to which it may send."""

    def __init__(self, ctx: Context, request: Request) -> None:
        self._ctx = ctx
        self._signs_in = request.url.path.endswith("/v2.1/track")
        self._authorization = request.headers.get("authorization")
        self._host = request.headers.get("host", "").split(":")[0].lower()

    def component(self, key: str) -> Resource:
        """Return the component of an instrumentation key. Raises ItemError where the caller may not send to it."""
        component = next(
            (
                resource
                for resource in self._ctx.resources.list(COMPONENT)
                if str(resource.properties.get("InstrumentationKey", "")).lower() == key
            ),
            None,
        )
        if component is None:
            raise ItemError(400, "Invalid instrumentation key")
        if f"https://{self._host}/" not in str(component.properties["ConnectionString"]):
            raise ItemError(
                404, "Ingestion is allowed only from stamp specific endpoint - must update connection string"
            )
        if component.properties["publicNetworkAccessForIngestion"] == "Disabled":
            raise ItemError(403, f"{_FORBIDDEN}: publicNetworkAccessForIngestion is Disabled")
        needs_entra = component.properties.get("DisableLocalAuth") is True
        if not self._signs_in:
            if needs_entra:
                raise ItemError(400, _NO_SIGN_IN)
            return component
        if self._authorization is None and not needs_entra:
            return component
        if not self._ctx.authorizer.allows(self._principal(), _ACTION, component.id, data=True):
            raise ItemError(403, _FORBIDDEN)
        return component

    def _principal(self) -> Principal:
        try:
            return self._ctx.identities.authenticate(self._authorization, _AUDIENCES)
        except ServiceError as error:
            raise ItemError(401, _UNSIGNED) from error


def _body(received: int, accepted: int, errors: list[Json]) -> Json:
    return {"itemsReceived": received, "itemsAccepted": accepted, "appId": None, "errors": errors}


def _error(index: int, status: int, message: str) -> Json:
    return {"index": index, "statusCode": status, "message": message}
