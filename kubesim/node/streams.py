"""A container's standard streams as the shim holds them: output goes to the log and to whoever is attached, input comes from them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import termios

from kubesim.node import logs
from kubesim.node.desk import Loop
from kubesim.node.launch import Launch


class Streams:
    """The shim's ends. `stdio` are the container's own, to be closed here once it has been forked."""

    def __init__(self, launch: Launch, loop: Loop) -> None:
        self.loop, self.tty, self.stdin_once = loop, launch.tty, launch.stdin_once
        self.log = logs.Writer(launch.log)
        self.input = self.terminal = -1
        self._outputs: dict[int, str] = {}
        self._attached: dict[int, int] = {}  # output -> error output
        self.stdio = self._open_terminal() if launch.tty else self._open_pipes(stdin=launch.stdin)

    def _open_terminal(self) -> list[int]:
        master, slave = pty.openpty()
        self.terminal = self.input = master
        self._output(master, "stdout")
        return [slave, slave, slave]

    def _open_pipes(self, *, stdin: bool) -> list[int]:
        stdio = []
        if stdin:
            read, self.input = os.pipe()
            stdio.append(read)
        else:
            stdio.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        for name in ("stdout", "stderr"):
            read, write = os.pipe()
            self._output(read, name)
            stdio.append(write)
        return stdio

    def forked(self) -> None:
        """The container has its own ends now."""
        for handle in set(self.stdio):
            os.close(handle)
        self.stdio = []

    # Output

    def _output(self, handle: int, stream: str) -> None:
        os.set_blocking(handle, False)
        self._outputs[handle] = stream
        self.loop.on(handle, lambda: self._pump(handle, stream))

    def _pump(self, handle: int, stream: str, *, until_empty: bool = False) -> None:
        while True:
            try:
                data = os.read(handle, 1 << 16)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.loop.off(handle)
                if self._outputs.pop(handle, None) and handle != self.terminal:
                    os.close(handle)
                return
            self.log.write(stream, data.replace(b"\r\n", b"\n") if handle == self.terminal else data)
            self._tee(data, stream)
            if not until_empty:
                return

    def _tee(self, data: bytes, stream: str) -> None:
        for out, err in list(self._attached.items()):
            try:
                os.write(out if stream == "stdout" else err, data)
            except BlockingIOError:
                pass  # a reader of an attach that does not read loses output, the log keeps it
            except OSError:
                del self._attached[out]

    # Attaching

    def attach(self, out: int, err: int, source: int | None) -> None:
        """Copy output to these file descriptors from now on, and input from `source`."""
        for handle in (out, err):
            os.set_blocking(handle, False)
        self._attached[out] = err
        if source is not None:
            os.set_blocking(source, False)
            self.loop.on(source, lambda: self._feed(source))

    def _feed(self, source: int) -> None:
        data = b""
        with contextlib.suppress(OSError):
            data = os.read(source, 4096)
        if data and self.input >= 0:
            with contextlib.suppress(OSError):
                os.write(self.input, data)
            return
        self.loop.off(source)
        os.close(source)
        if self.stdin_once and self.input >= 0 and not self.tty:
            os.close(self.input)
            self.input = -1

    def detach(self) -> None:
        """Everyone who is attached has seen the end."""
        for out, err in self._attached.items():
            for handle in {out, err}:
                with contextlib.suppress(OSError):
                    os.close(handle)
        self._attached.clear()

    def resize(self, rows: int, columns: int) -> None:
        if self.terminal >= 0:
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """The container has ended: what it wrote last is in the log when this returns."""
        for handle, stream in list(self._outputs.items()):
            self._pump(handle, stream, until_empty=True)
            self.loop.off(handle)
            if handle != self.terminal:
                with contextlib.suppress(OSError):
                    os.close(handle)
        self.log.close()
        self.detach()
        for handle in {self.input, self.terminal} - {-1}:
            with contextlib.suppress(OSError):
                os.close(handle)
        self.input = self.terminal = -1
