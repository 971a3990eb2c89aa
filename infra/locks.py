"""CanNotDelete locks on resources that hold data.

A lock also keeps the roles on its resource from being taken away: take the lock off (`protection.lock: false`) before a
change that replaces an identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization


@dataclass(frozen=True, kw_only=True)
class LocksArgs:
    """ARM ids to lock, by label. `depends_on`: all other parts of the stack: locks are made last and deleted first.

    `protect`: Pulumi refuses to take the locks off. The engine checks each resource when its turn comes, and not the
    whole plan (pkg/resource/deploy/step.go, DeleteStep.Apply): a destroy that begins with the locks alone fails there,
    with nothing deleted.
    """

    scopes: Mapping[str, pulumi.Input[str]]
    depends_on: Sequence[pulumi.Resource]
    protect: bool


class Locks(pulumi.ComponentResource):
    """A lock for each scope."""

    def __init__(self, name: str, args: LocksArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:protection:Locks", name, None, opts)
        for label, scope in args.scopes.items():
            authorization.ManagementLockByScope(
                f"{name}-{label}",
                lock_name="dataopsml-holds-data",
                scope=scope,
                level=authorization.LockLevel.CAN_NOT_DELETE,
                notes="Holds data: set protection.lock to false and deploy before deleting it.",
                opts=pulumi.ResourceOptions(parent=self, depends_on=args.depends_on, protect=args.protect),
            )
        self.register_outputs({})
