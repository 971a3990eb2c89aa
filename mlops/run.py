"""Follow a run to its end, step by step, and print the result. Stopping this stops the run."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from azure.core.exceptions import AzureError
from rich.console import Console

from mlops import failures, jobs, training_data
from mlops.clients import Clients
from mlops.errors import RemoteError, RunFailedError
from mlops.history import History, Step
from mlops.jobs import Job
from mlops.progress import progress
from steps.file_names import printable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds between two requests
_SHARE_OF_STEP = 0.05
"""Share of a step's time so far after which the run is read again: its end is seen that late at most."""
_CANCEL_SECONDS = 60
_ERROR_LINES = 12
_OWN_END = "exited with status code"
"""Part of Azure ML's error of a step whose program failed: "Execution failed. User process 'python' exited with …"."""
_STATUS = re.compile(rf"{_OWN_END} (-?\d+)")
_SIGNALLED = 128
NO_REASON = "Azure ML gives no reason."

Say = Callable[[str], None]


def follow(clients: Clients, job: Job, console: Console) -> list[Step]:
    """Show each step's state when it changes; the steps of the completed run.

    Raises RunFailedError with the failing step's own error, and RemoteError when Azure ML does not answer any more.
    Ctrl-C and SIGTERM cancel the run.
    """
    history = History(clients)
    try:
        with _sigterm_as_interrupt():
            job = _watch(clients, history, job, console)
    except KeyboardInterrupt:
        console.print(f"Cancelling run {job.name} …", highlight=False, soft_wrap=True)
        jobs.cancel(clients, job.name)
        _wait_for_end(clients, job.name)
        ended = jobs.get(clients, job.name).status
        console.print(f"Run {job.name}: {ended}. {_next_try(clients, job)}", highlight=False, soft_wrap=True)
        raise
    except AzureError as error:
        raise RemoteError(
            f"Run {job.name} could not be followed to its end, and may go on. {failures.message(error)}\n"
            f"`python -m mlops logs --run {job.name} --follow {clients.options}` follows it, `python -m mlops status "
            f"{clients.options}` shows its state."
        ) from error
    steps = history.steps(job.name)
    if job.status != "Completed":
        raise RunFailedError(failure(clients, history, job, steps))
    return steps


def failure(clients: Clients, history: History, job: Job, steps: list[Step]) -> str:
    """Return the run's state, the causes of its failure, and its page."""
    return "\n".join([f"Run {job.name}: {job.status}.", *causes(clients, history, job, steps), f"Run page: {job.page}"])


def causes(clients: Clients, history: History, job: Job, steps: list[Step]) -> list[str]:
    """Return lines about a run that did not complete: its failed steps with their own errors, and commands for more.

    They name a file that an error shows as a blob.
    """
    failed = [step for step in steps if step.status == "Failed"]
    lines = [f"{step.name}: Failed. {reason(step.error, history.log(step))}" for step in failed]
    if not failed:
        lines.append(history.run(job.name).error or NO_REASON)
    if job.data and any(training_data.blob_name(job.data) in line for line in lines):
        name = training_data.original_name(clients, job.data)
        if name is not None:
            lines.append(f"{training_data.blob_name(job.data)} is the file {printable(name)}.")
    if failed:
        command = f"python -m mlops logs {failed[0].name} --run {job.name} {clients.options}"
        lines.append(f"`{command}` shows its whole output.")
    return [*lines, _next_try(clients, job)]


def _next_try(clients: Clients, job: Job) -> str:
    """Return the sentence on how the work of a run that did not complete goes on."""
    if jobs.scores(job, clients):
        return f"`python -m mlops score FILE {clients.options}`, or --incoming for FILE, takes its files again."
    return f"`python -m mlops resume {job.name} {clients.options}` continues it."


def reason(error: str, log: str) -> str:
    """Return why a step failed, by Azure ML's error and the step's log.

    Where the step's own program ended it, the log has the reason. Other errors, such as a lost node or an environment
    that cannot be built, have theirs.
    """
    words = last_words(log)
    killed = _killed(error)
    if not killed and (not error or _OWN_END in error):
        return words or error or NO_REASON
    cause = killed or error.rstrip()
    return f"{cause}\nThe last line of its log: {words.splitlines()[-1]}" if words else cause


def _killed(error: str) -> str:
    """Return the sentence on a program that a signal ended, which its log cannot know; empty for any other error.

    A shell reports a signal as 128 and its number.
    """
    match = _STATUS.search(error)
    code = int(match[1]) if match else 0
    number = -code if code < 0 else code - _SIGNALLED
    if number not in set(signal.Signals):
        return ""
    memory = ", such as for lack of memory" if number == signal.SIGKILL else ""
    return f"Its program was ended by {signal.Signals(number).name} (status code {code}){memory}."


def last_words(log: str) -> str:
    """Return the error at the end of a log: a traceback's exception, else the last line."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    start = next((index for index in reversed(range(len(lines))) if lines[index].startswith("Traceback ")), None)
    if start is None:
        return lines[-1] if lines else ""
    raised = next((index for index in range(start + 1, len(lines)) if not lines[index].startswith(" ")), len(lines) - 1)
    return "\n".join(lines[raised : raised + _ERROR_LINES])


def _watch(clients: Clients, history: History, job: Job, console: Console) -> Job:
    changed_at = time.monotonic()
    with progress(console, job.name) as display:
        while True:
            job = jobs.get(clients, job.name)
            if display.show(history.steps(job.name)):
                changed_at = time.monotonic()
            if job.ended:
                return job
            time.sleep(min(max(_FIRST_PAUSE, (time.monotonic() - changed_at) * _SHARE_OF_STEP), _LONGEST_PAUSE))


def _wait_for_end(clients: Clients, name: str) -> None:
    deadline = time.monotonic() + _CANCEL_SECONDS
    while not jobs.get(clients, name).ended and time.monotonic() < deadline:
        time.sleep(_FIRST_PAUSE)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Handle the SIGTERM that a cancelled build sends."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
