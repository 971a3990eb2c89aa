"""The split into training and held-out rows, by a hash of each row."""

from __future__ import annotations

import pandas as pd

from steps.specification import Split

_HASH_RANGE = 10_000


class UnusableRowsError(Exception):
    """Error of rows on which no model can be trained; the text has the reason."""


def split(rows: pd.DataFrame, rule: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training and held-out rows.

    The side of a row does not depend on other rows, so that no registered model is judged by rows that it was trained
    on. The step check_data has checked that the columns of the rule exist. Raises UnusableRowsError for too few rows.
    """
    if len(rows) < rule.fewest_rows:
        raise UnusableRowsError(f"there are {len(rows)} complete rows: at least {rule.fewest_rows} are needed to train")
    ordered = rows.sort_values(list(rows.columns)).reset_index(drop=True)
    deciding = ordered[list(rule.by)] if rule.by else ordered
    hashes = pd.util.hash_pandas_object(deciding, index=False)
    held_out = hashes % _HASH_RANGE < rule.held_out * _HASH_RANGE
    return ordered[~held_out], ordered[held_out]


def check_values(rows: pd.DataFrame, target: str) -> None:
    """Raise UnusableRowsError for a target that is constant, and for infinite values."""
    if rows[target].nunique() < 2:
        value = rows[target].iloc[0] if len(rows) else "no value"
        raise UnusableRowsError(f"the target {target} is constant, {value}: there is nothing to learn")
    numbers = rows.select_dtypes("number")
    for column in numbers.columns[numbers.isin([float("inf"), float("-inf")]).any()]:
        count = int(numbers[column].isin([float("inf"), float("-inf")]).sum())
        raise UnusableRowsError(f"column {column} has {count} infinite values: numbers have to be finite")
