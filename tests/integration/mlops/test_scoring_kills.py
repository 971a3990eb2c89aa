"""The program of the score step against storage: killed at every request, and run over one file more than once."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import mlflow
import pandas as pd
import pyarrow as pa
import pytest

from mlops.components.score.src.ledger import FIRST, Entry, prediction_table
from steps.prediction_table import PredictionFile
from steps.specification import Score
from tests.integration.mlops.scoring_step import OUTPUT, REFUSED, SPECIFICATION, TABLE, Step, step

__all__ = ["step"]


@pytest.mark.fault_kind("kill of a scoring step")
@pytest.mark.parametrize(
    "interval", [pytest.param(13, id="some moments"), pytest.param(1, id="any moment", marks=pytest.mark.nightly)]
)
def test_the_next_run_completes_the_work_of_a_step_killed_at_a_request(step: Step, interval: int) -> None:
    # Both parameters run on one step in `make faults`.
    whole = step.run(f"whole-{interval}", f"run-whole-{interval}")
    assert whole.returncode == 0, whole.stderr
    assert "3 rows read, 2 scored, 1 refused" in whole.stdout
    requests = int(step.requests.read_text())
    assert requests >= 7, "read, quarantine, predictions, entry, folder, rename, record"

    moments = [f"{number}:{when}" for number in range(1, requests + 1) for when in ("before", "after")]
    for moment in moments[::interval]:
        file = f"file-{interval}-{moment.replace(':', '-')}"
        killed = step.run(file, f"{file}-first", kill_at=moment)
        assert killed.returncode == -9, (moment, killed.stderr)
        before = step.ledger.read(file, FIRST)
        again = step.run(file, f"{file}-second")
        assert again.returncode == 0, (moment, again.stderr)
        entry = step.check_scored_once(file)
        assert entry == before or (before is None and entry.run == f"{file}-second"), moment


def test_one_of_several_simultaneous_runs_scores_the_file(step: Step) -> None:
    assert step.run("model", "before").returncode == 0
    template = step.check_scored_once("model")
    content = step.blobs.download_blob(f"{template.output}/predictions.parquet").readall()

    def commit(run: str) -> Entry:
        entry = replace(
            template, file_version="raced", run=run, staged=f"{OUTPUT}/_staged/{run}",
            output=f"{OUTPUT}/date=2026-11-29/run={run}",
        )  # fmt: skip
        step.blobs.upload_blob(f"{entry.staged}/predictions.parquet", content)
        return step.ledger.commit(entry)

    names = [f"racer-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        entries = list(pool.map(commit, names))

    (run,) = {entry.run for entry in entries}
    outputs = [str(path.name) for path in step.lake.data.get_paths(f"{OUTPUT}/date=2026-11-29")]
    assert [name for name in outputs if "racer" in name and name.endswith(".parquet")] == [
        f"{OUTPUT}/date=2026-11-29/run={run}/predictions.parquet"
    ]


def test_a_file_is_scored_again_only_on_request_and_under_a_new_run(step: Step) -> None:
    for run in ("monday", "tuesday"):
        assert step.run("again", run).returncode == 0
    entry = step.check_scored_once("again")
    assert entry.run == "monday" and entry.model_version == "2"

    rescored = step.run("again", "wednesday", attempt="of-wednesday", model_version="1")

    assert rescored.returncode == 0, rescored.stderr
    assert sorted(name.split("run=")[1] for name in step.outputs("again")) == [
        "monday/predictions.parquet", "wednesday/predictions.parquet",
    ]  # fmt: skip
    second = step.ledger.read("again", "of-wednesday")
    assert second is not None and second.model_version == "1", "the version is the one that the run was given"


def test_more_refused_rows_than_allowed_refuse_the_file_once_and_leave_a_quarantine(step: Step) -> None:
    strict = SPECIFICATION.model_copy(update={"score": Score(notebook="n", input="scoring/in/n", most_refused=0.3)})
    specification = strict.model_dump_json(exclude_defaults=True)

    completed = step.run("strict", "run-strict", specification=specification)
    again = step.run("strict", "run-later", specification=specification)
    rescored = step.run("strict", "run-asked", attempt="again-1", specification=specification)

    assert (completed.returncode, again.returncode, rescored.returncode) == (0, 0, 0), completed.stderr
    refusal = step.ledger.refusal("strict", FIRST, "v1")
    assert refusal is not None and refusal.run == "run-strict"
    assert refusal.reason == "1 of 3 rows are refused, and 30% may be: missing: a (1)"
    assert (refusal.rows_read, refusal.rows_refused) == (3, 1)
    assert refusal.quarantine.startswith(f"{REFUSED}/date=") and "/run=run-strict/" in refusal.quarantine
    assert f"Refused strict.csv: {refusal.reason}. Quarantine: {refusal.quarantine}" in completed.stdout
    assert f"Refused strict.csv, by run run-strict: {refusal.reason}" in again.stdout
    assert step.ledger.refusal("strict", "again-1", "v1") is not None, "--again tries it again"
    assert step.ledger.read("strict", FIRST) is None and step.outputs("strict") == {}
    kept = [str(path.name) for path in step.lake.data.get_paths(REFUSED) if path.name.endswith("refused.parquet")]
    assert [name for name in kept if "run-strict/" in name or "run-later/" in name] == [refusal.quarantine]
    rows: Any = pd.read_parquet(io.BytesIO(step.blobs.download_blob(refusal.quarantine).readall()))
    assert rows.to_dict("records") == [{"row": 2, "reason": "missing: a", "record": '{"a": null}'}]


def test_a_version_that_is_not_registered_is_named(step: Step) -> None:
    other = SPECIFICATION.model_copy(update={"model": "unknown"}).model_dump_json(exclude_defaults=True)

    none = step.run("none", "run-none", specification=other)
    gone = step.run("gone", "run-gone", model_version="9")

    assert none.stderr.strip().splitlines()[-1] == (
        "The file none.csv is not scored: no version of unknown is registered: train and promote a model first."
    )
    assert "The file gone.csv is not scored: version 9 of doubled cannot be read" in gone.stderr


def _leave_failed(step: Step, file: str, *, refused: bool) -> None:
    """Write the notebook's result for a file that it cannot use."""
    failed = step.files / file / "failed"
    failed.mkdir(parents=True)
    (failed / "part-0.json").write_text(json.dumps({"reason": "abfss://x: the header lacks a.", "refused": refused}))


