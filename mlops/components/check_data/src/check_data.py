"""Judge the training data: end the run when they break the pipeline's contract, before a model is trained on them.

It ends the run as well when the specification names columns that the engineered set does not have.

The notebook has held each row against the rules where Spark is. What it counted is in a file beside the engineered set;
this program makes the profile of it and ends the run or lets it go on. The distance to the data of the version that
serves is evaluate's to judge: it depends on more than the data, so that this step could not be reused.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from steps import data_results, profiles
from steps.data_results import ContractResult
from steps.inputs import specification

_COUNTS = "_data_contract"


def read_counts(engineered: Path) -> dict[str, Any]:
    """Return the notebook's counts. Ends the program when it has not."""
    files = sorted((engineered / _COUNTS).glob("part-*"))
    if not files:
        sys.exit(
            "The notebook left no counts of its data: it has to make its features by engineer(…), as "
            "docs/how-to/change-a-data-contract.md shows."
        )
    content: dict[str, Any] = json.loads(files[0].read_text(encoding="utf-8"))
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("engineered", "checked"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    specified = specification()
    counts = read_counts(options.engineered)
    result = ContractResult.model_validate(counts)
    profile = None
    if counts["measures"]:
        show_values = specified.data_contract.show_values
        profile = profiles.profile(counts["measures"], result.rows_read, specified.target, show_values=show_values)
    data_results.write(options.checked, result, profile)
    if result.rows_kept is not None:
        print(f"Rows: {result.rows_read} read, {result.rows_kept} kept, {result.rows_dropped} dropped.")
    for rule in result.warnings:
        print(f"Warning: {rule.message}.")
    where = f" Rows that break a rule: {result.quarantine}." if result.quarantine else ""
    if not result.accepted:
        # Of data that are accepted evaluate does it, when all is known. MLflow takes a second to be imported.
        from steps import run_records

        run_records.keep(result, options.checked)
        broken = "; ".join(rule.message for rule in result.errors)
        sys.exit(f"The data break their contract: {broken}. The file: {result.source}.{where}")
    # pyarrow is imported for data that keep their contract: there is a set then.
    from steps.engineered_columns import unknown

    if faults := unknown(options.engineered, specified):
        sys.exit(f"pipeline.yml does not fit the engineered set: {'; '.join(faults)}.")
    (options.checked / data_results.MEASURES_FILE).write_text(json.dumps(counts["measures"]), encoding="utf-8")
    print(f"The data keep their contract: {len(result.rules)} rules.{where}")


if __name__ == "__main__":
    main()
