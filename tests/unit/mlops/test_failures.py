"""Errors that a user can act on become one message; bugs keep their traceback."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ODataV4Format, ServiceRequestError
from azure.core.rest import HttpRequest

from mlops import failures
from mlops.errors import MissingError
from mlops.run import last_words, reason


def test_our_own_errors_are_shown_as_written() -> None:
    assert failures.message(MissingError("x is missing")) == "x is missing"


def test_a_refused_sign_in_keeps_entra_s_error_number() -> None:
    error = ClientAuthenticationError(
        "DefaultAzureCredential failed…\nEnvironmentCredential: Authentication failed: AADSTS7000215: Invalid client "
        "secret provided. Ensure the secret is right.\nMore"
    )

    message = failures.message(error)

    assert message == (
        "Signing in to Azure failed: AADSTS7000215: Invalid client secret provided. Ensure the secret is right."
    )


def test_a_host_that_does_not_answer_is_named_with_a_remedy() -> None:
    error = ServiceRequestError("HTTPSConnectionPool(host='management.azure.com', port=443): connection refused")

    message = failures.message(error)

    assert message is not None
    assert message.startswith("Cannot connect to management.azure.com:")
    assert "Is the endpoint up" in message


def test_a_failed_operation_is_named_without_the_status_of_the_request_that_read_its_state() -> None:
    request = HttpRequest("GET", "https://management.azure.com/operationStatuses/1")
    response: Any = _Response(200, request)
    error = HttpResponseError(response=response)
    error.error = ODataV4Format({"code": "ImageBuildFailure", "message": "no such package"})

    assert failures.message(error) == "ImageBuildFailure: no such package"
    response.status_code = 409
    refused = HttpResponseError(response=response)
    refused.error = error.error
    assert failures.message(refused) == (
        "409 ImageBuildFailure (https://management.azure.com/operationStatuses/1): no such package"
    )


class _Response:
    reason = "OK"

    def __init__(self, status_code: int, request: HttpRequest) -> None:
        self.status_code, self.request = status_code, request


def test_a_bug_is_no_message() -> None:
    assert failures.message(KeyError("x")) is None


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (
            "reading\nThe notebook /x failed: DataError: 'abc' is no number\n",
            "The notebook /x failed: DataError: 'abc' is no number",
        ),
        (
            "a\nTraceback (most recent call last):\n  File x, line 1\n    f()\nValueError: too few\nrows\n",
            "ValueError: too few\nrows",
        ),
        ("", ""),
    ],
)
def test_a_log_s_last_lines_are_the_error(log: str, message: str) -> None:
    assert last_words(log) == message


@pytest.mark.parametrize(
    ("error", "log", "message"),
    [
        ("User process 'bash' exited with status code 1. Please …", "a\nToo few rows.\n", "Too few rows."),
        ("User process 'bash' exited with status code 1.", "", "User process 'bash' exited with status code 1."),
        (
            "User process 'bash' exited with status code 137. Please …",
            "reads data\n",
            "Its program was ended by SIGKILL (status code 137), such as for lack of memory.\n"
            "The last line of its log: reads data",
        ),
        (
            "User process 'python' exited with status code -15.",
            "",
            "Its program was ended by SIGTERM (status code -15).",
        ),
        ("User process 'bash' exited with status code 255. Please …", "Too few rows.", "Too few rows."),
        ("", "Too few rows.", "Too few rows."),
        ("", "", "Azure ML gives no reason."),
        ("The node was lost.", "", "The node was lost."),
        (
            "The node was lost.",
            "begin\nRun 7 is RUNNING\n",
            "The node was lost.\nThe last line of its log: Run 7 is RUNNING",
        ),
    ],
)
def test_a_step_s_own_words_are_the_reason_only_where_its_program_failed(error: str, log: str, message: str) -> None:
    assert reason(error, log) == message


def test_a_missing_sign_in_names_the_remedy() -> None:
    error = ClientAuthenticationError(
        "DefaultAzureCredential failed…\n\tEnvironmentCredential: EnvironmentCredential authentication unavailable. "
        "Environment variables are not fully configured."
    )

    assert "az login" in str(failures.message(error))
