"""Requests to https://prod-NN.REGION.logic.azure.com: a workflow's trigger, and the outputs of a run's actions.

The handshake of Event Grid is answered before the workflow sees it, as the Consumption plan does (techcommunity.
microsoft.com, "Using Single Tenant Logic App Workflow Endpoint as Event Grid Subscription").

Source of the refusals: MicrosoftDocs/azure-docs#60706 (no signature), Azure/logicapps#624 (no api-version), #169 (parts
of the signature), #1157 (two ways to sign in), and learn.microsoft.com "Error code WorkflowTriggerIsNotEnabled on Power
Automate flow run", whose flows run on Logic Apps. No source was found for the text of a wrong signature's refusal.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import parsed
from localcloud.core.resource import Resource
from localcloud.core.streams import whole_body
from localcloud.integration.logic import definitions, signatures
from localcloud.integration.logic.run_store import WORKFLOW, RunStore
from localcloud.integration.logic.runner import Runner

_LARGEST = 100 * 1024 * 1024
"""learn.microsoft.com/azure/logic-apps/logic-apps-limits-and-config, "Messages"."""
_VALIDATION = "SubscriptionValidation"


class Callbacks:
    """Handlers of the routes."""

    def __init__(self, ctx: Context, store: RunStore, runner: Runner) -> None:
        self._ctx, self._store, self._runner = ctx, store, runner

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the host."""
        return [
            Route("/workflows/{guid}/triggers/{trigger}/paths/invoke", self.invoke, methods=["POST"]),
            Route(
                "/workflows/{guid}/runs/{run}/actions/{action}/contents/ActionOutputs", self.outputs, methods=["GET"]
            ),
        ]

    async def invoke(self, request: Request) -> Response:
        """Start a run: 202, since no workflow has a Response action."""
        try:
            workflow = self._workflow(request)
            trigger = request.path_params["trigger"]
            _check_one_scheme(request)
            _check(request, workflow, f"/triggers/{trigger}/run")
            if definitions.parse(workflow.properties["definition"]).trigger.name != trigger:
                raise ServiceError(
                    404, "WorkflowTriggerNotFound",
                    f"The workflow '{workflow.name}' trigger '{trigger}' could not be found.",
                )  # fmt: skip
            body = _body(await whole_body(request, _LARGEST, _too_large()))
            if request.headers.get("aeg-event-type") == _VALIDATION:
                return JSONResponse({"validationResponse": body[0]["data"]["validationCode"]})
            if workflow.properties["state"] != "Enabled":
                raise ServiceError(
                    400, "WorkflowTriggerIsNotEnabled",
                    f"Could not execute workflow '{request.path_params['guid']}' trigger '{trigger}' with state "
                    f"'{workflow.properties['state']}': trigger is not enabled.",
                )  # fmt: skip
            run = self._runner.submit(workflow, body, request.headers.get("x-ms-client-tracking-id"))
        except ServiceError as error:
            return _refusal(error)
        headers = {"x-ms-workflow-run-id": run, "x-ms-workflow-name": workflow.name, "x-ms-trigger-type": "http"}
        return Response(status_code=202, headers=headers)

    async def outputs(self, request: Request) -> Response:
        """Return an action's outputs: status, headers and body."""
        run, action = request.path_params["run"], request.path_params["action"]
        try:
            workflow = self._workflow(request)
            _check(request, workflow, f"/runs/{run}/actions/{action}/contents/ActionOutputs/read")
        except ServiceError as error:
            return _refusal(error)
        for kept in self._store.actions(run):
            if kept["name"] == action and kept["outputs"] is not None:
                return JSONResponse(json.loads(kept["outputs"]))
        return _refusal(ServiceError(404, "WorkflowRunActionNotFound", f"The action '{action}' has no outputs."))

    def _workflow(self, request: Request) -> Resource:
        guid = request.path_params["guid"]
        host = request.headers.get("host", "").split(":")[0].lower()
        for workflow in self._ctx.resources.list(WORKFLOW):
            if workflow.private.get("guid") == guid and signatures.host(workflow) == host:
                return workflow
        raise ServiceError(404, "WorkflowNotFound", f"The workflow '{guid}' could not be found.")


def _check_one_scheme(request: Request) -> None:
    """Refuse a call of a signed address with an Authorization header."""
    scheme = request.headers.get("authorization", "").partition(" ")[0]
    if scheme and "sig" in request.query_params:
        raise ServiceError(
            400,
            "DirectApiRequestHasMoreThanOneAuthorization",
            f"The request has SAS authentication scheme, '{scheme}' authorization scheme or internal token scheme. "
            "Only one scheme should be used.",
        )


def _check(request: Request, workflow: Resource, permission: str) -> None:
    """Check the signature of an address. Raises ServiceError 400 and 401."""
    query = request.query_params
    if not query.get("api-version"):
        raise ServiceError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if "sig" not in query:
        raise ServiceError(
            401,
            "DirectApiAuthorizationRequired",
            "The request must be authenticated only by Shared Access scheme.",
        )
    if not query.keys() >= {"sp", "sv"}:
        raise ServiceError(
            401,
            "AuthorizationFailed",
            "Required parameters for shared access URL are permissions ('sp'), version ('sv'), and signature ('sig').",
        )
    if query["sp"] != permission or not signatures.is_signed(workflow, permission, query["sv"], query["sig"]):
        raise ServiceError(401, "AuthorizationFailed", "The authentication credentials are not valid.")


def _body(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return parsed(raw)
    except ValueError as error:
        raise ServiceError(400, "InvalidRequestContent", f"The request content is not valid JSON: {error}.") from error


def _too_large() -> ServiceError:
    return ServiceError(413, "RequestEntityTooLarge", f"The request has more than {_LARGEST} bytes.")


def _refusal(error: ServiceError) -> Response:
    body = {"error": {"code": error.code, "message": error.message}}
    return JSONResponse(body, error.status, dict(error.headers))