def test_a_bad_file_is_refused_keeps_no_other_from_being_scored_and_fails_no_run(step: Step) -> None:
    names = [f"many-{number}" for number in range(3)]
    _leave_failed(step, names[1], refused=True)

    completed = step.run_all(names, "run-many")

    assert completed.returncode == 0, completed.stderr
    first, third = (step.check_scored_once(name) for name in (names[0], names[2]))
    assert (first.run, third.run) == ("run-many", "run-many") and first.output != third.output
    record = step.ledger.recorded("run-many")
    assert record is not None and record.files == (names[0], names[2])
    assert (record.refused, record.failures) == ((names[1],), ())
    refusal = step.ledger.refusal(names[1], FIRST, "v1")
    assert refusal is not None and refusal.reason == "abfss://x: the header lacks a"
    assert (refusal.rows_read, refusal.model_version) == (0, "2")
    kept = json.loads(step.blobs.download_blob(refusal.quarantine).readall())
    assert (kept["file_name"], kept["reason"]) == ("many-1.csv", refusal.reason)
    written = json.loads(step.requests.with_name("scored").joinpath("refusals.json").read_text())
    assert [item["file_version"] for item in written] == [names[1]]


@pytest.mark.nightly
def test_a_file_that_this_run_alone_cannot_use_fails_the_step_after_the_others(step: Step) -> None:
    _leave_failed(step, "odd-1", refused=False)

    completed = step.run_all(["odd-1", "odd-2"], "run-odd")

    assert completed.returncode == 1
    assert completed.stderr.strip().splitlines()[-1] == (
        "The file odd-1.csv is not scored: abfss://x: the header lacks a."
    )  # fmt: skip
    step.check_scored_once("odd-2")
    record = step.ledger.recorded("run-odd")
    assert record is not None and record.refused == ()
    assert [(failed.file_name, failed.reason) for failed in record.failures] == [
        ("odd-1.csv", "abfss://x: the header lacks a")
    ]
    assert step.ledger.refusal("odd-1", FIRST, "v1") is None, "the next run tries it"


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of a step that refuses a file")
def test_a_step_killed_at_any_request_leaves_a_file_refused_once_and_the_other_scored_once(step: Step) -> None:
    _leave_failed(step, "none-bad", refused=True)
    assert step.run_all(["none-bad", "none-good"], "run-none").returncode == 0
    requests = int(step.requests.read_text())
    assert requests >= 11, "of the bad file: entry, refusal, quarantine, refuse"
    for number in range(1, requests + 1):
        bad, good = f"refused-{number}-bad", f"refused-{number}-good"
        _leave_failed(step, bad, refused=True)
        killed = step.run_all([bad, good], f"refused-{number}-first", kill_at=f"{number}:after")
        assert killed.returncode == -9, (number, killed.stderr)
        before = step.ledger.refusal(bad, FIRST, "v1")
        again = step.run_all([bad, good], f"refused-{number}-second")
        assert again.returncode == 0, (number, again.stderr)
        step.check_scored_once(good)
        refusal = step.ledger.refusal(bad, FIRST, "v1")
        assert refusal is not None and before in (None, refusal), number
        assert step.blobs.get_blob_client(refusal.quarantine).exists()
        record = step.ledger.recorded(f"refused-{number}-second")
        assert record is not None and (record.files, record.refused) == ((good,), (bad,))


