"""The pack: every rule, advisory unless the environment's configuration overrides it (`policy/config`)."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, PolicyPack

from policy import access, data, learning, notebooks, operations

NAME = "dataopsml"
RULES = [*data.RULES, *learning.RULES, *notebooks.RULES, *access.RULES, *operations.RULES]


def serve() -> None:
    """Hand the rules to the engine that started this process."""
    PolicyPack(NAME, list(RULES), enforcement_level=EnforcementLevel.ADVISORY)
