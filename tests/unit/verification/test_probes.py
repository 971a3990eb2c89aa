"""The list of probes: complete enough to be asked and to be read."""

from __future__ import annotations

import re
from pathlib import Path

from verification.probe import Kind
from verification.probes import PROBES


def test_every_probe_states_its_belief_and_reason() -> None:
    names = [probe.name for probe in PROBES]
    assert len(set(names)) == len(names)
    for probe in PROBES:
        assert probe.believed and probe.basis, probe.name
        assert (probe.ask is None) == (probe.kind is Kind.MANUAL) == bool(probe.steps), probe.name


def test_the_document_lists_the_probes_and_their_changes() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "verify-azure.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    listed = {name: row[3].strip() for row in rows for name in re.findall(r"`([a-z-]+)`", row[1])}

    assert set(listed) == {probe.name for probe in PROBES}
    for probe in PROBES:
        assert (listed[probe.name] == "nothing") == (probe.kind is Kind.READ), probe.name


def test_probes_cover_the_open_questions_of_the_code() -> None:
    """The open questions that the code depends on."""
    assert {probe.name for probe in PROBES} >= {
        "identity-datastore", "step-output-path", "default-deployment-after-update", "environment-version",
        "external-location", "base-image-tag", "agentless-job", "image-build-time", "studio-preview-private",
        "budget-update", "registered-providers", "role-propagation", "shared-folder",
    }  # fmt: skip