@pytest.mark.nightly
def test_a_run_of_several_files_killed_at_any_request_is_made_good_by_the_next_one(step: Step) -> None:
    assert step.run_all(["pair-a", "pair-b"], "run-pair").returncode == 0
    requests = int(step.requests.read_text())
    for number in range(2, requests + 1, 4):
        names = [f"pair-{number}-a", f"pair-{number}-b"]
        killed = step.run_all(names, f"pair-{number}-first", kill_at=f"{number}:after")
        assert killed.returncode == -9, killed.stderr
        before = [step.ledger.read(name, FIRST) for name in names]
        assert step.run_all(names, f"pair-{number}-second").returncode == 0
        for name, known in zip(names, before, strict=True):
            assert step.check_scored_once(name) == known or known is None


def test_a_version_that_was_promoted_with_other_code_is_not_used(step: Step) -> None:
    client = mlflow.MlflowClient(step.tracking)
    client.set_model_version_tag("doubled", "2", "deployment", "v-other")
    try:
        completed = step.run("moved", "run-moved")
    finally:
        client.delete_model_version_tag("doubled", "2", "deployment")

    assert completed.returncode == 1
    assert completed.stderr.strip().splitlines()[-1] == (
        "The file moved.csv is not scored: version 2 of doubled serves with v-other, and this run is of v-v1: a "
        "promotion is under way, and the next run takes the files."
    )
    assert step.ledger.read("moved", FIRST) is None


def test_scored_files_become_rows_of_one_delta_table_each_once(step: Step) -> None:
    runs = {"table-monday": FIRST, "table-tuesday": FIRST, "table-wednesday": "again-1"}
    for run, attempt in runs.items():
        scored = step.to_table("table-a b", run, attempt=attempt)
        assert scored.returncode == 0, scored.stderr

    entry = step.ledger.read("table-a b", FIRST)
    assert entry is not None and entry.table == TABLE and step.ledger.settle(entry)
    assert entry.output.startswith(f"{TABLE}/date={entry.scored_at[:10]}/run=table-monday-")
    rows = step.table().to_pandas(filters=[("input_file", "=", "table-a b.csv")])
    assert rows.groupby("run").size().to_dict() == {"table-monday": 2, "table-wednesday": 2}
    assert {f"{day}" for day in rows["date"]} == {entry.scored_at[:10]}
    assert not step.lake.data.get_directory_client(f"{OUTPUT}/date={entry.scored_at[:10]}/run=table-monday").exists()


