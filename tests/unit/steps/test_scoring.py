"""Predictions for prepared files, by models of several kinds: rows that are scored, refused, or lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from mlops import specifications
from steps import scoring
from steps.scored_measures import ScoredMeasures
from steps.scoring import Counts, RefusedError, ScoringError, Stamp, score
from steps.specification import Score, Specification
from tests import samples

STAMP = Stamp("7", datetime(2026, 11, 29, 12, 0, tzinfo=UTC), "in/march.csv")
SPECIFICATION = specifications.load("diabetes", samples.PIPELINES).specification.model_copy(
    update={"target": "y", "score": Score(notebook="n", input="scoring/in/n", keys=("patient",))}
)
FEATURES = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0, 1, 0]})


class Twice(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Two answers for each row, nothing for a = 2."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> np.ndarray[Any, Any]:
        a = model_input["a"].mask(model_input["a"] == 2.0).to_numpy()
        return np.column_stack([a, 10 * a])


class Changing(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Numbers for the first rows, texts for a = 3."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> list[Any]:
        return ["text" if a == 3.0 else a for a in model_input["a"]]


def _prepared(folder: Path, rows: pd.DataFrame, refused: list[tuple[int, str, str]] | None = None) -> Path:
    """Write the notebook's files."""
    (folder / "rows").mkdir(parents=True)
    rows.to_parquet(folder / "rows/part-0.parquet", index=False)
    if refused:
        (folder / "refused").mkdir()
        frame = pd.DataFrame(refused, columns=["_row", "reason", "record"])
        frame.to_parquet(folder / "refused/part-0.parquet", index=False)
    (folder / "counts").mkdir()
    counts = {
        "read": len(rows) + len(refused or []), "kept": len(rows), "refused": len(refused or []),
        "measures": '{"a": {"count": 3}}',
    }  # fmt: skip
    (folder / "counts/part-0.json").write_text(json.dumps(counts))
    return folder


def _carried(features: pd.DataFrame) -> pd.DataFrame:
    numbers = range(len(features))
    return features.assign(_row=list(numbers), _key_0=[f"p{number}" for number in numbers])


def _model(folder: Path, estimator: Any, target: Any) -> Any:
    features = FEATURES.astype(float)
    fitted = estimator.fit(features, target)
    signature = mlflow.models.infer_signature(features, fitted.predict(features))
    mlflow.sklearn.save_model(
        fitted, folder / "model", signature=signature, pip_requirements=[], serialization_format="cloudpickle"
    )
    return mlflow.pyfunc.load_model(str(folder / "model"))


def _score(prepared: Path, model: Any, folder: Path, specification: Specification = SPECIFICATION) -> Counts:
    folder.mkdir()
    return score(prepared, model, specification, STAMP, folder)


def test_each_row_has_its_keys_prediction_and_origin(tmp_path: Path) -> None:
    model = _model(tmp_path, LinearRegression(), [10.0, 20.0, 30.0])
    prepared = _prepared(tmp_path / "prepared", _carried(FEATURES))

    counts = _score(prepared, model, tmp_path / "out")

    assert counts == Counts(read=3, scored=3, refused=0, reasons={})
    rows = pd.read_parquet(tmp_path / "out/predictions.parquet")
    assert list(rows.columns) == ["row", "patient", "prediction", "model_version", "scored_at", "input_file"]
    assert rows["patient"].tolist() == ["p0", "p1", "p2"]
    assert rows["prediction"].tolist() == pytest.approx([10.0, 20.0, 30.0])
    assert rows.loc[0, "model_version"] == "7" and rows.loc[0, "input_file"] == "in/march.csv"
    assert rows.loc[0, "scored_at"] == pd.Timestamp("2026-11-29T12:00:00Z")
    assert not (tmp_path / "out/refused.parquet").exists()
    measures = ScoredMeasures.model_validate_json((tmp_path / "out/_measures.json").read_text())
    assert measures.columns == {"a": {"count": 3}}, "those of the notebook"
    assert measures.predictions["prediction"]["count"] == 3


def test_batches_make_the_same_file_as_all_rows_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = pd.DataFrame({"a": [1.0, 2.0, np.inf, 4.0, 5.0, 6.0, 7.0], "b": [0, 1, 0, 1, 0, 1, 0]})
    model = _model(tmp_path, LinearRegression(), [10.0, 20.0, 30.0])
    prepared = _prepared(tmp_path / "prepared", _carried(features))

    at_once = _score(prepared, model, tmp_path / "at once")
    monkeypatch.setattr(scoring, "_BATCH_ROWS", 2)
    in_batches = _score(prepared, model, tmp_path / "batches")

    assert at_once == in_batches == Counts(read=7, scored=6, refused=1, reasons={"infinite: a": 1})
    files = [pq.ParquetFile(tmp_path / folder / "predictions.parquet") for folder in ("at once", "batches")]
    assert [file.num_row_groups for file in files] == [1, 4]
    assert files[0].schema_arrow.equals(files[1].schema_arrow, check_metadata=True)
    assert files[0].read().equals(files[1].read()), "in the order of the file"


