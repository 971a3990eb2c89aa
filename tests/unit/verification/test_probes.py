"""The list of probes: complete enough to be asked and to be read."""

from __future__ import annotations

from verification.probe import Kind
from verification.probes import PROBES


def test_every_probe_says_what_is_believed_and_why() -> None:
    names = [probe.name for probe in PROBES]
    assert len(set(names)) == len(names)
    for probe in PROBES:
        assert probe.believed and probe.basis, probe.name
        assert (probe.ask is None) == (probe.kind is Kind.MANUAL) == bool(probe.steps), probe.name


def test_what_azure_has_to_tell_first_is_asked() -> None:
    """The open questions that the code depends on."""
    assert {probe.name for probe in PROBES} >= {
        "identity-datastore", "step-output-path", "default-deployment-after-update", "environment-version",
        "external-location", "base-image-tag", "agentless-job", "image-build-time", "studio-preview-private",
        "budget-update", "registered-providers", "role-propagation", "shared-folder",
    }  # fmt: skip
