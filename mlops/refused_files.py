"""Files of the input folder that were refused, and wait for a person."""

from __future__ import annotations

from mlops.clients import Clients
from mlops.components.score.src.ledger import FIRST, SAMPLE, Refusal
from mlops.components.take_files.src.incoming import listing
from mlops.scoring_runs import model_ledger


def waiting(clients: Clients) -> list[Refusal]:
    """Return the first refusal of each file that is in the input folder and was not scored, the oldest first.

    Another published version may have refused it since, which is no news for its reader.
    """
    ledger = model_ledger(clients)
    contents = ledger.contents()
    scored = {version for version, attempt in contents.scored if not attempt.startswith(SAMPLE)}
    files = {
        file.refused_as
        for file in listing(clients.training, clients.pipeline.score.input, contents, FIRST, "")
        if file.refused_as not in scored
    }
    first: dict[str, Refusal] = {}
    for version, attempt, code_version in sorted(contents.refused):
        refusal = ledger.refusal(version, attempt, code_version) if version in files else None
        if refusal is not None and (version not in first or refusal.refused_at < first[version].refused_at):
            first[version] = refusal
    return sorted(first.values(), key=lambda refusal: (refusal.refused_at, refusal.file_name))