def test_columns_whose_values_repeat_are_written_with_a_dictionary(tmp_path: Path) -> None:
    features = pd.DataFrame({"a": np.arange(100.0), "b": [0, 1] * 50})
    model = _model(tmp_path, LinearRegression(), [10.0, 20.0, 30.0])
    prepared = _prepared(tmp_path / "prepared", _carried(features).assign(_key_0=["p", "q"] * 50))

    _score(prepared, model, tmp_path / "out")

    written = pq.ParquetFile(tmp_path / "out/predictions.parquet").metadata.row_group(0)
    columns = [written.column(index) for index in range(written.num_columns)]
    with_dictionary = [column.path_in_schema for column in columns if column.has_dictionary_page]
    assert with_dictionary == ["patient", "model_version", "scored_at", "input_file"], "not row and prediction"
    assert "DELTA_BINARY_PACKED" in columns[0].encodings and columns[0].path_in_schema == "row"
    assert columns[0].total_uncompressed_size < 100, "100 numbers of 8 bytes, as differences"


def test_an_error_of_writing_ends_the_scoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=Changing(), pip_requirements=[])
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    prepared = _prepared(tmp_path / "prepared", _carried(FEATURES))
    monkeypatch.setattr(scoring, "_BATCH_ROWS", 2)

    with pytest.raises(pa.ArrowException, match="Conversion failed for column prediction"):
        _score(prepared, model, tmp_path / "out")


def test_a_classifier_returns_labels_and_a_probability_for_each(tmp_path: Path) -> None:
    model = _model(tmp_path, LogisticRegression(), ["low", "high", "low"])

    _score(_prepared(tmp_path / "prepared", _carried(FEATURES)), model, tmp_path / "out")

    rows = pd.read_parquet(tmp_path / "out/predictions.parquet")
    assert set(rows["prediction"]) <= {"low", "high"}
    assert (rows["probability_high"] + rows["probability_low"]).tolist() == pytest.approx([1.0] * 3)


def test_a_model_of_another_flavor_and_rows_without_a_prediction(tmp_path: Path) -> None:
    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=Twice(), pip_requirements=[])
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    prepared = _prepared(tmp_path / "prepared", _carried(FEATURES), [(3, "missing: a", '{"a": null}')])

    counts = _score(prepared, model, tmp_path / "out")

    reasons = {"the model predicts nothing for it": 1, "missing: a": 1}
    assert counts == Counts(read=4, scored=2, refused=2, reasons=reasons)
    rows = pd.read_parquet(tmp_path / "out/predictions.parquet")
    assert rows["prediction_1"].tolist() == [10.0, 30.0]
    refused = pd.read_parquet(tmp_path / "out/refused.parquet")
    assert refused["row"].tolist() == [1, 3]
    assert json.loads(refused.loc[0, "record"])["patient"] == "p1"


def test_infinite_values_are_refused_as_in_training(tmp_path: Path) -> None:
    model = _model(tmp_path, LinearRegression(), [10.0, 20.0, 30.0])
    prepared = _prepared(tmp_path / "prepared", _carried(FEATURES.assign(a=[1.0, np.inf, -np.inf])))

    counts = _score(prepared, model, tmp_path / "out")

    assert counts == Counts(read=3, scored=1, refused=2, reasons={"infinite: a": 2})


def test_features_that_lack_columns_of_the_signature_are_not_scored(tmp_path: Path) -> None:
    model = _model(tmp_path, LinearRegression(), [10.0, 20.0, 30.0])
    prepared = _prepared(tmp_path / "prepared", _carried(FEATURES[["a"]]))

    with pytest.raises(ScoringError, match=r"^version 7 cannot score these rows: column b is gone$"):
        _score(prepared, model, tmp_path / "out")


def test_values_of_another_type_than_the_signature_s_are_not_scored(tmp_path: Path) -> None:
    model = _model(tmp_path, LinearRegression(), [10.0, 20.0, 30.0])
    prepared = _prepared(tmp_path / "prepared", _carried(FEATURES.assign(b=["x", "y", "z"])))

    with pytest.raises(
        ScoringError, match="version 7 cannot score these rows: it fails on these rows: MlflowException"
    ):
        _score(prepared, model, tmp_path / "out")


def test_rows_neither_scored_nor_refused_fail_the_check(tmp_path: Path) -> None:
    model = _model(tmp_path, LinearRegression(), [10.0, 20.0, 30.0])
    prepared = _prepared(tmp_path / "prepared", _carried(FEATURES))
    (prepared / "counts/part-0.json").write_text('{"read": 4}')

    with pytest.raises(ScoringError, match="of 4 rows 3 were scored and 0 refused: the others are lost"):
        _score(prepared, model, tmp_path / "out")


def test_a_notebook_of_training_is_named_as_the_cause(tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir()

    with pytest.raises(ScoringError, match="the features' notebook wrote no counts"):
        _score(tmp_path / "prepared", None, tmp_path / "out")


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        ({"missing: a": 2}, RefusedError),
        ({"missing: a": 10}, RefusedError),
        ({"the model predicts nothing for it": 10}, ScoringError),
        ({"missing: a": 1, "the model predicts nothing for it": 9}, ScoringError),
    ],
)
def test_a_file_is_refused_for_its_own_rows_and_not_for_an_error_of_the_model(
    reasons: dict[str, int], error: type[ScoringError]
) -> None:
    refused = sum(reasons.values())
    counts = Counts(10, 10 - refused, refused, reasons)

    with pytest.raises(ScoringError, match=rf"^{refused} of 10 rows are refused, and 10% may be: ") as raised:
        counts.check_share(0.1)

    assert type(raised.value) is error


def test_rows_within_the_share_pass() -> None:
    Counts(10, 9, 1, {"missing: a": 1}).check_share(0.1)
