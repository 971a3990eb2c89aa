"""A driver process: it starts Spark, reports that it is ready, waits for one run, executes and reports it, and exits.

    python -I -u start.py driver LAUNCH.json EVENTS_FD

Standard input brings JSON lines: {"exercise": true} at most once, {"run": {...}} once, then
{"reply": id, "value"|"error": ...} to its calls. At end of file the gateway is gone, and the whole process group exits.
Events go to the file descriptor, a JSON object a line.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from . import dbruntime, local_paths, session, tables
from .dbutils import SecretError
from .execution import Notebooks, describe
from .output import Output, Stream

_CREDENTIALS_KEY = "spark.hadoop.fs.localcloud.unity.secret"
MAX_RESULT = 5 * 1024 * 1024
"""get-output returns the first 5 MB of dbutils.notebook.exit's value (Jobs API reference)."""


class Gateway:
    """The two pipes to the gateway."""

    def __init__(self, events: int) -> None:
        self._events = os.fdopen(events, "w", encoding="utf-8")
        self._lock = threading.Lock()
        self._requests: queue.Queue[dict[str, Any]] = queue.Queue()
        self._replies: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._calls = 0
        threading.Thread(target=self._listen, name="gateway", daemon=True).start()

    def send(self, **event: Any) -> None:
        with self._lock:
            self._events.write(json.dumps(event) + "\n")
            self._events.flush()

    def next_request(self) -> dict[str, Any]:
        """Wait for {"exercise": true} or {"run": {...}}."""
        return self._requests.get()

    def has_request(self) -> bool:
        return not self._requests.empty()

    def call(self, method: str, arguments: dict[str, str]) -> Any:
        with self._lock:
            self._calls += 1
            number = self._calls
        replies = self._replies[number] = queue.Queue(1)
        self.send(call=number, method=method, arguments=arguments)
        reply = replies.get()
        if "error" in reply:
            raise SecretError(reply["error"])
        return reply["value"]

    def _listen(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "reply" in message:
                self._replies.pop(message["reply"]).put(message)
            else:
                self._requests.put(message)
        # The gateway closed the pipe or died: this run has no reader, and no JVM may be left behind.
        os.killpg(os.getpgid(0), signal.SIGKILL)


def secrets_of(assignment: dict[str, Any]) -> list[str]:
    """Return the texts that the output shows as [REDACTED]: the run's token, and its secret for Unity Catalog."""
    secrets = [assignment["context"]["apiToken"], assignment["conf"].get(_CREDENTIALS_KEY)]
    return [secret for secret in secrets if secret]


class Driver:
    """`Host` of the run's dbutils."""

    def __init__(self, gateway: Gateway, spark: Any, assignment: dict[str, Any]) -> None:
        repl = dbruntime.Repl()
        dbruntime.install(repl)
        self._gateway = gateway
        self.spark = spark
        self.output = Output(Path(assignment["output"]))
        self._path: str = assignment["notebook_path"]
        self._parameters: dict[str, str] = assignment["parameters"]
        for secret in secrets_of(assignment):
            self.output.hide(secret)
        tree, notebooks = Path(assignment["tree"]), assignment["notebooks"]
        self._notebooks = Notebooks(self, tree, notebooks, assignment["notebook_ids"], assignment["context"], repl)

    def call(self, method: str, arguments: dict[str, str]) -> Any:
        return self._gateway.call(method, arguments)

    def run_notebook(self, path: str, timeout_seconds: int, arguments: dict[str, str], caller: str) -> str:
        return self._notebooks.run_child(path, timeout_seconds, arguments, caller)

    def run(self) -> dict[str, Any]:
        """Return the run's outcome, as the gateway records it."""
        sys.stdout, sys.stderr = Stream(self.output), Stream(self.output)
        try:
            value = self._notebooks.run(self._path, self._parameters)
            if lost := tables.left_behind(self.spark):
                raise tables.refused(", ".join(lost))
        except BaseException as error:
            failure = describe(error)
            self.output.add("error", failure.trace)
            redact = self.output.redact
            return {"result": "FAILED", "error": redact(failure.error), "error_trace": redact(failure.trace)}
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        if value is None:
            return {"result": "SUCCESS"}
        return {"result": "SUCCESS", "value": value[:MAX_RESULT], "truncated": len(value) > MAX_RESULT}


def main(launch_file: str, events: str) -> None:
    """Raise SystemExit when the process is not the leader of its own group, which it kills at the end."""
    if os.getpgid(0) != os.getpid():
        raise SystemExit("a driver must be started in a session of its own")
    os.chdir(Path(launch_file).parent)
    launch: dict[str, Any] = json.loads(Path(launch_file).read_text())
    gateway = Gateway(int(events))
    started = time.monotonic()
    spark = session.start(launch["conf"])
    if launch["warm_up"]:
        session.warm_up(spark)
    tables.install()
    local_paths.install()
    gateway.send(ready=True, seconds=round(time.monotonic() - started, 3))
    request = gateway.next_request()
    if "exercise" in request:
        started = time.monotonic()
        spark, steps = session.exercise(spark, launch["conf"], gateway.has_request)
        gateway.send(exercised=steps, seconds=round(time.monotonic() - started, 3))
        request = gateway.next_request()
    assignment: dict[str, Any] = request["run"]
    os.environ.update(assignment["environment"])
    try:
        spark = session.fit(spark, launch["conf"], assignment["conf"])
    except Exception as error:
        gateway.send(result="INTERNAL_ERROR", error=f"The cluster could not start with its spark_conf: {error}")
    else:
        gateway.send(started=True)
        gateway.send(**Driver(gateway, spark, assignment).run())
    # The notebook's own threads, and Spark's orderly end, have no use: the run is over and recorded.
    os.killpg(os.getpgid(0), signal.SIGKILL)
