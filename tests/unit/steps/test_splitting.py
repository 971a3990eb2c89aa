"""The split into training and held-out rows, and rows that no model can be trained on."""

from __future__ import annotations

import pandas as pd
import pytest

from data.make_diabetes import FILE
from steps.specification import Split
from steps.splitting import UnusableRowsError, check_values, split


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(FILE).dropna()


def test_a_row_is_on_the_same_side_regardless_of_other_rows(rows: pd.DataFrame) -> None:
    training, held_out = split(rows, Split())
    fewer_training, fewer_held_out = split(rows.sample(frac=0.5, random_state=5), Split())

    assert len(training) + len(held_out) == len(rows)
    assert 0.1 < len(held_out) / len(rows) < 0.3
    for part, whole in ((fewer_training, training), (fewer_held_out, held_out)):
        assert len(part.merge(whole, how="inner")) == len(part), "a row has changed sides"


def test_a_new_feature_moves_no_row_where_the_split_columns_are_named(rows: pd.DataFrame) -> None:
    rule = Split.model_validate({"by": list(rows.columns)})
    more = rows.assign(ratio=rows["s1"] / rows["s3"])

    before, after = split(rows, rule)[1], split(more, rule)[1]

    assert len(after.merge(before, how="inner")) == len(before) == len(after)
    assert len(split(more, Split())[1].merge(before, how="inner")) < len(before), "all columns decide by default"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"x": [1.0, 2.0], "y": [3.0, 3.0]}, "the target y is constant, 3.0: there is nothing to learn"),
        ({"x": [1.0, float("inf")], "y": [3.0, 4.0]}, "column x has 1 infinite values"),
    ],
)
def test_unusable_rows_for_training_are_refused(frame: dict[str, list[float]], message: str) -> None:
    with pytest.raises(UnusableRowsError, match=message):
        check_values(pd.DataFrame(frame), "y")
