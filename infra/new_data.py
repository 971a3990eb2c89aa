"""Trainings on new data: events of the training account, and a Logic App for each pipeline of `new_data.train`.

A created CSV file below the pipeline's folder starts a run of the Logic App, which waits until no other file comes and
invokes the training endpoint as an identity that may do nothing else. docs/adr/0044 has the choices. The address of
the Logic App's trigger is signed, and allows its holder to start trainings: it is a secret in the state, sealed like
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi.runtime
from pulumi_azure_native import _utilities, eventgrid, logic

from declarations.roles import Grantee, Role, RoleAssigner, RoleScope
from declarations.training_pipelines import additional_pipelines, incoming_folder
from infra.diagnostics import Source
from infra.foundation import Foundation
from infra.naming import Names
from infra.new_data_workflow import TRIGGER, Target, workflow_definition
from infra.placement import Placement
from infra.stack_parts import StackContext
from infra.training_resources import TrainingResources

_COMMITTED = ("PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose")
"""Operations after which a blob is complete: CreateFile of Data Lake Storage has an event, and no content yet
(learn.microsoft.com/azure/event-grid/event-schema-blob-storage, "Data Lake Storage Gen 2 events")."""
_MOST_EVENTS = 100
_CALLBACK_URL = "azure-native:logic:listWorkflowTriggerCallbackUrl"
_UNKNOWN_YET = "https://logic.azure.com/"


@dataclass(frozen=True, kw_only=True)
class NewDataArgs:
    """`endpoints`: names of the training endpoints by pipeline. `depends_on`: the roles of the identity."""

    names: Names
    placement: Placement
    assigner: RoleAssigner
    resource_group_id: pulumi.Input[str]
    account_id: pulumi.Input[str]
    account_name: pulumi.Input[str]
    container_name: pulumi.Input[str]
    endpoints: dict[str, pulumi.Output[str]]
    quiet_seconds: int
    identity: Grantee
    identity_id: pulumi.Input[str]
    depends_on: Sequence[pulumi.Resource]


class NewData(pulumi.ComponentResource):
    """The topic, and a Logic App with its event subscription for each pipeline. `sources` are resources that log."""

    workflow_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: NewDataArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:newdata:NewData", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        topic = eventgrid.SystemTopic(
            f"{name}-topic",
            system_topic_name=args.names.training_events,
            resource_group_name=args.placement.resource_group_name,
            location=args.placement.location,
            source=args.account_id,
            topic_type="Microsoft.Storage.StorageAccounts",
            tags=args.placement.tags,
            opts=self._child,
        )
        workflows = {pipeline: self._workflow(pipeline) for pipeline in args.endpoints}
        for pipeline, workflow in workflows.items():
            self._subscription(pipeline, topic, workflow)
        self.workflow_ids = {pipeline: workflow.id for pipeline, workflow in workflows.items()}
        self.sources = [
            Source(label="training-events", id=topic.id),
            *(Source(label=f"new-data-{pipeline}", id=id_) for pipeline, id_ in self.workflow_ids.items()),
        ]
        self.register_outputs({})

    def _workflow(self, pipeline: str) -> logic.Workflow:
        args, place = self._args, self._args.placement
        subscription = pulumi.Output.from_input(place.subscription_id)
        name = subscription.apply(partial(args.names.new_data_workflow, pipeline=pipeline))
        target = Target(
            pipeline=pipeline,
            invocation_uri=pulumi.Output.concat(
                "https://", args.endpoints[pipeline], ".", place.location, ".inference.ml.azure.com/jobs"
            ),
            workflow_id=pulumi.Output.concat(args.resource_group_id, "/providers/Microsoft.Logic/workflows/", name),
            identity_id=args.identity_id,
            account_name=args.account_name,
            container_name=args.container_name,
            quiet_seconds=args.quiet_seconds,
        )
        return logic.Workflow(
            f"{self._name}-workflow-{pipeline}",
            workflow_name=name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            state=logic.WorkflowState.ENABLED,
            identity=logic.ManagedServiceIdentityArgs(
                type=logic.ManagedServiceIdentityType.USER_ASSIGNED, user_assigned_identities=[args.identity_id]
            ),
            definition=workflow_definition(target),
            tags=place.tags,
            opts=self._child,
        )

    def _subscription(
        self, pipeline: str, topic: eventgrid.SystemTopic, workflow: logic.Workflow
    ) -> eventgrid.SystemTopicEventSubscription:
        """Subscribe a Logic App to the files of a pipeline's folder, once it may do its work."""
        args = self._args
        scope = RoleScope(label=f"new-data-{pipeline}", id=workflow.id)
        reads_runs = args.assigner.assign(self, Role.READER, args.identity, scope)
        blobs = pulumi.Output.concat("/blobServices/default/containers/", args.container_name, "/blobs/")
        folder = incoming_folder(pipeline)
        return eventgrid.SystemTopicEventSubscription(
            f"{self._name}-files-{pipeline}",
            event_subscription_name=workflow.name,
            system_topic_name=topic.name,
            resource_group_name=args.placement.resource_group_name,
            event_delivery_schema=eventgrid.EventDeliverySchema.EVENT_GRID_SCHEMA,
            destination=eventgrid.WebHookEventSubscriptionDestinationArgs(
                endpoint_type="WebHook",
                endpoint_url=self._callback_url(workflow),
                max_events_per_batch=_MOST_EVENTS,
            ),
            filter=eventgrid.EventSubscriptionFilterArgs(
                included_event_types=["Microsoft.Storage.BlobCreated"],
                subject_begins_with=pulumi.Output.concat(blobs, folder),
                subject_ends_with=".csv",
                is_subject_case_sensitive=True,
                advanced_filters=[
                    eventgrid.StringInAdvancedFilterArgs(
                        operator_type="StringIn", key="data.api", values=list(_COMMITTED)
                    ),
                    *self._others(folder, blobs),
                ],
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[reads_runs, *args.depends_on],
            ),
        )

    def _others(self, folder: str, blobs: pulumi.Output[str]) -> list[eventgrid.StringNotBeginsWithAdvancedFilterArgs]:
        """Return the filter that leaves out the folders of other pipelines, which are below the default one's."""
        inside = [other for other in map(incoming_folder, additional_pipelines()) if other != folder]
        below = [pulumi.Output.concat(blobs, other) for other in inside if other.startswith(folder)]
        if not below:
            return []
        return [
            eventgrid.StringNotBeginsWithAdvancedFilterArgs(
                operator_type="StringNotBeginsWith", key="subject", values=below
            )
        ]

    def _callback_url(self, workflow: logic.Workflow) -> pulumi.Output[str]:
        """Return the signed address of a Logic App's trigger, as a secret."""
        address_parts = pulumi.Output.all(self._args.placement.resource_group_name, workflow.name, workflow.id)
        return pulumi.Output.secret(address_parts.apply(lambda parts: _address(str(parts[0]), str(parts[1]))))


