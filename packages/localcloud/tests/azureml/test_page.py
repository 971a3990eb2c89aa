"""The page of all jobs."""

from __future__ import annotations

from localcloud.azureml.jobs.page import _pairs


def test_the_list_of_jobs_shows_the_first_metrics_of_a_job_alone() -> None:
    few = {f"m{number}": "<1>" for number in range(10)}
    assert _pairs(few).split("<br>") == [f"<small>m{number}</small> &lt;1&gt;" for number in range(10)]

    many = few | {"m10": "1", "m11": "1"}
    assert _pairs(many).split("<br>")[10:] == ["<small>and 2 more</small>"], "the job's own page has all of them"
