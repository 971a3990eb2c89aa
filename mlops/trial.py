"""Trial of a promotion: the version has to score a sample and serve online, else the promotion is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from mlops import failures, promote, rollback, rollout, scoring
from mlops.clients import Clients
from mlops.errors import GateError
from mlops.promote import Promotion
from mlops.publish import Say

TRIED = "sample_scored_at"
"""Tag of a version: when it scored its sample."""


def try_promotion(target: Clients, promotion: Promotion, say: Say, console: Console) -> None:
    """Score a sample with the promoted version, if the pipeline scores.

    Raises GateError when it is not scored. Then the promotion is taken back, unless the version scored a sample
    before: the cause must be elsewhere then.
    """
    if target.pipeline.specification.score is None:
        say(f"{target.pipeline.name} does not score: nothing to try")
        return
    name = target.pipeline.model
    model = target.ml.models.get(name, promotion.model_version)
    tags = dict(model.tags or {})
    stays = ""
    if tags.get(TRIED, "") >= tags.get(promote.AT, ""):
        stays = (
            f"Version {promotion.model_version} of {name} did not score a sample. It serves on, since it scored a "
            "sample when it was promoted."
        )
    # An interrupted trial proves no version.
    with _taken_back(target, promotion, say, "did not score a sample", stays, (Exception, KeyboardInterrupt)):
        entry = scoring.score_sample(target, console)
    promote.tag(target.ml, model, {TRIED: promote.stamp()})
    say(f"sample: {entry.rows_scored} of {entry.rows_read} rows scored by version {entry.model_version}")


def serve_promotion(target: Clients, promotion: Promotion, say: Say) -> None:
    """Let the promoted version answer online requests, if the pipeline serves online.

    Raises GateError when it does not answer: the traffic is restored, and the promotion is taken back, unless the
    version answered before with other settings.
    """
    if target.pipeline.specification.serve is None:
        return
    name, version = target.pipeline.model, promotion.model_version
    stays = ""
    if rollout.answers_with(target, version):
        stays = (
            f"Version {version} of {name} serves on with the settings that it had, since it does not serve with those "
            "of pipeline.yml."
        )
    with _taken_back(target, promotion, say, "does not serve online", stays, (Exception,)):
        rollout.serve(target, say)


@contextmanager
def _taken_back(
    target: Clients,
    promotion: Promotion,
    say: Say,
    failure: str,
    stays: str,
    errors: tuple[type[BaseException], ...],
) -> Iterator[None]:
    """Take the promotion back when the block fails, unless `stays` has a reason; raise GateError either way."""
    try:
        yield
    except errors as error:
        reason = failures.message(error) or f"{type(error).__name__}: {error}"
        if stays:
            raise GateError(f"{stays}\n{reason}") from error
        rollback.take_back(target, promotion.model_version, say)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise GateError(
            f"Version {promotion.model_version} of {target.pipeline.model} was promoted and {failure}, so that the "
            f"promotion was taken back.\n{reason}"
        ) from error
