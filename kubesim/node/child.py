"""What happens in a container's process between the shim's fork and the program: session, namespaces, user, folder, then exec or Python.

A fork of a fork server has the image's modules imported already, so a Python program is run in place of being exec'ed: `python -m X`,
`python file.py`, `python -c` and scripts of the environment's bin folder. The program sees what it would see in a fresh interpreter: its own
`__main__`, arguments, environment, working folder, path, standard streams and signal handlers. Anything else is exec'ed.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH100, PTH103, PTH109, PTH110, PTH112, PTH118, PTH119, PTH120, PTH123
from __future__ import annotations

import atexit
import ctypes
import fcntl
import os
import random
import runpy
import shutil
import signal
import sys
import termios
import threading
import time
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from kubesim.node import mounts
from kubesim.node.birth import Line
from kubesim.node.guest import kubesim_guest
from kubesim.node.launch import Launch

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Python:
    """A Python program: `kind` is "module", "file" or "code", `target` the name, path or text; `argv` is sys.argv."""

    kind: str
    target: str
    argv: tuple[str, ...]
    unbuffered: bool = False


class NotFound(OSError):
    """The program is not on PATH."""


def main_container(launch: Launch, *, stdio: Sequence[int], line: Line, warm: bool) -> NoReturn:
    """Become the container. What fails before the program runs is told on `line`, which closes when it runs."""
    try:
        if launch.private_root:
            mounts.unshare(processes=launch.private_pids)
        if launch.private_pids:
            line.relay()
        _session(stdio, tty=launch.tty)
        if launch.private_root:
            if launch.hostname:
                mounts.set_hostname(launch.hostname)
            mounts.build(
                f"{launch.folder}/root",
                launch.mounts,
                hidden=launch.hidden,
                reachable=launch.reachable,
                processes=launch.private_pids,
            )
        _become(launch, line)
        _run(launch.argv, launch.env, launch.cwd, warm=warm, line=line)
    except OSError as error:
        _fail(line, error)


def main_exec(
    pid: int, launch: Launch, argv: Sequence[str], *, stdio: Sequence[int], line: Line, tty: bool, warm: bool
) -> NoReturn:
    """Become a process beside the container's (kubectl exec, exec probes): its namespaces, user, environment and folder."""
    try:
        if launch.private_root:
            mounts.join(pid)
        if launch.private_pids:
            line.relay()
        _session(stdio, tty=tty)
        _become(launch, line)
        env = {**launch.env, "TERM": "xterm"} if tty else launch.env
        _run(argv, env, launch.cwd, warm=warm, line=line)
    except OSError as error:
        _fail(line, error)


def _fail(line: Line, error: OSError) -> NoReturn:
    line.fail(str(error.args[0] if isinstance(error, NotFound) else error))
    os._exit(127 if isinstance(error, FileNotFoundError | NotFound) else 126)


def _session(stdio: Sequence[int], *, tty: bool) -> None:
    os.setsid()
    for target, source in enumerate(stdio):
        os.dup2(source, target)
    if tty:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _become(launch: Launch, line: Line) -> None:
    """Drop to the container's user where this process is root, die with the shim, and have it asked about connections from the pod's address."""
    user, group, groups = launch.user, launch.group, launch.groups
    if os.getuid() == 0 and (user or group or groups):
        os.setgroups(list(groups))
        os.setgid(group if group is not None else user or 0)
        if user:
            os.setuid(user)
        _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if not line.shim_lives:
        os._exit(137)
    if "KUBESIM_POD_IP" in launch.env:
        line.guard()


def _run(argv: Sequence[str], env: Mapping[str, str], cwd: str, *, warm: bool, line: Line) -> NoReturn:
    os.umask(0o022)
    try:
        os.chdir(cwd)
    except FileNotFoundError:
        os.makedirs(cwd, exist_ok=True)
        os.chdir(cwd)
    program = find(argv[0], env, cwd)
    python = python_program(program, argv) if warm else None
    if python is None:
        os.closerange(3, line.fileno())
        os.closerange(line.fileno() + 1, 65536)
        os.execve(program, list(argv), dict(env))
    os.closerange(3, 65536)
    _python(python, env)


