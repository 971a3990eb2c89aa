"""Judge the training data: end the run when they break the pipeline's contract, before a model is trained on them.

It ends the run as well when the specification names columns that the engineered set does not have.

The notebook has checked each row against the rules with Spark. Its counts are in a file beside the engineered set;
this program makes the profile from them, and ends the run or lets it go on.

Where the contract calls a drift an error, the data are compared with the data of the registered version that the input
`serving_version` names. The step depends on its inputs alone, and can be reused: a version's files never change.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from steps import champion, data_results, profiles
from steps.data_results import ContractResult
from steps.inputs import parameter, specification
from steps.specification import Specification

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


def compared(specified: Specification, checked: Path, version: str) -> ContractResult:
    """Return the result with the rules of drift. `version` is a registered one, or `champion`."""
    # MLflow and scipy take two seconds to be imported, which other contracts do not need.
    from steps import serving_data

    number = serving_data.serving_version(specified.model) if version == champion.CHAMPION else version
    files = None
    if number is not None:
        try:
            files = serving_data.files_of(specified.model, number)
        except serving_data.UnreadableVersionError as error:
            print(f"Version {number} of {specified.model}: {error}.", file=sys.stderr)
    return serving_data.compare(specified, checked, number, files)


def refuse(result: ContractResult, checked: Path) -> NoReturn:
    """Store a broken contract's result in the pipeline's run, and end the program."""
    # For accepted data evaluate does it, when all results are there. MLflow takes a second to import.
    from steps import run_records

    run_records.keep(result, checked)
    broken = "; ".join(rule.message for rule in result.errors)
    sys.exit(f"The data break their contract: {broken}. The file: {result.source}.{quarantine(result)}")


def quarantine(result: ContractResult) -> str:
    """Return the sentence about example rows, with a space before it; nothing where there are none."""
    return f" Rows that break a rule: {result.quarantine}." if result.quarantine else ""


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
    if not result.accepted:
        refuse(result, options.checked)
    # pyarrow is imported for data that keep their contract: there is a set then.
    from steps.engineered_columns import unknown

    if faults := unknown(options.engineered, specified):
        sys.exit(f"pipeline.yml does not fit the engineered set: {'; '.join(faults)}.")
    (options.checked / data_results.MEASURES_FILE).write_text(json.dumps(counts["measures"]), encoding="utf-8")
    version = parameter("serving_version")
    if version != champion.NOT_COMPARED:
        drifted = compared(specified, options.checked, version)
        if not drifted.accepted:
            data_results.write(options.checked, drifted, profile)
            refuse(drifted, options.checked)
        # The step evaluate keeps the rules of drift: the new model is judged against the version that serves then.
        basis = f"those of version {drifted.compared_with}" if drifted.compared_with else drifted.not_compared
        print(f"Drift: the data are {'near ' if drifted.compared_with else 'not compared: '}{basis}.")
    print(f"The data keep their contract: {len(result.rules)} rules.{quarantine(result)}")


if __name__ == "__main__":
    main()
