"""Choice of the champion, the serving one, among registered versions. The rule reads tags alone.

Azure ML's MLflow has no aliases of model versions (learn.microsoft.com/azure/machine-learning/
how-to-manage-models-mlflow), so that tags hold the facts there and on every other tracking server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PROMOTED_FROM, PROMOTED_AT, ROLLED_BACK_AT = "promoted_from", "promoted_at", "rolled_back_at"
"""Tags of a version: origin and time of its promotion, and time of its rollback. Times sort as text."""

DEPLOYMENT = "deployment"
"""Tag of a promoted version: the deployment that the promotion made the endpoint's default."""

CHAMPION = "champion"
"""Value in place of a version's number: the version that serves when the step begins."""

NOT_COMPARED = "none"
"""Value in place of a version's number: none is registered, or none is needed."""

INPUT = "serving_version"
"""Input of a published pipeline whose data contract ends runs by drift: the version that serves."""


def champion(versions: Iterable[tuple[str, Mapping[str, str]]]) -> str | None:
    """Return the version that serves, None when there is none. `versions`: number and tags of each.

    If versions were promoted, the version with the newest promotion that was not rolled back serves, regardless of
    later trainings. Otherwise the newest one does. A version whose name is no number was made by hand, and is never
    the champion.
    """
    standing = [(version, tags) for version, tags in versions if version.isdecimal() and ROLLED_BACK_AT not in tags]
    promoted = [(version, tags) for version, tags in standing if PROMOTED_FROM in tags]
    if promoted:
        return max(promoted, key=lambda item: (item[1].get(PROMOTED_AT, ""), int(item[0])))[0]
    return max((version for version, _ in standing), key=int, default=None)
