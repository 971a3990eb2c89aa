"""Python programs of jobs in forked processes, compared with the same programs in a fresh Python."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import psutil
import pytest
from localcloud.azureml.jobs import fork_server, warm_processes
from localcloud.azureml.jobs.process import CommandProcess
from localcloud.azureml.jobs.warm_processes import WarmProcesses, arguments_of
from localcloud.testing.workspace_session import wait_for

HOME = Path(sys.prefix)
_INTERPRETER = Path(sys.executable).resolve()
SHARED = {"PATH": f"{HOME / 'bin'}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
FACTS = '''
"""A program."""
import gc, json, os, pathlib, resource, signal, site, sys, sysconfig, tempfile, threading
note: int = 1
mask = os.umask(0); os.umask(mask)
environ = dict(os.environ)
facts = {
    "globals": sorted(globals()), "file": __file__, "spec": __spec__, "package": __package__, "doc": __doc__,
    "loader": [type(__loader__).__name__, __loader__.name, __loader__.path], "builtins": str(__builtins__),
    "annotations": str(__annotations__), "main": sys.modules["__main__"].__dict__ is globals(),
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "flags": str(sys.flags),
    "executable": sys.executable, "prefix": sys.prefix, "environ": environ, "cwd": os.getcwd(),
    "leader": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()], "umask": mask,
    "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
    "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "wakeup": signal.set_wakeup_fd(-1),
    "streams": [
        (stream.encoding, stream.errors, stream.line_buffering, stream.write_through, stream.isatty())
        for stream in (sys.stdout, sys.stderr)
    ],
    "input": sys.stdin.read(), "temporary": tempfile.gettempdir(), "home": str(pathlib.Path.home()),
    "user": [site.getuserbase(), site.getusersitepackages(), sysconfig.get_config_var("userbase")],
    "threads": threading.active_count(), "main_thread": threading.current_thread() is threading.main_thread(),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE), "hook": sys.excepthook is sys.__excepthook__,
    "niceness": os.nice(0), "warnings": sys.warnoptions, "time": __import__("time").tzname,
    "collector": [gc.isenabled(), gc.get_threshold()],
}
print(json.dumps(facts, indent=1, sort_keys=True))
'''
ENDS = {
    "an exception": "def f():\n    raise ValueError('no')\nf()",
    "a chain of exceptions": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e",
    "a code": "import sys; sys.exit(3)",
    "a text": "import sys; sys.exit('the reason')",
    "no code": "raise SystemExit",
    "invalid syntax": "x = (1,\ny = 2",
    "a signal": "import os; os.kill(os.getpid(), 15)",
    "an interrupt": "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(5)",
    "at once": "import os; print('kept'); os._exit(4)",
    "handlers": "import atexit; atexit.register(print, 'handler'); print('end')",
    "a thread": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()",
    "a hook": "import sys\nsys.excepthook = lambda k, v, t: print('hook', k, v, t.tb_lineno, t.tb_next)\n\n1 / 0",
    "postponed annotations": "def f(x: 1 + 1): pass\nprint(f.__annotations__)",
    "a pickle": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))",
    "processes": "import multiprocessing as m\ndef f(x): return x + 1\nif __name__ == '__main__':\n"
    "    with m.get_context('spawn').Pool(1) as pool: print(pool.map(f, [1, 2]))",
}


class Play:
    """Programs of one test, all in the same environment."""

    def __init__(self, folder: Path, warm: WarmProcesses) -> None:
        self.folder, self.warm = folder, warm
        self.log = folder / "log.txt"

    async def start(
        self, program: str, *arguments: str, name: str = "program", **variables: str
    ) -> CommandProcess | None:
        self.log.write_text("")
        (self.folder / f"{name}.py").write_text(program)
        command = " ".join(("python", f"{name}.py", *arguments))
        return await self.warm.start(HOME, command, self.folder, self.variables | variables, self.log)

    async def until_ready(self) -> None:
        """Wait for the server's imports."""
        async with asyncio.timeout(60):
            while (process := await self.start("")) is None:  # noqa: ASYNC110 - callers do not wait, there is no event
                await asyncio.sleep(0.01)
            await process.wait()

    @property
    def variables(self) -> dict[str, str]:
        return (
            SHARED
            | {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder), "AZUREML_RUN_ID": "run"}
            | {"MLFLOW_TRACKING_URI": "file:///the/runs"}
        )

    async def forked(self, program: str, *arguments: str) -> tuple[int, str]:
        """Return exit code and output of a program in a forked process."""
        process = await self.start(program, *arguments)
        assert process is not None
        return await process.wait(), self.log.read_text()

    async def fresh(self, program: str, *arguments: str) -> tuple[int, str]:
        """Return the same of a fresh Python."""
        self.log.write_text("")
        (self.folder / "program.py").write_text(program)
        command = " ".join(("python program.py", *arguments))
        process = await CommandProcess.start(command, self.folder, self.variables, self.log)
        return await process.wait(), self.log.read_text()


