"""Program of a job environment's Python: imports large packages, then forks itself for each Python program of a job.

    python fork_server.py DESCRIPTOR MODULE…

DESCRIPTOR is a socket of the gateway (localcloud/azureml/jobs/warm_processes.py). The server answers READY when it has
imported the modules that the environment has. Then each message brings two descriptors, the connection for one program
and its log, and the server sends `PID CODE` when the program has exited. It exits with the socket's other end.

The server reads no program's variables: the forked process does, from the connection. That process refuses a program
that a fresh Python would run in another way, and the gateway starts a fresh Python for it. Else it is the leader of a
session of its own, takes over the program's folder, variables, arguments and log, and exits as the interpreter does.

It needs the standard library alone, of any Python from 3.9 on.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    del sys.path[0]  # the folder of this file, whose modules are none of a job's

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import site
import socket
import sysconfig
import types
import warnings
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, NoReturn

READY = b"ready"
FORK = b"fork"
_ALL = "*"
"""Stands for all variables among the names that were read."""
_NONE: frozenset[str] = frozenset()
_HOME = frozenset({"HOME"})
_REFRESHED = {
    "sysconfig": _HOME,
    "site": _HOME,
    "mlflow.environment_variables": _HOME,
    "mlflow.legacy_databricks_cli.configure.provider": _HOME,
    "google.auth.transport._mtls_helper": _HOME,
    "wsgiref.handlers": None,
    "tqdm.utils": None,
}
"""Modules that keep values of these variables, or of all (None), and that `_refresh` gives the program's values.

Two of them need none: google.auth looks for a file in the home folder, where neither server nor job has one, and tqdm
keeps variables that begin with TQDM_ alone, which no job gets from the service.
"""
_SAFE_THREADS = {"jemalloc_bg_thd"}
"""Names of native threads that survive a fork: pyarrow's allocator starts its own again (pthread_atfork)."""
_COERCED = "LC_CTYPE"
"""Variable that Python sets by itself where the locale is C (PEP 538)."""
_MOST_BYTES = 1 << 16
_LONGEST_VARIABLE = 32 * os.sysconf("SC_PAGE_SIZE")
"""Bytes (MAX_ARG_STRLEN of execve(2))."""


class Imports:
    """Names of variables that the imports have read, and of modules that they have missed; variables before them."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.missed: set[str] = set()
        self.started_with = dict(os.environ)

    @property
    def added(self) -> dict[str, str]:
        """Return the variables that the imports have set."""
        return dict(os.environ.items() - self.started_with.items())

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Note a module that no other finder has: libraries try to import optional ones."""
        if "." not in name:
            self.missed.add(name)


def serve(control: socket.socket, modules: list[str]) -> dict[str, Any] | None:
    """Fork for each message until the gateway is gone; return the program in a forked process, None in the server."""
    gc.disable()  # nothing of the imported is garbage, and searching it takes a sixth of the time
    imports = _import(modules)
    _check_threads()
    gc.collect()
    gc.freeze()  # a collection in a forked process would copy every page that the server has filled
    gc.enable()
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    control.send(READY)
    while True:
        ready, _, _ = select.select([control.fileno(), reading], [], [])
        if reading in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(reading, _MOST_BYTES)
            _report_exits(control)
        if control.fileno() not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, len(FORK), 2)
        if not message:
            return None
        if _fork() == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            os.close(reading)
            os.close(writing)
            return _receive(descriptors[0], descriptors[1], imports)
        for descriptor in descriptors:
            os.close(descriptor)


def _import(modules: list[str]) -> Imports:
    """Import the modules that the environment has."""
    imports = Imports()
    names = imports.names
    environ: Any = os.environ
    kind = type(environ)

    class Recorder(kind):  # type: ignore[misc, valid-type]
        def __getitem__(self, name: Any) -> Any:
            _record(names, name)
            return super().__getitem__(name)

        def __contains__(self, name: Any) -> bool:
            _record(names, name)
            return bool(super().__contains__(name))

        def __iter__(self) -> Any:
            _record(names, _ALL)
            return super().__iter__()

    environ.__class__ = Recorder
    sys.meta_path.append(imports)
    try:
        for name in modules:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                # It is not in this environment, or needs another package that is not.
                sys.stderr.write(f"{name} is not imported: {error}\n")
    finally:
        environ.__class__ = kind
        sys.meta_path.remove(imports)
    return imports


def _record(names: set[str], name: Any) -> None:
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None:
        refreshed = _REFRESHED.get(str(frame.f_globals.get("__name__")), _NONE)
        if refreshed is None or name in refreshed:
            return
        frame = frame.f_back
    names.add(os.fsdecode(name))


def _check_threads() -> None:
    """Exit where a forked process would lack a thread of the imported packages.

    OpenBLAS ends its threads before a fork, and starts them again at their next use.
    """
    child = _fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    own = os.getpid()
    threads = {
        Path(f"/proc/self/task/{task}/comm").read_text().strip()
        for task in os.listdir("/proc/self/task")  # noqa: PTH208 - the numbers alone
        if int(task) != own
    }
    if threads - _SAFE_THREADS:
        sys.exit(f"An import has started threads, which a forked process would not have: {sorted(threads)}")


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: `_check_threads` has looked at them
        return os.fork()


