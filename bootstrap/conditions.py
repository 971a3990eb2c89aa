"""The condition under which deployers may assign roles themselves: the portal's own for "constrain roles"."""

from __future__ import annotations

from collections.abc import Iterable

from declarations.roles import CustomRole, Role

_ATTRIBUTE = "Microsoft.Authorization/roleAssignments"


def only_these(roles: Iterable[Role | CustomRole]) -> str:
    """Return a condition on Role Based Access Control Administrator: assign and remove nothing but these roles."""
    listed = ", ".join(sorted(role.value for role in roles))

    def clause(action: str, source: str) -> str:
        return (
            f"((!(ActionMatches{{'{_ATTRIBUTE}/{action}'}})) OR "
            f"(@{source}[{_ATTRIBUTE}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{listed}}}))"
        )

    return f"({clause('write', 'Request')} AND {clause('delete', 'Resource')})"