@pytest.mark.parametrize("attempt", [FIRST, pytest.param("sample-1", marks=pytest.mark.nightly)])
def test_predictions_that_do_not_fit_the_table_are_the_version_s_fault_and_written_nowhere(
    step: Step, attempt: str
) -> None:
    folder = "scoring/tables/texts/doubled"
    with prediction_table(step.blobs, folder) as present:
        present.ensure(pa.schema([("row", pa.int64()), ("prediction", pa.string())]))
    score = Score(notebook="n", input="scoring/in/n", most_refused=0.5, format="delta", output="scoring/tables/texts")
    specification = SPECIFICATION.model_copy(update={"score": score}).model_dump_json(exclude_defaults=True)

    refused = step.run("texts", f"run-{attempt}", attempt=attempt, specification=specification)

    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1] == (
        f"The file texts.csv is not scored: its predictions do not fit the Delta table {folder}: the column "
        "'prediction' is string in the table, and double in this file: give the pipeline another folder, such as "
        "score.output: scoring/tables/second."
    )
    assert step.ledger.read("texts", attempt) is None
    assert step.ledger.refusal("texts", attempt, "v1") is None, "another version may fit"
    files = [str(path.name) for path in step.lake.data.get_paths(folder) if not path.is_directory]
    assert files == [f"{folder}/_delta_log/00000000000000000000.json"]


@pytest.mark.nightly
def test_a_sample_is_tried_with_the_table_and_is_no_row_of_it(step: Step) -> None:
    before = step.to_table("sampled", "run-real")
    sample = step.to_table("sampled", "run-sample", attempt="sample-2", output_folder="scoring/samples")

    assert (before.returncode, sample.returncode) == (0, 0), before.stderr + sample.stderr
    entry = step.ledger.read("sampled", "sample-2")
    assert entry is not None and entry.table == ""
    assert entry.output.startswith("scoring/samples/doubled/date=")
    assert len(step.table().to_pandas(filters=[("input_file", "=", "sampled.csv")])) == 2


@pytest.mark.nightly
def test_rows_of_a_table_go_after_their_days_and_their_files_after_readers(step: Step) -> None:
    folder = "scoring/tables/kept/doubled"
    score = Score(notebook="n", input="scoring/in/n", most_refused=0.5, format="delta", output="scoring/tables/kept")
    specification = SPECIFICATION.model_copy(update={"score": score}).model_dump_json(exclude_defaults=True)
    assert step.run("kept-new", "run-new", specification=specification).returncode == 0
    entry = step.ledger.read("kept-new", FIRST)
    assert entry is not None
    old = (datetime.now(UTC) - timedelta(days=3)).date()
    content = step.blobs.download_blob(f"{entry.output}/predictions.parquet").readall()
    path = f"date={old}/run=old/predictions.parquet"
    step.blobs.upload_blob(f"{folder}/{path}", content)
    step.blobs.upload_blob(f"{folder}/date={old}/run=old/_measures.json", b"{}")
    file = PredictionFile(path, len(content), 2, f"{old}", datetime.now(UTC))
    with prediction_table(step.blobs, folder) as table:
        table.add(file, "old/first")

    kept = step.run("kept-new", "run-later", specification=specification, keep_days="2")

    assert kept.returncode == 0, kept.stderr
    limit = (datetime.now(UTC) - timedelta(days=2)).date()
    assert f"Deleted rows of the days before {limit} from the table {folder}" in kept.stdout
    assert set(step.table(folder).to_pandas()["date"]) == {date.fromisoformat(entry.scored_at[:10])}
    assert step.blobs.get_blob_client(f"{folder}/{path}").exists(), "a reader may be at it, for a week"

    step.table(folder).alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 0 seconds"})
    swept = step.run("kept-new", "run-last", specification=specification, keep_days="2")

    assert swept.returncode == 0, swept.stderr
    assert f"Deleted 1 files that no row of the table {folder} is in" in swept.stdout
    names = [str(path.name) for path in step.lake.data.get_paths(folder)]
    assert not [name for name in names if "run=old" in name], "predictions and their measures"
    assert f"{entry.output}/predictions.parquet" in names and f"{entry.output}/_measures.json" in names