def play(
    folder: Path, work: Callable[[Play], Awaitable[None]], idle_seconds: float = 60, modules: Sequence[str] = ("numpy",)
) -> None:
    """Run `work` with a server that has imported the modules."""

    async def main() -> None:
        warm = WarmProcesses(folder / "servers.log", idle_seconds, modules)
        warm.begin(HOME, SHARED)
        (folder / "work").mkdir()
        playing = Play(folder / "work", warm)
        try:
            await playing.until_ready()
            await work(playing)
        finally:
            await warm.close()

    asyncio.run(main())


def test_a_forked_program_sees_all_that_a_fresh_one_sees(tmp_path: Path) -> None:
    async def work(playing: Play) -> None:
        fresh, forked = [await run(FACTS, "--a", "b=c") for run in (playing.fresh, playing.forked)]
        assert json.loads(fresh[1])["argv"] == ["program.py", "--a", "b=c"]
        assert forked[1].splitlines() == fresh[1].splitlines()

    play(tmp_path, work)


def test_libraries_have_the_program_s_home_and_variables(tmp_path: Path) -> None:
    program = (
        "import os, mlflow, databricks.sdk, azure.storage.blob, wsgiref.handlers\n"
        "from mlflow.environment_variables import MLFLOW_ENV_ROOT, MLFLOW_TRACKING_URI\n"
        "from mlflow.legacy_databricks_cli.configure.provider import _home\n"
        "print(MLFLOW_ENV_ROOT.get(), MLFLOW_TRACKING_URI.get(), _home, mlflow.get_tracking_uri())\n"
        "print(sorted(os.environ.items()))\n"
        "print(sorted(wsgiref.handlers.BaseHandler.os_environ.items()))\n"
    )

    async def work(playing: Play) -> None:
        fresh, forked = await playing.fresh(program), await playing.forked(program)
        assert str(playing.folder / "home" / ".mlflow" / "envs") in fresh[1]
        assert "file:///the/runs" in fresh[1]
        assert forked[1].splitlines() == fresh[1].splitlines()

    play(tmp_path, work, modules=("mlflow", "databricks.sdk", "azure.storage.blob"))


def test_a_forked_program_exits_as_a_fresh_one_does(tmp_path: Path) -> None:
    async def work(playing: Play) -> None:
        for name, program in ENDS.items():
            fresh, forked = await playing.fresh(program), await playing.forked(program)
            assert [name, forked[0], *forked[1].splitlines()] == [name, fresh[0], *fresh[1].splitlines()]

    play(tmp_path, work)


def test_programs_share_no_state(tmp_path: Path) -> None:
    writer = "import os, sys, json\nos.environ['X'] = '1'\njson.left = 1\nos.umask(0o77)\nos.chdir('/')\n"
    reader = "import os, json\nprint(os.environ.get('X'), hasattr(json, 'left'), os.umask(0), os.getcwd())\n"
    numbers = "import random, numpy, os\nprint(random.random(), numpy.random.rand())\n"

    async def work(playing: Play) -> None:
        before = await playing.forked(reader)
        await playing.forked(writer)
        assert await playing.forked(reader) == before
        assert await playing.forked(numbers) != await playing.forked(numbers)

    play(tmp_path, work)


def test_programs_that_a_fresh_python_runs_in_another_way_are_refused(tmp_path: Path) -> None:
    async def work(playing: Play) -> None:
        assert await playing.start("", OPENBLAS_MAIN_FREE="1") is None, "numpy has read the variable at its import"
        (playing.folder / "numpy.py").write_text("")
        assert await playing.start("") is None, "the program's numpy is another one"
        (playing.folder / "numpy.py").rename(playing.folder / "other.py")
        assert await playing.forked("print(1)") == (0, "1\n")
        (playing.folder / "org.py").write_text("")
        assert await playing.start("") is None, "the standard library has looked for it"
        (playing.folder / "org.py").unlink()
        assert await playing.start("", LONG="x" * 200_000) is None, "the kernel starts no program with it"
        (playing.folder / "program.py").unlink()
        assert await playing.warm.start(HOME, "python program.py", playing.folder, SHARED, playing.log) is None
        assert playing.log.read_text() == "", "the fresh Python has the log to itself"
        assert await playing.forked("print(1)") == (0, "1\n")

    play(tmp_path, work)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("python train.py", ["train.py"]),
        (" python train.py --a x/y.z  --b=1\n", ["train.py", "--a", "x/y.z", "--b=1"]),
        ("python -m train", None), ("python -u train.py", None), ("python3 train.py", None), ("python", None),
        ("python train.py && rm x", None), ("python train.py > x", None), ("python train.py '1'", None),
        ("python train.py $HOME", None), ("python train.py ~", None), ("python train.py *", None),
        ("A=1 python train.py", None), ("python train.py\nls", ["train.py", "ls"]),
    ],
)  # fmt: skip
def test_only_commands_without_a_shell_s_work_are_forked(command: str, arguments: list[str] | None) -> None:
    assert arguments_of(command) == arguments