def _report_exits(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        with contextlib.suppress(OSError):  # the gateway is gone, which ends the loop
            control.send(b"%d %d" % (pid, os.waitstatus_to_exitcode(status)))


def _receive(connection_descriptor: int, log: int, imports: Imports) -> dict[str, Any]:
    """Receive the program and become its process; exit if it needs a fresh Python."""
    os.setsid()
    with socket.socket(fileno=connection_descriptor) as connection:
        content = b""
        while part := connection.recv(_MOST_BYTES):
            content += part
        program: dict[str, Any] = json.loads(content)
        if _COERCED in imports.started_with:  # the interpreter has set it, as a fresh one would
            program["variables"].setdefault(_COERCED, imports.started_with[_COERCED])
        reason = refusal(program, imports)
        program["variables"] = {**imports.added, **program["variables"]}
        if reason is None:
            os.dup2(log, 1)
            os.dup2(log, 2)
        os.close(log)
        connection.sendall(json.dumps({"pid": os.getpid(), "refusal": reason}).encode())
    if reason is not None:
        os._exit(0)
    return program


def refusal(program: dict[str, Any], imports: Imports) -> str | None:
    """Return why a fresh Python would run the program in another way, None if it would not."""
    script = Path(program["folder"], program["arguments"][0])
    if script.suffix != ".py" or not script.is_file():
        return f"{script} is no Python file"
    imported = imports.missed | {name.partition(".")[0] for name in sys.modules}
    for entry in script.parent.iterdir():
        name = entry.name.partition(".")[0]
        if name in imported and (entry.is_dir() or entry.suffix in {".py", ".pyc", ".so"}):
            return f"{entry.name} takes the place of a module that was imported, or missed, before"
    variables, before = program["variables"], imports.started_with
    sizes = [len(os.fsencode(f"{name}={value}")) + 1 for name, value in variables.items()]
    if (
        max(sizes) > _LONGEST_VARIABLE
        or sum(sizes) > os.sysconf("SC_ARG_MAX")
        or any("\0" in v for v in variables.values())
    ):
        return "no program can be started with such variables"
    different = {name for name in {*variables, *before} if variables.get(name) != before.get(name)}
    if read := sorted(imports.names & different):
        return f"imported modules have read {', '.join(read)}"
    if _ALL in imports.names:
        return "imported modules have read all variables"
    return None


def become(program: dict[str, Any]) -> Path:
    """Take over the program's folder, variables and arguments. Return the path of its file."""
    os.chdir(program["folder"])
    server_home = os.environ["HOME"]
    os.environ.clear()
    os.environ.update(program["variables"], PWD=os.getcwd())  # noqa: PTH109 - Path has no cheaper one
    _refresh(server_home)
    path = Path(program["arguments"][0]).absolute()
    sys.argv = list(program["arguments"])
    sys.orig_argv = ["python", *sys.argv]
    sys.path.insert(0, str(path.resolve().parent))
    return path


def _refresh(server_home: str) -> None:
    """Give modules that have read a variable its value for this program, and draw new random numbers."""
    import time

    time.tzset()
    if site.USER_BASE is not None:
        site.USER_BASE = site.USER_SITE = None
        site.getusersitepackages()
    sysconfig.get_config_vars()["userbase"] = site.getuserbase()
    for name in (name for name in _REFRESHED if name.startswith("mlflow.") and name in sys.modules):
        for key, value in list(vars(sys.modules[name]).items()):
            if isinstance(value, str) and value.startswith(server_home):
                setattr(sys.modules[name], key, value.replace(server_home, os.environ["HOME"], 1))
            elif str(getattr(value, "default", "")).startswith(server_home):
                value.default = value.default.replace(server_home, os.environ["HOME"], 1)
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]
    if "wsgiref.handlers" in sys.modules:
        handlers: Any = sys.modules["wsgiref.handlers"]
        handlers.BaseHandler.os_environ = handlers.read_environ()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # `random` does so by itself


def run(path: Path) -> NoReturn:
    """Run the file as `__main__`; its exception, without this file's lines, is the interpreter's to show."""
    main: Any = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    main.__file__, main.__cached__, main.__builtins__ = str(path), None, sys.modules["builtins"]
    main.__loader__ = SourceFileLoader("__main__", str(path))
    main.__annotations__ = {}
    try:
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        exec(code, main.__dict__)  # noqa: S102 - the job's own program
    except SystemExit:
        raise
    except BaseException as error:
        hook, own = sys.excepthook, error.__traceback__.tb_next if error.__traceback__ else None
        sys.excepthook = lambda kind, value, _: hook(kind, value.with_traceback(own), own)
        raise
    sys.exit()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as _control:
        _program = serve(_control, sys.argv[2:])
    if _program is not None:
        run(become(_program))
