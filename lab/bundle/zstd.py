"""Zstandard streams with nothing but Python: `compression.zstd` where Python has it (3.14), else libzstd, which every Linux with these wheels has.

dpkg, rpm, systemd and the kernel's tools all link libzstd.so.1, so it is there before anything of the lab's is; a program `zstd` often is not.
Both sides are plain binary streams for `tarfile`'s stream modes: read or write, front to back, never whole in memory.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import io
from typing import IO, TYPE_CHECKING, Any, cast

from lab.errors import LabError
from lab.messages import t

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAGIC = b"\x28\xb5\x2f\xfd"
LEVEL = 3
"""Wheels and images are compressed already, or compress well at once; higher levels cost minutes for little."""
_END, _CONTINUE = 2, 0


class Damaged(OSError):
    """The stream is not what a compressor wrote."""


def reader(file: IO[bytes]) -> IO[bytes]:
    """What `file` holds, decompressed as it is read. Reading raises Damaged where the stream is broken or cut off."""
    module = _standard()
    stream = module.ZstdFile(file, "r") if module else io.BufferedReader(_Reader(file), 1 << 17)
    return cast("IO[bytes]", stream)


def writer(file: IO[bytes]) -> IO[bytes]:
    """Compresses what is written to it into `file`; the stream is whole once it is closed, and `file` stays open."""
    module = _standard()
    stream = module.ZstdFile(file, "w", level=LEVEL) if module else io.BufferedWriter(_Writer(file), 1 << 17)
    return cast("IO[bytes]", stream)


def _standard() -> Any:
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return None


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer: where, how much, and how far it is used."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("used", ctypes.c_size_t)]


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    except OSError:
        raise LabError(
            t("this Python cannot read Zstandard and the machine has no libzstd.so.1"),
            t("install it (sudo apt-get install libzstd1), or make the bundle as .tar: ./inv bundle -o lab.tar"),
        ) from None
    for name in ("ZSTD_createDStream", "ZSTD_createCStream"):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("ZSTD_freeDStream", "ZSTD_freeCStream"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("ZSTD_decompressStream", "ZSTD_compressStream2"):
        getattr(library, name).restype = ctypes.c_size_t
    pair: list[Any] = [ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer)]
    library.ZSTD_decompressStream.argtypes = pair
    library.ZSTD_compressStream2.argtypes = [*pair, ctypes.c_int]
    library.ZSTD_CCtx_setParameter.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    library.ZSTD_CCtx_setParameter.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    return library


def _checked(library: ctypes.CDLL, code: int) -> int:
    """A size or a hint, unless it is an error."""
    if library.ZSTD_isError(code):
        raise Damaged(f"Zstandard: {library.ZSTD_getErrorName(code).decode()}")
    return code


class _Reader(io.RawIOBase):
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._library = _library()
        self._stream = self._library.ZSTD_createDStream()
        self._source = ctypes.create_string_buffer(1 << 17)
        self._input = _Buffer(ctypes.addressof(self._source), 0, 0)
        self._open_frame = False

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        """Some bytes; 0 at the end of the last frame."""
        view = memoryview(target).cast("B")
        into = (ctypes.c_char * len(view)).from_buffer(view)
        output = _Buffer(ctypes.addressof(into), len(view), 0)
        while output.used == 0:
            if self._input.used == self._input.size and not self._fill():
                return 0
            arguments = (self._stream, ctypes.byref(output), ctypes.byref(self._input))
            self._open_frame = _checked(self._library, self._library.ZSTD_decompressStream(*arguments)) != 0
        return int(output.used)

    def _fill(self) -> bool:
        piece = self._file.read(len(self._source))
        if not piece:
            if self._open_frame:
                raise Damaged(t("Zstandard: the file ends in the middle"))
            return False
        ctypes.memmove(self._source, piece, len(piece))
        self._input.size, self._input.used = len(piece), 0
        return True

    def close(self) -> None:
        if not self.closed and self._stream:
            self._library.ZSTD_freeDStream(self._stream)
            self._stream = None
        super().close()


class _Writer(io.RawIOBase):
    _LEVEL, _CHECKSUM = 100, 201  # of enum ZSTD_cParameter

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._library = _library()
        self._stream = self._library.ZSTD_createCStream()
        for parameter, value in ((self._LEVEL, LEVEL), (self._CHECKSUM, 1)):
            _checked(self._library, self._library.ZSTD_CCtx_setParameter(self._stream, parameter, value))
        self._target = ctypes.create_string_buffer(1 << 17)

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        self._push(bytes(data), _CONTINUE)
        return memoryview(data).nbytes

    def _push(self, data: bytes, mode: int) -> None:
        """All of `data`, and with _END what is still inside the compressor."""
        source = ctypes.create_string_buffer(data, len(data)) if data else None
        given = _Buffer(ctypes.addressof(source) if source is not None else None, len(data), 0)
        while True:
            output = _Buffer(ctypes.addressof(self._target), len(self._target), 0)
            arguments = (self._stream, ctypes.byref(output), ctypes.byref(given), mode)
            left = _checked(self._library, self._library.ZSTD_compressStream2(*arguments))
            self._file.write(self._target.raw[: output.used])
            if given.used == given.size and (mode == _CONTINUE or left == 0):
                return

    def close(self) -> None:
        if not self.closed and self._stream:
            self._push(b"", _END)
            self._library.ZSTD_freeCStream(self._stream)
            self._stream = None
        super().close()