async def _address(group: str, workflow: str) -> str:
    """Return the address; a preview by an identity that may not read it returns another one, which shows as a change.

    Asking is an action, which the role Reader does not have.
    """
    arguments = {"resourceGroupName": group, "workflowName": workflow, "triggerName": TRIGGER}
    try:
        answer = await pulumi.runtime.invoke_async(_CALLBACK_URL, arguments, _utilities.get_invoke_opts_defaults())
    except Exception as error:  # the SDK has no narrower one for a refusal
        if not pulumi.runtime.is_dry_run():
            raise
        pulumi.log.info(f"The address of the Logic App {workflow} is not known in this preview: {error}")
        return _UNKNOWN_YET
    return str(answer["value"])


def declare_new_data(
    context: StackContext,
    foundation: Foundation,
    training: TrainingResources,
    identity: Grantee,
    roles: Sequence[pulumi.Resource],
) -> NewData:
    """Declare the Logic Apps and events that start the trainings of `new_data.train`."""
    settings = context.settings.new_data
    names = training.pipeline_endpoint_names
    return NewData(
        "new-data",
        NewDataArgs(
            names=context.names,
            placement=context.placement,
            assigner=context.assigner,
            resource_group_id=context.resource_group_id,
            account_id=foundation.storage.training_account_id,
            account_name=foundation.storage.training_account_name,
            container_name=foundation.storage.training_container_name,
            endpoints={pipeline: names.get(pipeline, training.batch_endpoint_name) for pipeline in settings.train},
            quiet_seconds=settings.quiet_seconds,
            identity=identity,
            identity_id=foundation.identities.new_data_id,
            depends_on=roles,
        ),
        context.child,
    )
