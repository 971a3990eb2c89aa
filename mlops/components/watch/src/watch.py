"""Watch scored files: compare each with the data of the version that scored it, and earlier ones with their labels.

Files that were refused as a whole are watched too.

The most valuable results are stored first. The table of history is written first, by conditional writes; then the
run's metrics and artifacts, the telemetry, and reactions to breaches. Predictions are committed before this step
begins: they stay when it fails, and the next run watches the files that this run did not.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import mlflow
import pandas as pd
import watch_telemetry  # type: ignore[import-not-found]
from after_breaches import Place, follow  # type: ignore[import-not-found]
from azure.core.exceptions import AzureError, ResourceNotFoundError
from containers import Container, connect, job_credential  # type: ignore[import-not-found]
from ledger import ENTRIES_FILE, FAILURES_FILE, REFUSALS_FILE, Entry  # type: ignore[import-not-found]
from mlflow.exceptions import MlflowException
from refused_files import read_refusal, unwatched_refusals  # type: ignore[import-not-found]
from scored_files import LOOK_BACK, Predictions, measures, unwatched  # type: ignore[import-not-found]
from watch_history import WatchHistory  # type: ignore[import-not-found]
from watch_records import keep  # type: ignore[import-not-found]

from steps import data_results, realised, watching
from steps.data_results import Profile
from steps.inputs import parameter, specification
from steps.specification import Specification
from steps.telemetry import TelemetryError
from steps.watch_results import History, Judgement, LabelsReport, Window, summary

_MOST_WINDOWS = 50
"""Newest windows that the run's page shows and whose labels are read."""


class Watcher:
    """Watches a model's scored files. `problems` are reasons of incomplete work, as sentences without a full stop."""

    def __init__(self, specified: Specification, container: Container) -> None:
        self._specified = specified
        self._container = container
        self.blobs = container.blobs
        self._champions = cache(self._champion)
        self._gates = cache(self._gate)
        self.history = WatchHistory(container.blobs, specified.model)
        self.problems: list[str] = []

    def watch(self, own: Path) -> list[Window]:
        """Add a window for each scored or refused file without one, also of earlier runs; return these windows.

        `own` is the output of the score step.
        """
        entries = [Entry.parse(content) for content in listed(own / ENTRIES_FILE)]
        refusals = [read_refusal(content) for content in listed(own / REFUSALS_FILE)]
        watched, since = self.history.names(), datetime.now(UTC) - LOOK_BACK
        added = [self._judged(window) for window in unwatched(self._container, self._specified.model, watched, entries)]
        added += unwatched_refusals(self.blobs, self._specified, watched, refusals, since)
        return [self.history.add(window) for window in sorted(added, key=lambda window: window.id)]

    def judge_labels(self) -> list[Judgement]:
        """Add a judgement for each window that has enough labels now and none yet."""
        named = self._specified.watch.labels if self._specified.watch else None
        if named is None:
            return []
        judged: list[Judgement] = []
        try:
            download = self.blobs.download_blob(named.file)
            labels = realised.read_labels(io.BytesIO(download.readall()), named.keys, self._specified.target)
            self._hold_against(labels, str(download.properties.etag), judged)
        except ResourceNotFoundError:
            print(f"There are no labels yet: {named.file} does not exist.")
        except realised.LabelsError as error:
            self.problems.append(f"{named.file} has no labels that can be used: {error}")
        return judged

    def _hold_against(self, labels: realised.Labels, content: str, judged: list[Judgement]) -> None:
        """Judge the windows that this state of the labels, by its ETag, has news of, and report on a new state."""
        history, now = self.history.read(_MOST_WINDOWS), datetime.now(UTC)
        before = self.history.labels(content)
        known, predictions = [], Predictions(self.blobs)
        for window in history.windows:
            if before is not None and (window.id in history.judgements or window.watched_at < before.read_at):
                continue
            if not window.rows_scored:
                continue
            rows = predictions.read(window, labels.keys)
            if rows is None:
                continue
            known.append(rows)
            if window.id not in history.judgements:
                gate = self._gates(window.model_version)
                judgement = realised.judge(window, rows, labels, self._specified, gate, now)
                if judgement is not None:
                    judged.append(self.history.judge(judgement))
        if before is None:
            self._report(labels, content, known, now)

    def _report(self, labels: realised.Labels, content: str, known: list[pd.DataFrame], read_at: datetime) -> None:
        report = LabelsReport(
            content=content, read_at=read_at, rows=labels.read, without_label=labels.without_label,
            contradicting=realised.contradicting(labels, known), unknown=realised.unknown_keys(labels, known),
        )  # fmt: skip
        self.history.add_labels(report)
        print(
            f"Labels: {report.rows} rows, {report.unknown} of keys that no scored file has, {report.without_label} "
            f"without a label, {report.contradicting} that contradict another."
        )

    def _judged(self, window: Window) -> Window:
        measured = measures(self.blobs, window)
        if measured is None:
            return window.model_copy(update={"not_compared": "nothing was measured when it was scored"})
        return watching.judge(window, self._specified, measured, self._champions(window.model_version))

    def _champion(self, version: str) -> watching.Champion:
        """Return the profiles of a version, none for a version that was deleted since.

        Raises the errors of a server.
        """
        try:
            folder = Path(mlflow.artifacts.download_artifacts(f"models:/{self._specified.model}/{version}"))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return watching.Champion(None, None)
        return watching.Champion(
            _profile(folder, data_results.PROFILE_FILE), _profile(folder, data_results.PREDICTION_PROFILE_FILE)
        )

    def _gate(self, version: str) -> dict[str, float]:
        """Return the metrics of a version on its held-out rows, which its registration kept as tags.

        There are none for a version that was deleted since: the gate's own bounds are left. Raises the errors of a
        server.
        """
        try:
            tags = mlflow.MlflowClient().get_model_version(self._specified.model, version).tags or {}
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}
        prefix = "metric."
        return {name.removeprefix(prefix): float(text) for name, text in tags.items() if name.startswith(prefix)}


