"""Decide whether the new model is registered: by the pipeline's gate, against the version that serves.

Its data are compared with that version's, too, and warnings are stored. A drift that is an error has ended the run
before the training, by check_data; here it ends a run during whose training another version began to serve.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from steps import data_results, gate, models, run_records, scored_measures, serving_data
from steps.inputs import specification
from steps.reporting.details import details
from steps.specification import Specification

_OWN_METRICS = "metrics"
"""The pipeline's own metrics.py, which publishing puts beside this program."""


def find_champion(specified: Specification, rows: pd.DataFrame) -> tuple[gate.Champion | None, Path | None]:
    """Return the registered version that serves, with its predictions for the rows, and its files.

    They are None without a version, or when its files cannot be read.
    """
    version = serving_data.serving_version(specified.model)
    if version is None:
        return None, None
    try:
        files = serving_data.files_of(specified.model, version)
    except serving_data.UnreadableVersionError as error:
        return gate.Champion(version, None, str(error)), None
    try:
        predictions = models.predict(models.load(str(files)), rows, specified.target)
    except models.NotComparableError as error:
        return gate.Champion(version, None, str(error)), files
    return gate.Champion(version, predictions), files


def own_metrics(specified: Specification) -> Mapping[str, gate.OwnMetric]:
    """Return the functions of the pipeline's metrics.py that its gate names; none when it has no such file."""
    if importlib.util.find_spec(_OWN_METRICS) is None:
        return {}
    module = importlib.import_module(_OWN_METRICS)
    return {
        metric.name: getattr(module, metric.name) for metric in specified.gate.metrics if hasattr(module, metric.name)
    }


def evaluation(verdict: gate.Verdict, report_details: dict[str, Any]) -> dict[str, Any]:
    """Return the content of evaluation.json; `report_details` are the figures of the report beside the verdict."""
    champion = None
    if verdict.champion_version is not None:
        champion = {"version": verdict.champion_version, "metrics": verdict.champion_metrics}
    return {
        "metrics": verdict.metrics,
        "champion": champion,
        "comparisons": [asdict(comparison) for comparison in verdict.comparisons],
        "slices": [asdict(result) for result in verdict.slices],
        "decision": {"register": verdict.register, "reason": verdict.reason},
        "details": report_details,
    }


def log(verdict: gate.Verdict) -> None:
    """Put the numbers and the decision into the job's MLflow run."""
    with mlflow.start_run():
        mlflow.log_metrics(verdict.metrics)
        mlflow.log_metrics({f"champion_{name}": value for name, value in verdict.champion_metrics.items()})
        for comparison in verdict.comparisons:
            mlflow.log_metrics(
                {
                    f"gain_{comparison.metric}": comparison.gain,
                    f"gain_{comparison.metric}_low": comparison.low,
                    f"gain_{comparison.metric}_high": comparison.high,
                    f"gain_{comparison.metric}_probability": comparison.probability,
                }
            )
        mlflow.set_tags(
            {
                "decision": verdict.reason,
                "registered": str(verdict.register).lower(),
                "champion_version": verdict.champion_version or "none",
            }
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "held-out", "checked", "evaluation"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    specified = specification()
    rows = pd.read_parquet(options.held_out).reset_index(drop=True)
    champion, files = find_champion(specified, rows)
    version = None if champion is None else champion.version
    data = serving_data.compare(specified, options.checked, version, files)
    data_results.write(options.evaluation, data, data_results.read_profile(options.checked))
    run_records.keep(data, options.evaluation)
    for rule in data.warnings:
        print(f"Warning: {rule.message}.")
    if not data.accepted:
        sys.exit(f"The data break their contract: {'; '.join(rule.message for rule in data.errors)}.")
    try:
        model, own = models.load(str(options.model)), own_metrics(specified)
        challenger = models.predict(model, rows, specified.target)
        verdict = gate.judge(specified.gate, rows, challenger, champion, own)
    except (models.NotComparableError, gate.GateError) as error:
        sys.exit(f"The new model cannot be judged: {error}.")
    log(verdict)
    profile = scored_measures.prediction_profile(challenger, specified)
    (options.evaluation / data_results.PREDICTION_PROFILE_FILE).write_text(profile.model_dump_json(indent=2), "utf-8")
    compared = champion if verdict.champion_metrics else None
    report_details = details(specified, model, rows, challenger, compared, own)
    (options.evaluation / "evaluation.json").write_text(
        json.dumps(evaluation(verdict, report_details), indent=2), encoding="utf-8"
    )
    print(f"{'Register' if verdict.register else 'Do not register'}: {verdict.reason}.")


if __name__ == "__main__":
    main()