def find(name: str, env: Mapping[str, str], cwd: str) -> str:
    """The file that a command means; `python` is the interpreter that runs kubesim."""
    if name in ("python", "python3"):
        return sys.executable
    if "/" in name:
        path = os.path.join(cwd, name)
        if not os.path.exists(path):
            raise NotFound(f'exec: "{name}": stat {name}: no such file or directory')
        if os.path.isdir(path) or not os.access(path, os.X_OK):
            raise NotFound(f'exec: "{name}": permission denied')
        return path
    found = shutil.which(name, path=env.get("PATH", os.defpath))
    if not found:
        raise NotFound(f'exec: "{name}": executable file not found in $PATH')
    return found


def python_program(program: str, argv: Sequence[str]) -> Python | None:
    """How this interpreter would run the command; None for what is not Python or asks for an interpreter of its own."""
    if program == sys.executable or os.path.basename(program).startswith("python3"):
        return _python_arguments(argv) if os.path.realpath(program) == os.path.realpath(sys.executable) else None
    if os.path.dirname(program) == os.path.dirname(sys.executable) and _is_python_script(program):
        return Python(kind="file", target=program, argv=(program, *argv[1:]))
    return None


def _is_python_script(path: str) -> bool:
    with open(path, "rb") as file:
        head = file.read(200)
    return head.startswith(b"#!") and b"python" in head


def _python_arguments(argv: Sequence[str]) -> Python | None:
    rest, unbuffered = list(argv[1:]), False
    while rest and rest[0] in ("-u", "-B", "-s"):
        unbuffered = unbuffered or rest.pop(0) == "-u"
    match rest:
        case ["-m", module, *arguments]:
            return Python("module", module, ("-m", *arguments), unbuffered)
        case ["-c", code, *arguments]:
            return Python("code", code, ("-c", *arguments), unbuffered)
        case [path, *arguments] if not path.startswith("-"):
            return Python("file", path, (path, *arguments), unbuffered)
    return None


def _python(program: Python, env: Mapping[str, str]) -> NoReturn:
    """Run in this interpreter and leave as an interpreter leaves: exit handlers, threads joined, streams flushed."""
    code = 1
    try:
        _settle(program, env)
        _call(program)
        code = 0
    except SystemExit as error:
        code = _exit_code(error)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as error:  # noqa: BLE001  the program's own failure, shown as the interpreter shows it
        own = _own_frames(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(own), own)
    _leave(code)


def _settle(program: Python, env: Mapping[str, str]) -> None:
    import_root = os.environ.get("KUBESIM_IMPORT_ROOT")
    os.environ.clear()
    os.environ.update(env)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    time.tzset()
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if program.unbuffered or env.get("PYTHONUNBUFFERED"):
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(write_through=True)  # type: ignore[union-attr]
    elif os.isatty(1):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    first = (
        os.path.dirname(os.path.realpath(program.target))
        if program.kind == "file"
        else os.getcwd()
        if program.kind == "module"
        else ""
    )
    extra = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[:] = [first, *extra, *(path for path in sys.path if path != import_root)]
    sys.argv[:] = program.argv
    sys.orig_argv[:] = [sys.executable, *program.argv]
    kubesim_guest.activate(env)
    threading.current_thread().name = "MainThread"


def _call(program: Python) -> None:
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    if program.kind == "module":
        runpy._run_module_as_main(program.target)  # type: ignore[attr-defined]
        return
    if program.kind == "code":
        source, name = program.target, "<string>"
    else:
        main.__dict__["__file__"] = name = program.target
        try:
            with open(name, "rb") as file:
                source = file.read().decode()
        except OSError as error:
            sys.stderr.write(
                f"{sys.executable}: can't open file {os.path.abspath(name)!r}: [Errno {error.errno}] {error.strerror}\n"
            )
            raise SystemExit(2) from None
    exec(compile(source, name, "exec"), main.__dict__)


def _own_frames(traceback: types.TracebackType | None) -> types.TracebackType | None:
    while traceback is not None and traceback.tb_frame.f_code.co_filename in (
        __file__,
        "<frozen runpy>",
        runpy.__file__,
    ):
        traceback = traceback.tb_next
    return traceback


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _leave(code: int) -> NoReturn:
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 120
        os._exit(code)
