"""A scored file against the profile of the version that scored it: drift, missing values, new categories, refused rows.

Statistics are made from profiles, bins and shares: the rows of the training data are no longer there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from steps import drift
from steps.data_results import ColumnProfile, Profile
from steps.scored_measures import ScoredMeasures
from steps.specification import Specification
from steps.watch import Watch
from steps.watch_results import Breach, ColumnWatch, Kind, Verdict, Window

_CHANGES_ANYWAY = frozenset({"date", "timestamp"})
"""Types whose values grow with time: their drift has no meaning."""
_MOST_NAMES = 5


@dataclass(frozen=True)
class Champion:
    """The profiles of the version that scored; None for missing ones."""

    data: Profile | None
    predictions: Profile | None


def judge(window: Window, specified: Specification, scored: ScoredMeasures, champion: Champion) -> Window:
    """Return the window with its differences, and whether they are within the limits of the section watch."""
    watch = specified.watch
    assert watch is not None
    columns = _columns(watch, scored, champion.data, show_values=specified.data_contract.show_values)
    predictions = {} if champion.predictions is None else _predictions(watch, scored, champion.predictions)
    reasons = [*_not_compared(window, scored, champion, columns)]
    breaches: tuple[Breach, ...] = ()
    verdict: Verdict = "passed"
    if window.rows_read < watch.fewest_rows:
        verdict = "too_few_rows"
    else:
        breaches = (*_breaches(watch, columns, predictions), *_refused(watch, window))
        if breaches:
            verdict = "breach"
        elif not columns:
            verdict = "not_comparable"
    changes = {"verdict": verdict, "breaches": breaches, "not_compared": "; ".join(reasons)}
    return window.model_copy(update=changes | {"columns": columns, "predictions": predictions})


def refused_file(window: Window, specified: Specification, reason: str) -> Window:
    """Return the window of a file of which nothing was scored: a breach, unless it has too few rows to be judged.

    A file with an unknown number of rows is a breach of any size.
    """
    watch = specified.watch
    assert watch is not None
    if 0 < window.rows_read < watch.fewest_rows:
        return window.model_copy(update={"verdict": "too_few_rows", "not_compared": f"it is refused: {reason}"})
    breach = Breach(
        kind="refused", measured=round(window.refused_share, 6), limit=watch.refused,
        message=f"nothing is scored, the file is refused: {reason}",
    )  # fmt: skip
    return window.model_copy(update={"verdict": "breach", "breaches": (breach,)})


def _not_compared(
    window: Window, scored: ScoredMeasures, champion: Champion, columns: Mapping[str, ColumnWatch]
) -> Iterator[str]:
    version = f"version {window.model_version}"
    if champion.data is None:
        yield f"{version} has no profile of its data"
    elif not scored.columns:
        yield "the features' notebook measured no columns"
    elif not columns:
        yield f"the file has no column of the profile of {version}"
    if champion.predictions is None:
        yield f"{version} has no profile of its predictions"


def _columns(
    watch: Watch, scored: ScoredMeasures, profile: Profile | None, *, show_values: bool
) -> dict[str, ColumnWatch]:
    if profile is None:
        return {}
    compared = {}
    for name, measured in scored.columns.items():
        before = profile.columns.get(name)
        if before is not None and name != profile.target and name not in watch.leave_out:
            compared[name] = _column(before, measured, watch.limit(name, "drift"), show_values=show_values)
    return compared


def _predictions(watch: Watch, scored: ScoredMeasures, profile: Profile) -> dict[str, ColumnWatch]:
    return {
        name: _column(profile.columns[name], measured, watch.prediction_drift, show_values=False)
        for name, measured in scored.predictions.items()
        if name in profile.columns
    }


def _column(before: ColumnProfile, measured: Mapping[str, Any], limit: float, *, show_values: bool) -> ColumnWatch:
    count = int(measured["count"])
    missing = measured["missing"] / max(count + measured["missing"] + measured.get("wrong", 0), 1)
    missing_before = before.missing / max(before.missing + before.count, 1)
    common = {"count": count, "missing": round(missing, 6), "missing_before": round(missing_before, 6)}
    if not count or not before.count or before.type in _CHANGES_ANYWAY:
        return ColumnWatch(**common)
    expected, current = drift.shares(before, measured)
    if expected is None or current is None:
        return ColumnWatch(**common)
    share, names = _new_categories(before, measured)
    return ColumnWatch(
        **common,
        index=round(drift.stability_index(expected, current), 4),
        distance=round(drift.distance(expected, current), 4),
        limit=round(max(limit, drift.chance(len(expected), before.count, count)), 4),
        new_categories=share,
        new_names=names if show_values and not before.hashed else (),
    )


def _new_categories(before: ColumnProfile, measured: Mapping[str, Any]) -> tuple[float | None, tuple[str, ...]]:
    """Return the share of categories that the profile does not have, and some of them, the most frequent ones.

    It is None for numbers, and where the profile has only the most frequent categories: another one may be among the
    rest.
    """
    if before.edges or not before.categories or before.other > 0:
        return None, ()
    current = drift.category_shares(measured, hashes=before.hashed)
    new = {name: share for name, share in current.items() if name not in before.categories}
    return round(sum(new.values()), 6), tuple(new)[:_MOST_NAMES]


def _breaches(
    watch: Watch, columns: Mapping[str, ColumnWatch], predictions: Mapping[str, ColumnWatch]
) -> Iterator[Breach]:
    for name, column in columns.items():
        yield from _drifted("drift", name, name, column)
        added, allowed = column.missing - column.missing_before, watch.limit(name, "missing")
        if added > allowed:
            yield Breach(
                kind="missing", column=name, measured=column.missing, limit=round(column.missing_before + allowed, 6),
                message=f"{name} is missing in {column.missing:.1%} of the rows, and in {column.missing_before:.1%} of "
                f"the training data ({allowed:.1%} more may be)",
            )  # fmt: skip
        allowed = watch.limit(name, "new_categories")
        if column.new_categories is not None and column.new_categories > allowed:
            examples = f" ({', '.join(column.new_names)})" if column.new_names else ""
            yield Breach(
                kind="new_categories", column=name, measured=column.new_categories, limit=allowed,
                message=f"{name} has categories{examples} that the training data do not have, in "
                f"{column.new_categories:.1%} of the rows, and {allowed:.1%} may be",
            )  # fmt: skip
    for name, column in predictions.items():
        yield from _drifted("prediction_drift", name, f"the {name}", column)


def _drifted(kind: Kind, name: str, label: str, column: ColumnWatch) -> Iterator[Breach]:
    if column.index is not None and column.limit is not None and column.index > column.limit:
        yield Breach(
            kind=kind, column=name, measured=column.index, limit=column.limit,
            message=f"{label} has drifted: index {column.index:.2f}, and {column.limit:.2g} may be",
        )  # fmt: skip


def _percent(share: float, limit: float) -> str:
    """Return a share, with as many digits as tell it from its limit."""
    return f"{share:.1%}" if f"{share:.1%}" != f"{limit:.1%}" else f"{share:.3%}"


def _refused(watch: Watch, window: Window) -> Iterator[Breach]:
    share = window.refused_share
    if share > watch.refused:
        yield Breach(
            kind="refused", measured=round(share, 6), limit=watch.refused,
            message=f"{_percent(share, watch.refused)} of the rows are refused, and {watch.refused:.1%} may be",
        )  # fmt: skip
