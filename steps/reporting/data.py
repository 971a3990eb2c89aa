"""Data section of the report: the contract's results and the profile, values only where the contract allows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from steps.data_results import ColumnProfile, ContractResult, Profile
from steps.reporting.charts import number
from steps.reporting.content import Content


@dataclass(frozen=True)
class Data:
    """Both results; None for a result that the run does not have. `problems` name results that cannot be shown."""

    contract: ContractResult | None
    profile: Profile | None
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, content: Content) -> Data:
        """Return the results in a content."""
        problems = []
        contract, profile = None, None
        try:
            contract = ContractResult.model_validate(content["data_contract"]) if content.get("data_contract") else None
        except ValidationError:
            problems.append("The data contract's results are of a version that this page does not know.")
        try:
            profile = Profile.model_validate(content["profile"]) if content.get("profile") else None
        except ValidationError:
            problems.append("The data profile is of a version that this page does not know.")
        return cls(contract, profile, tuple(problems))

    @property
    def show_values(self) -> bool:
        """Whether values of the data may be shown."""
        return self.contract is not None and self.contract.show_values

    def shares(self, column: ColumnProfile) -> Sequence[float]:
        """Return the shares of a column's bins or categories."""
        return column.shares or (*column.categories.values(), *((column.other,) if column.other else ()))

    def names(self, column: ColumnProfile) -> Sequence[str]:
        """Return the subject of the shares; an empty sequence where values are not shown."""
        if not self.show_values:
            return ()
        if not column.shares:
            return (*column.categories, "other")
        edges = [number(edge) for edge in column.edges]
        return (f"up to {edges[0]}", *(f"{low} to {high}" for low, high in itertools.pairwise(edges)),
                f"above {edges[-1]}")  # fmt: skip