def test_cancelling_reaches_a_forked_program_and_its_children(tmp_path: Path) -> None:
    program = (
        "import signal, subprocess, sys, time\n"
        "def stop(*_):\n    print('cleaning up', flush=True); sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print(subprocess.Popen(['sleep', '300']).pid, flush=True)\ntime.sleep(300)\n"
    )

    async def work(playing: Play) -> None:
        process = await playing.start(program)
        assert process is not None
        child = int(await asyncio.to_thread(wait_for, playing.log.read_text, lambda text: text.endswith("\n")))
        await process.end(grace=20)
        assert await process.wait() == 1
        assert "cleaning up" in playing.log.read_text()
        wait_for(
            lambda: psutil.pid_exists(child) and psutil.Process(child).status() != "zombie", lambda there: not there
        )
        process = await playing.start("import signal\nsignal.signal(15, signal.SIG_IGN)\nprint(1)\nsignal.pause()")
        assert process is not None
        await asyncio.to_thread(wait_for, playing.log.read_text, bool)
        await process.end(grace=0.1)
        assert await process.wait() == 128 + signal.SIGKILL

    play(tmp_path, work)


def _servers() -> list[psutil.Process]:
    """Return the fork servers of this test; other tests' processes are children of the same process."""
    servers = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if fork_server.__file__ in process.cmdline():
                servers.append(process)
    return servers


def test_a_program_whose_job_is_cancelled_during_its_start_is_killed(tmp_path: Path) -> None:
    async def work(playing: Play) -> None:
        (server,) = _servers()
        starting = asyncio.create_task(playing.start("import time; time.sleep(300)"))
        await asyncio.sleep(0)  # it begins
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await asyncio.to_thread(wait_for, server.children, lambda children: not children)

    play(tmp_path, work)


def test_a_program_outlives_its_idle_server_and_is_killed_with_a_killed_one(tmp_path: Path) -> None:
    async def work(playing: Play) -> None:
        process = await playing.start("import time; time.sleep(1.5); print('whole')")
        assert process is not None
        assert (await process.wait(), playing.log.read_text()) == (0, "whole\n")
        (server,) = _servers()
        process = await playing.start("import time; print(1); time.sleep(300)")
        assert process is not None
        await asyncio.to_thread(wait_for, playing.log.read_text, bool)
        server.kill()
        assert await process.wait() == 128 + signal.SIGKILL
        assert await playing.start("") is None
        playing.warm.begin(HOME, SHARED)
        await playing.until_ready()

    play(tmp_path, work, idle_seconds=1)


def test_a_server_exits_when_it_is_idle(tmp_path: Path) -> None:
    async def work(playing: Play) -> None:
        (server,) = _servers()
        await asyncio.to_thread(server.wait, 20)
        assert await playing.start("") is None
        playing.warm.begin(HOME, SHARED)
        await playing.until_ready()

    play(tmp_path, work, idle_seconds=0.5)


def test_a_server_whose_imports_start_threads_forks_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        package = tmp_path / "lib" / "python3" / "site-packages"
        (package / "numpy").mkdir(parents=True)
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python").symlink_to(_INTERPRETER)
        (package / "starts.py").write_text(
            "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
        )
        warm = WarmProcesses(tmp_path / "servers.log", modules=["starts"])
        warm.begin(tmp_path, {"PATH": os.environ["PATH"], "PYTHONPATH": str(package)})
        log = tmp_path / "servers.log"
        log.touch()
        reason = "An import has started threads"
        await asyncio.to_thread(wait_for, log.read_text, lambda text: reason in text)
        await asyncio.to_thread(wait_for, _servers, lambda servers: not servers)
        warm.begin(tmp_path, SHARED)
        assert _servers() == [], "it would fail again"
        await warm.close()

    asyncio.run(work())


def test_an_environment_with_nothing_large_has_no_server(tmp_path: Path) -> None:
    async def work() -> None:
        (tmp_path / "lib" / "python3" / "site-packages" / "small").mkdir(parents=True)
        warm = WarmProcesses(tmp_path / "servers.log")
        warm.begin(tmp_path, SHARED)
        assert await warm.start(tmp_path, "python x.py", tmp_path, SHARED, tmp_path / "log") is None
        assert not (tmp_path / "servers.log").exists()
        await warm.close()

    asyncio.run(work())
    assert warm_processes.IDLE_SECONDS >= 60