@pytest.mark.nightly
def test_one_of_several_simultaneous_runs_adds_its_rows_to_the_table(step: Step) -> None:
    assert step.to_table("model-of-table", "before").returncode == 0
    template = step.check_in_table_once("model-of-table")
    content = step.blobs.download_blob(f"{template.output}/predictions.parquet").readall()

    def commit(run: str) -> Entry:
        entry = replace(
            template, file_version="raced-in-table", run=run, staged=f"{TABLE}/_staged/{run}",
            output=f"{TABLE}/date={template.scored_at[:10]}/run={run}",
        )  # fmt: skip
        step.blobs.upload_blob(f"{entry.output}/predictions.parquet", content)
        step.blobs.upload_blob(entry.staged, b"")
        return step.ledger.commit(entry)

    names = [f"racer-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        entries = list(pool.map(commit, names))

    (run,) = {entry.run for entry in entries}
    raced = [uri for uri in step.table().file_uris() if "racer" in uri]
    assert [uri.rpartition(f"{TABLE}/")[2] for uri in raced] == [
        f"date={template.scored_at[:10]}/run={run}/predictions.parquet"
    ]
    folders = [str(path.name) for path in step.lake.data.get_paths(TABLE)]
    assert [name for name in folders if "racer" in name and name.endswith(".parquet")] == [
        f"{TABLE}/date={template.scored_at[:10]}/run={run}/predictions.parquet"
    ], "outputs of the others are deleted"
    assert not [name for name in folders if "_staged/racer" in name]


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of a scoring step that writes a table")
def test_the_next_run_completes_the_work_of_a_step_killed_at_any_request_of_a_table(step: Step) -> None:
    whole = step.to_table("whole-in-table", "run-whole")
    assert whole.returncode == 0, whole.stderr
    requests = int(step.requests.read_text())
    assert requests >= 10, "reads, quarantine, predictions, measures, mark, entry, size, mark gone, record"
    moments = [f"{number}:{when}" for number in range(1, requests + 1) for when in ("before", "after")]
    for moment in (*moments, *(f"commit:{thousandths}" for thousandths in range(1, 60, 8))):
        file = f"t-{moment.replace(':', '-')}"
        killed = step.to_table(file, f"{file}-first", kill_at=moment)
        # A commit may be over before its moment.
        assert killed.returncode == -9 or moment.startswith("commit"), (moment, killed.stderr)
        before = step.ledger.read(file, FIRST)
        again = step.to_table(file, f"{file}-second")
        assert again.returncode == 0, (moment, again.stderr)
        entry = step.check_in_table_once(file)
        assert entry == before or (before is None and entry.run == f"{file}-second"), moment


@pytest.mark.nightly
def test_jobs_without_the_library_leave_an_output_to_the_verbs(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    assert step.to_table("template", "run-template").returncode == 0
    template = step.check_in_table_once("template")
    content = step.blobs.download_blob(f"{template.output}/predictions.parquet").readall()
    entry = replace(
        template, file_version="left", output=f"{template.output}-left", staged=f"{TABLE}/_staged/left.first.mark"
    )
    step.blobs.upload_blob(f"{entry.output}/predictions.parquet", content)
    step.blobs.upload_blob(entry.staged, b"")

    with monkeypatch.context() as patch:
        patch.setattr("mlops.components.score.src.ledger.find_spec", lambda name: None)
        assert step.ledger.commit(entry) == entry
        assert f"{entry.output}/" not in " ".join(step.table().file_uris())
    step.ledger.settle_left(TABLE)

    assert f"{entry.output}/" in " ".join(step.table().file_uris())
    assert not step.blobs.get_blob_client(entry.staged).exists()
