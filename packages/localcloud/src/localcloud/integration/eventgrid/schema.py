"""Events in Event Grid's own schema.

Source: learn.microsoft.com/azure/event-grid/event-schema-blob-storage (tab "Event Grid event schema") and
learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema.
"""

from __future__ import annotations

import itertools
import uuid

from localcloud.core.blob_events import BlobCreated
from localcloud.core.json import Json
from localcloud.core.resource import now

BLOB_CREATED = "Microsoft.Storage.BlobCreated"
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_SEQUENCE = itertools.count(uuid.uuid4().int >> 72)


def blob_created(event: BlobCreated) -> Json:
    """Return the event of a created blob, as the topic publishes it."""
    data: Json = {"api": event.api}
    if event.client_request_id is not None:
        data["clientRequestId"] = event.client_request_id
    data |= {
        "requestId": event.request_id,
        "eTag": event.etag,
        "contentType": event.content_type,
        "contentLength": event.content_length,
        "blobType": event.blob_type,
        "url": event.url,
        "sequencer": f"{next(_SEQUENCE):032X}",
        "storageDiagnostics": {"batchId": str(uuid.uuid4())},
    }
    if event.lake:
        data["contentOffset"] = 0 if event.api == "CreateFile" else event.content_length
    return {
        "topic": event.account_id,
        "subject": f"/blobServices/default/containers/{event.container}/blobs/{event.blob}",
        "eventType": BLOB_CREATED,
        "id": str(uuid.uuid4()),
        "data": data,
        "dataVersion": "2" if event.lake else "",
        "metadataVersion": "1",
        "eventTime": event.time,
    }


def validation(topic_id: str, code: str) -> Json:
    """Return the event by which an endpoint proves itself."""
    return {
        "id": str(uuid.uuid4()),
        "topic": topic_id,
        "subject": "",
        "data": {"validationCode": code},
        "eventType": VALIDATION,
        "eventTime": now(),
        "metadataVersion": "1",
        "dataVersion": "1",
    }
