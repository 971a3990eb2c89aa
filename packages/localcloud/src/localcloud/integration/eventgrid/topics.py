"""Microsoft.EventGrid/systemTopics of storage accounts, and their eventSubscriptions.

Source: azure-rest-api-specs, Microsoft.EventGrid (SystemTopics, SystemTopicEventSubscriptions), and
pulumi_azure_native.eventgrid, whose default is 2025-02-15. Names: the validators of terraform-provider-azurerm. The
refusals of a second topic and of another source: Azure/arm-template-whatif#424, MicrosoftDocs/azure-docs#97986 and
Azure/azure-quickstart-templates#13688.
"""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.integration.eventgrid import filters
from localcloud.integration.eventgrid.delivery import ENDPOINT, SUBSCRIPTION, TOPIC, Delivery
from localcloud.integration.eventgrid.filters import invalid

_VERSIONS = (
    "2021-12-01", "2022-06-15", "2023-06-01-preview", "2023-12-15-preview", "2024-06-01-preview", "2024-12-15-preview",
    "2025-02-15", "2025-04-01-preview", "2025-07-15-preview", "2025-11-15-preview",
)  # fmt: skip
_TOPIC_TYPE, _ACCOUNT = "Microsoft.Storage.StorageAccounts", "Microsoft.Storage/storageAccounts"
_KINDS = frozenset({"StorageV2", "BlockBlobStorage", "BlobStorage"})
_MOST_ATTEMPTS, _LONGEST_MINUTES = 30, 1440
_MOST_EVENTS, _MOST_KILOBYTES = 5000, 1024
_NOT_HERE = (
    "deadLetterDestination",
    "deadLetterWithResourceIdentity",
    "deliveryWithResourceIdentity",
    "expirationTimeUtc",
)


def register(ctx: Context, delivery: Delivery) -> None:
    """Register the types."""
    hooks = _Hooks(delivery)
    ctx.types.register(
        ResourceType(
            type=TOPIC,
            api_versions=_VERSIONS,
            name=_name("system topic", 50),
            tracked=True,
            required=("properties.source", "properties.topicType"),
            complete=_complete_topic,
            on_delete=hooks.delete_topic,
            long_running=frozenset({"put", "delete"}),
            patchable=False,
            note="of storage accounts, which report created blobs alone",
        ),
        ResourceType(
            type=SUBSCRIPTION,
            api_versions=_VERSIONS,
            name=_name("event subscription", 64),
            required=("properties.destination",),
            write_only=(ENDPOINT,),
            complete=_complete_subscription,
            on_put=hooks.put,
            on_delete=hooks.delete,
            actions={"getFullUrl": hooks.full_url},
            long_running=frozenset({"put", "delete"}),
            patchable=False,
            note="webhooks that answer the handshake at once; retries, batches; no dead-lettering",
        ),
    )


def _name(kind: str, longest: int) -> NameRule:
    return NameRule(
        rf"[-a-zA-Z0-9]{{3,{longest}}}",
        f"The {kind} name '{{name}}' is invalid: it must be 3 to {longest} letters, digits and hyphens.",
        "InvalidRequest",
    )


def _complete_topic(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    source, topic_type = str(properties["source"]), str(properties["topicType"])
    if existing is not None and source.lower() != str(existing.properties["source"]).lower():
        raise invalid("System topic source cannot be modified.")
    if topic_type.lower() != _TOPIC_TYPE.lower():
        raise not_emulated(f"system topics of the type {topic_type}")
    account = ctx.resources.get(source)
    if account is None or account.type.lower() != _ACCOUNT.lower():
        raise invalid(f"The source '{source}' of the system topic '{resource.name}' was not found.")
    if account.kind not in _KINDS:
        raise invalid(f"The storage account '{account.name}' is of kind {account.kind}, which has no events.")
    if (account.location or "").lower() != (resource.location or "").lower():
        raise invalid(
            f"The location '{resource.location}' of the system topic '{resource.name}' is not that of its source, "
            f"'{account.location}'."
        )
    for other in ctx.resources.list(TOPIC):
        if other.id.lower() != resource.id.lower() and str(other.properties["source"]).lower() == source.lower():
            raise invalid(
                f"There is an existing tracked system topic for the given source {source}. Only one system topic is "
                "allowed per source."
            )
    kept = None if existing is None else existing.properties.get("metricResourceId")
    properties["topicType"] = _TOPIC_TYPE
    properties["metricResourceId"] = kept or str(uuid.uuid4())


def _complete_subscription(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    for name in _NOT_HERE:
        if properties.get(name) is not None:
            raise not_emulated(f"event subscriptions with {name}")
    schema = properties.setdefault("eventDeliverySchema", "EventGridSchema")
    if schema != "EventGridSchema":
        raise not_emulated(f"event subscriptions with the eventDeliverySchema {schema}")
    properties["topic"] = resource.id.rsplit("/eventSubscriptions/", 1)[0]
    properties["filter"] = filters.complete(properties.get("filter"))
    properties["labels"] = list(properties.get("labels") or [])
    policy = dict(properties.get("retryPolicy") or {})
    properties["retryPolicy"] = {
        "maxDeliveryAttempts": _number(policy, "maxDeliveryAttempts", _MOST_ATTEMPTS, _MOST_ATTEMPTS),
        "eventTimeToLiveInMinutes": _number(policy, "eventTimeToLiveInMinutes", _LONGEST_MINUTES, _LONGEST_MINUTES),
    }
    properties["destination"] = _destination(resource, properties["destination"])


def _destination(resource: Resource, destination: Json) -> Json:
    """Return the public part of the destination: the address without its path and query, which hold secrets."""
    kind = destination.get("endpointType")
    if kind != "WebHook":
        raise not_emulated(f"event subscriptions with the endpointType {kind}")
    own = dict(destination.get("properties") or {})
    for name in ("azureActiveDirectoryTenantId", "azureActiveDirectoryApplicationIdOrUri", "deliveryAttributeMappings"):
        if own.get(name):
            raise not_emulated(f"webhooks of event subscriptions with {name}")
    url = str((resource.private.get("writeOnly") or {}).get(ENDPOINT, ""))
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise invalid(f"The endpointUrl of the event subscription '{resource.name}' is not an https address.")
    return {
        "endpointType": "WebHook",
        "properties": {
            "endpointBaseUrl": f"https://{parts.netloc}{parts.path}",
            "maxEventsPerBatch": _number(own, "maxEventsPerBatch", 1, _MOST_EVENTS),
            "preferredBatchSizeInKilobytes": _number(own, "preferredBatchSizeInKilobytes", 64, _MOST_KILOBYTES),
        },
    }


def _number(section: Json, name: str, default: int, most: int) -> int:
    value = section.get(name, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise invalid(f"The value {value!r:.40} of {name} is not valid: it must be an integer from 1 to {most}.")
    return value


class _Hooks:
    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    async def put(self, ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
        """Let the endpoint prove itself, each time that it is written."""
        await self._delivery.validate(resource)

    async def delete(self, ctx: Context, resource: Resource, call: Call) -> None:
        self._delivery.forget(resource.id)

    async def delete_topic(self, ctx: Context, resource: Resource, call: Call) -> None:
        for subscription in ctx.resources.children(resource.id, SUBSCRIPTION):
            self._delivery.forget(subscription.id)

    async def full_url(self, ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
        return {"endpointUrl": resource.private["writeOnly"][ENDPOINT]}