def listed(file: Path) -> list[dict[str, object]]:
    """Return the content of a file in the score step's output."""
    content: list[dict[str, object]] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _profile(folder: Path, name: str) -> Profile | None:
    try:
        return data_results.read_profile(folder, name)
    except (OSError, ValueError):  # a version that was registered before there was one
        return None


def say(windows: Sequence[Window], judged: Sequence[Judgement], history: History) -> None:
    """Print the results. Names of files and columns are percent-encoded, or come from the specification."""
    names = {window.id: window.file_name for window in history.windows}
    for window in windows:
        print(f"{window.file_name}: {summary(window)}.")
    for judgement in judged:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in judgement.metrics.items())
        print(f"{names[judgement.window]}: {judgement.rows_labelled} rows have labels: {metrics}.")
        for breach in judgement.breaches:
            print(f"  Breach: {breach.message}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scored", type=Path, required=True)
    options = parser.parse_args()
    specified, credential = specification(), job_credential()
    watcher = Watcher(specified, connect(parameter("container_uri"), credential))
    try:
        windows = watcher.watch(options.scored)
        judged = watcher.judge_labels()
        history = watcher.history.read(_MOST_WINDOWS)
    except (AzureError, MlflowException, OSError) as error:
        sys.exit(f"The predictions are committed, and are not watched before the next run: {error}.")
    say(windows, judged, history)
    try:
        keep(specified, windows, judged, history)
    except MlflowException as error:
        watcher.problems.append(f"the run in MLflow lacks the results of watching: {error}")
    place = parameter("telemetry")
    if place == watch_telemetry.NOWHERE:
        print("No metrics are sent: the stack has no output application_insights_connection_string.")
    else:
        try:
            watch_telemetry.send(watcher.history, history, place, credential)
        except (TelemetryError, AzureError) as error:
            watcher.problems.append(f"their metrics are sent by the next run: {str(error).rstrip('.')}")
    training = Place(
        parameter("container_uri"), parameter("training_endpoint"), parameter("training_component"),
        parameter("training_experiment"), parameter("retraining_client_id"), parameter("incoming"), parameter("others"),
    )  # fmt: skip
    try:
        if text := follow(specified, watcher.history, watcher.blobs, credential, training):
            print(f"{text}.")
            watcher.history.note_followed(os.environ["AZUREML_ROOT_RUN_ID"], text)
    except (AzureError, ValueError) as error:
        watcher.problems.append(f"reactions to breaches are left to the next run: {str(error).rstrip('.')}")
    lines = [f"The predictions are committed; {problem}." for problem in watcher.problems]
    failures = listed(options.scored / FAILURES_FILE)
    lines += [f"The file {failure['file_name']} is not scored: {failure['reason']}." for failure in failures]
    if lines:
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
