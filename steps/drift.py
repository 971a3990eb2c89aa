"""Distance of data from a profile: the population stability index (PSI) and Jensen-Shannon distance of each column.

The index of two distributions over the same bins is the sum of (p - q) ln(p / q): 0 for equal ones; 0.1 is commonly
called a small shift and 0.25 a large one (Siddiqi, "Credit Risk Scorecards"). A share of zero counts as a small one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

from steps.data_contract import DataContract
from steps.data_results import ColumnProfile, Profile, RuleResult
from steps.profiles import bin_shares, hashed

_LEAST_SHARE = 1e-4
_CERTAINTY = 0.999


def judge(contract: DataContract, former: Profile, now: Profile, measured: Mapping[str, Any]) -> list[RuleResult]:
    """Return, for each column of both profiles, whether its distribution is within the contract's limit.

    A shift that is likely by chance, such as in a file with few rows, does not break the rule: for samples of one
    distribution the index is distributed like chi-square (Yurdakul, "Statistical Properties of Population Stability
    Index", 2018).
    """
    results = []
    for name, column in now.columns.items():
        before = former.columns.get(name)
        if before is None or not before.count or not column.count:
            continue
        own = contract.columns.get(name)
        rule = (own.drift if own is not None else None) or contract.drift
        expected, current = shares(before, measured[name])
        if expected is None or current is None:
            continue
        index = stability_index(expected, current)
        bound = chance(len(expected), before.count, column.count)
        results.append(
            RuleResult(
                rule="drift",
                column=name,
                severity=rule.severity,
                passed=index <= max(rule.limit, bound),
                measured=round(index, 4),
                limit=f"{rule.limit:g}",
                message=f"{name} is distributed otherwise than in the data of the model that serves (drift: "
                f"population stability index {index:.2f}, and {rule.limit:g} may be)",
            )
        )
    return results


def stability_index(expected: Sequence[float], measured: Sequence[float]) -> float:
    """Return the population stability index of two distributions over the same bins."""
    before, after = (np.clip(np.asarray(shares, dtype=float), _LEAST_SHARE, None) for shares in (expected, measured))
    return float(((after - before) * np.log(after / before)).sum())


def distance(expected: Sequence[float], measured: Sequence[float]) -> float:
    """Return the Jensen-Shannon distance to the base 2: 0 for equal distributions, 1 without a common bin."""
    return float(jensenshannon(expected, measured, base=2))


def chance(bins: int, rows: int, other_rows: int) -> float:
    """Return the index that samples of one distribution, of so many rows, exceed once in a thousand."""
    return float(stats.chi2.ppf(_CERTAINTY, max(bins - 1, 1)) * (1 / rows + 1 / other_rows))


def shares(before: ColumnProfile, measured: Mapping[str, Any]) -> tuple[Sequence[float] | None, Sequence[float] | None]:
    """Return the shares of both over the bins of the former one; None when they cannot be compared.

    `measured`: count, quantiles and categories of the other column.
    """
    if before.edges:
        quantiles = measured["quantiles"]
        return (before.shares, bin_shares(before.edges, quantiles)) if quantiles else (None, None)
    if not before.categories:
        return None, None
    current = category_shares(measured, hashes=before.hashed)
    names = list(before.categories)
    rest = max(0.0, 1 - sum(current.get(name, 0.0) for name in names))
    return [*before.categories.values(), before.other], [*(current.get(name, 0.0) for name in names), rest]


def category_shares(measured: Mapping[str, Any], *, hashes: bool) -> dict[str, float]:
    """Return the shares of the most frequent categories, which `hashes` replaces by hashes of their values."""
    total = max(measured["count"], 1)
    return {hashed(value) if hashes else value: rows / total for value, rows in measured["categories"]}
