"""The programs of the steps score and watch against storage and MLflow: clean and shifted files, kills, labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import mlflow.sklearn
import pandas as pd
import pytest

from mlops.components.watch.src.retraining_requests import Requests
from steps.specification import Score
from steps.watch import Watch
from tests.integration.mlops.scored_and_watched import LABELS, MODEL, SPECIFICATION, Scoring, rows_of
from tests.integration.mlops.scored_and_watched import scoring as scoring


def test_a_clean_file_is_no_breach_and_a_shifted_one_names_its_column(scoring: Scoring) -> None:
    output = scoring.score_and_watch("clean", rows_of(500))
    assert "clean.csv: no breach, a is the nearest to its limit: index 0.0" in output

    run = scoring.start()
    assert scoring.score("shifted", rows_of(500, shift=15), run).returncode == 0
    watched = scoring.watch(run)

    assert watched.returncode == 0, "a breach does not undo the scoring"
    assert "shifted.csv: breach: a has drifted: index " in watched.stdout
    (clean,), (shifted,) = scoring.windows("clean"), scoring.windows("shifted")
    assert (clean.verdict, shifted.verdict) == ("passed", "breach")
    assert [(breach.kind, breach.column) for breach in shifted.breaches] == [
        ("drift", "a"), ("prediction_drift", "prediction"),
    ]  # fmt: skip
    assert shifted.run == run and scoring.blobs.get_blob_client(f"{shifted.output}/predictions.parquet").exists()
    client = mlflow.MlflowClient(scoring.tracking)
    kept = client.get_run(run)
    assert kept.data.metrics["drift_index.a"] == shifted.columns["a"].index
    assert kept.data.metrics["watch_breaches"] == 2
    assert kept.data.tags["watch"].startswith("breach: a has drifted: index ")
    assert {file.path for file in client.list_artifacts(run)} == {"watch.json", "watch.html"}
    page = Path(client.download_artifacts(run, "watch.html", str(scoring.folder))).read_text(encoding="utf-8")
    assert "The newest file is beyond a limit" in page and "<svg" in page
    content = json.loads(Path(client.download_artifacts(run, "watch.json", str(scoring.folder))).read_text())
    assert [window["file_name"] for window in content["windows"]] == ["shifted.csv"]


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of a watching step")
def test_a_watch_killed_at_any_request_leaves_one_window_and_loses_none(scoring: Scoring) -> None:
    scoring.score_and_watch("whole", rows_of(200))
    requests = scoring.requests
    assert requests >= 5, "windows, ledger, measures, window, history"

    template = scoring.entry("whole")
    # Before a request is after the one before it.
    for moment in (f"{number}:after" for number in range(1, requests + 1)):
        name = f"file-{moment.replace(':', '-')}"
        scoring.copy(template, name)
        killed = scoring.watch(scoring.start(), kill_at=moment)
        assert killed.returncode == -9, (moment, killed.stderr)
        before = scoring.windows(name)
        again = scoring.watch(scoring.start())
        assert again.returncode == 0, (moment, again.stderr)
        (window,) = scoring.windows(name)
        assert before in ([], [window]), "what was written stays as it is"
        assert (window.file_version, window.verdict) == (name, "passed"), moment


@pytest.mark.nightly
def test_files_of_runs_that_were_killed_before_they_watched_are_watched_by_the_next_run(scoring: Scoring) -> None:
    ended, killed = scoring.start(), scoring.start()
    assert scoring.score("unwatched", rows_of(200, shift=20), ended).returncode == 0
    # Requests of a step without refused rows: entry, refusal, predictions, measures, entry, folder, rename.
    assert scoring.score("unsettled", rows_of(200, shift=20), killed, kill_at="6:before").returncode == -9
    assert [scoring.windows(name) for name in ("unwatched", "unsettled")] == [[], []]

    output = scoring.score_and_watch("next", rows_of(200))

    for name, run in (("unwatched", ended), ("unsettled", killed)):
        assert f"{name}.csv: breach: a has drifted" in output
        (window,) = scoring.windows(name)
        assert window.run == run
        assert scoring.blobs.get_blob_client(f"{window.output}/predictions.parquet").exists()
    assert "next.csv: no breach" in output


@pytest.mark.nightly
def test_a_version_that_was_registered_without_profiles_is_not_comparable(scoring: Scoring) -> None:
    output = scoring.score_and_watch("older", rows_of(200), version="1")

    assert (
        "older.csv: not comparable (version 1 has no profile of its data; version 1 has no profile of its predictions)."
    ) in output
    (window,) = scoring.windows("older")
    assert window.verdict == "not_comparable"


@pytest.mark.nightly
def test_labels_are_held_against_the_gate_once_and_unknown_keys_are_counted(scoring: Scoring) -> None:
    rows = rows_of(100, first=10_000)
    scoring.score_and_watch("labelled", rows)
    truth = pd.DataFrame({"id": [*rows["id"], -1, -2], "y": [*(2 * rows["a"] + 20), 1, 2]})
    scoring.blobs.upload_blob(LABELS, truth.head(50).to_csv(index=False))
    early = scoring.score_and_watch("early", rows_of(100, first=20_000))
    assert "Labels: 50 rows, 0 of keys that no scored file has, 0 without a label" in early
    assert "labelled.csv: 100 rows have labels" not in early, "half of them is too few"

    scoring.blobs.upload_blob(LABELS, truth.to_csv(index=False), overwrite=True)
    output = scoring.score_and_watch("late", rows_of(100, first=30_000))
    again = scoring.score_and_watch("later", rows_of(100, first=40_000))

    assert (
        "Labels: 102 rows, 2 of keys that no scored file has, 0 without a label, 0 that contradict another." in output
    )
    assert "labelled.csv: 100 rows have labels: rmse 20." in output
    assert "  Breach: rmse is 20 by the labels, and at most 6.5 is required." in output
    assert "labels" not in again.lower(), "neither judged nor counted twice"
    history = scoring.history.read(100)
    (window,) = scoring.windows("labelled")
    judgement = history.judgements[window.id]
    assert judgement.metrics == {"rmse": pytest.approx(20)} and judgement.gate == {"rmse": 1.5}
    assert [breach.kind for breach in history.breaches(window)] == ["realised"]


@pytest.mark.nightly
def test_labels_are_held_against_the_rows_of_a_compacted_table(scoring: Scoring) -> None:
    score = Score(notebook="n", input="scoring/in/n", keys=("id",), most_refused=0.5, format="delta")
    tables = replace(scoring, specification=SPECIFICATION.model_copy(update={"score": score}))
    rows = rows_of(100, first=110_000)
    tables.score_and_watch("row-of-table", rows)
    tables.score_and_watch("other-row-of-table", rows_of(100, first=120_000))
    table = tables.table()
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    entry = tables.entry("row-of-table")
    assert not scoring.blobs.get_blob_client(f"{entry.output}/predictions.parquet").exists()

    truth = pd.DataFrame({"id": [*rows["id"], -1], "y": [*(2 * rows["a"] + 20), 1]})
    scoring.blobs.upload_blob(LABELS, truth.to_csv(index=False), overwrite=True)
    output = tables.score_and_watch("after-vacuum", rows_of(100, first=130_000))

    assert "Labels: 101 rows, 1 of keys that no scored file has" in output
    assert "row-of-table.csv: 100 rows have labels: rmse 20." in output


@pytest.mark.nightly
def test_labels_of_a_version_that_was_deleted_are_compared_with_the_gate_s_own_bounds(scoring: Scoring) -> None:
    client = mlflow.MlflowClient(scoring.tracking)
    source = client.get_model_version(MODEL, "2").source
    assert source is not None
    version = str(client.create_model_version(MODEL, source, tags={"metric.rmse": "1.5"}).version)
    rows = rows_of(100, first=140_000)
    scoring.score_and_watch("deleted-version", rows, version)
    client.delete_model_version(MODEL, version)

    truth = pd.DataFrame({"id": rows["id"], "y": 2 * rows["a"] + 20})
    scoring.blobs.upload_blob(LABELS, truth.to_csv(index=False), overwrite=True)
    output = scoring.score_and_watch("after-deletion", rows_of(100, first=150_000))

    assert "deleted-version.csv: 100 rows have labels: rmse 20." in output
    assert "Breach: rmse" not in output, "the version's own metric is gone"


@pytest.mark.nightly
def test_labels_that_cannot_be_used_fail_the_step_after_all_else(scoring: Scoring) -> None:
    scoring.blobs.upload_blob(LABELS, "key,y\n1,2\n", overwrite=True)
    run = scoring.start()
    assert scoring.score("bad-labels", rows_of(100), run).returncode == 0

    watched = scoring.watch(run)

    assert watched.returncode == 1
    assert watched.stderr.strip().splitlines()[-1] == (
        f"The predictions are committed; {LABELS} has no labels that can be used: its header lacks id: it has key, y."
    )
    assert len(scoring.windows("bad-labels")) == 1


@pytest.mark.nightly
def test_metrics_that_are_not_accepted_fail_the_step_after_all_else_and_wait_for_the_next_run(scoring: Scoring) -> None:
    scoring.blobs.delete_blob(LABELS)
    run = scoring.start()
    assert scoring.score("unsent", rows_of(200, shift=20), run).returncode == 0

    watched = scoring.watch(run, telemetry="InstrumentationKey=none")

    assert watched.returncode == 1
    assert (
        watched.stderr.strip()
        .splitlines()[-1]
        .startswith(
            "The predictions are committed; their metrics are sent by the next run: The connection string of "
            "Application Insights is not valid"
        )
    )
    (window,) = scoring.windows("unsent")
    assert scoring.blobs.get_blob_client(f"{window.output}/predictions.parquet").exists()
    assert "watch" in mlflow.MlflowClient(scoring.tracking).get_run(run).data.tags
    assert scoring.history.unsent([window]) == [window]
    scoring.history.mark_sent(window)
    assert scoring.history.unsent([window]) == []


def test_a_refused_file_is_a_breach_and_watched_once(scoring: Scoring) -> None:
    run = scoring.start()
    scoring.leave_failed("unreadable", "the header lacks a", refused=True)
    assert scoring.score_prepared(["unreadable"], run).returncode == 0
    watched = scoring.watch(run)
    again = scoring.watch(scoring.start())

    assert watched.returncode == 0, watched.stderr
    breach = "nothing is scored, the file is refused: the header lacks a"
    assert f"unreadable.csv: breach: {breach}." in watched.stdout
    assert "unreadable.csv" not in again.stdout
    (window,) = scoring.windows("unreadable")
    assert (window.verdict, window.run, window.refused_share) == ("breach", run, 1.0)
    assert [(item.kind, item.message) for item in window.breaches] == [("refused", breach)]
    assert not scoring.history.read(1).is_judged(window), "no training mends a file that nothing can read"


@pytest.mark.nightly
def test_a_file_that_cannot_be_scored_fails_the_watch_after_the_others_are_watched(scoring: Scoring) -> None:
    run = scoring.start()
    scoring.leave_failed("lost", "rows are lost", refused=False)
    scoring.leave_failed("beside", "the header lacks a", refused=True)

    alone = scoring.score_prepared(["lost"], run)
    together = scoring.score_prepared(["lost", "beside"], run)
    watched = scoring.watch(run)

    assert (alone.returncode, together.returncode, watched.returncode) == (1, 0, 1), together.stderr
    message = "The file lost.csv is not scored: rows are lost."
    assert all(completed.stderr.strip().splitlines()[-1] == message for completed in (alone, together, watched))
    assert [window.verdict for window in scoring.windows("beside")] == ["breach"]


@pytest.mark.nightly
def test_breaches_in_a_row_ask_for_a_work_item_once(scoring: Scoring) -> None:
    watch = Watch.model_validate({"retrain": "work_item", "windows": 2})
    asking = replace(scoring, specification=SPECIFICATION.model_copy(update={"watch": watch}))
    assert "asks for a work item" not in asking.score_and_watch("asks-1", rows_of(500, first=60_000))
    assert "asks for a work item" not in asking.score_and_watch("asks-2", rows_of(500, shift=30, first=61_000))
    assert "retraining-doubled-000001 asks for a work item." in asking.score_and_watch(
        "asks-3", rows_of(500, shift=30, first=62_000)
    )
    later = asking.score_and_watch("asks-4", rows_of(500, shift=30, first=63_000))
    assert "asks for a work item" not in later, "a file leads to one request, and two are needed"
    assert asking.history.followed(asking.entry("asks-3").run) == "retraining-doubled-000001 asks for a work item"
    assert asking.history.followed(asking.entry("asks-4").run) == ""
    (request,) = Requests(scoring.blobs, MODEL).all()
    assert (request.mode, len(request.windows), request.run) == ("work_item", 2, None)
    assert request.reasons and request.reasons[0].startswith("a has drifted")


@pytest.mark.nightly
def test_a_pipeline_that_retrains_without_an_identity_for_it_fails_after_all_else(scoring: Scoring) -> None:
    watch = Watch.model_validate({"retrain": "on_drift", "windows": 1})
    lacking = replace(scoring, specification=SPECIFICATION.model_copy(update={"watch": watch}))
    run = lacking.start()
    assert lacking.score("lacking", rows_of(500, first=70_000), run).returncode == 0
    watched = lacking.watch(run)
    assert watched.returncode == 1
    assert "the stack had no identity that starts retrainings when the pipeline was published" in watched.stderr
    assert len(lacking.windows("lacking")) == 1
