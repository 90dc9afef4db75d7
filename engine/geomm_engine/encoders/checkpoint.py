"""Reads tensors out of files that torch.save wrote, without running them: no pickle is loaded, torch is not needed.

Such a file is a zip of raw numbers and a pickle that says what they are. A pickle is a program: whoever loads it runs it.
Here its instructions are only looked at, one by one, by a reader that knows dictionaries, lists, numbers, texts and the
five names that weights need; it has no way to call anything. A file that asks for any other name is refused by name.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import ModelError

_MOST_PROGRAM_BYTES = 64 << 20
_STORAGES: dict[str, DTypeLike] = {
    "DoubleStorage": np.float64, "FloatStorage": np.float32, "HalfStorage": np.float16, "LongStorage": np.int64,
    "IntStorage": np.int32, "ShortStorage": np.int16, "CharStorage": np.int8, "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}  # fmt: skip
_DICT = ("collections", "OrderedDict")
_TENSOR = ("torch._utils", "_rebuild_tensor_v2")
_PARAMETER = ("torch._utils", "_rebuild_parameter")


@dataclass(frozen=True)
class Tensor:
    """A tensor that the file holds, not yet read."""

    _archive: _Archive = field(repr=False)
    dtype: np.dtype[np.generic]
    key: str
    count: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self) -> NDArray[np.generic]:
        """The numbers, as a new array.

        Raises:
            ModelError: the file holds fewer numbers than it says.
        """
        stored = self._archive.numbers(self.key, self.dtype, self.count)
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        if min(self.offset, *self.shape, *self.stride, 0) < 0 or (0 not in self.shape and last >= self.count):
            raise _unreadable(self._archive.path, "a tensor reaches beyond its numbers")
        strides = tuple(step * self.dtype.itemsize for step in self.stride)
        return np.lib.stride_tricks.as_strided(stored[self.offset :], self.shape, strides).copy()


class _Archive:
    """The zip file: its pickle and its raw numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as problem:
            raise _unreadable(path, f"it is no file that torch.save writes since version 1.6 ({problem})") from problem
        programs = [name for name in self._zip.namelist() if name.rsplit("/", 1)[-1] == "data.pkl"]
        if len(programs) != 1:
            raise _unreadable(path, "it holds no data.pkl")
        self._prefix = programs[0].removesuffix("data.pkl")
        order = self._prefix + "byteorder"
        self._order = self._zip.read(order).decode("ascii", "replace") if order in self._zip.namelist() else "little"

    def program(self) -> bytes:
        if self._zip.getinfo(f"{self._prefix}data.pkl").file_size > _MOST_PROGRAM_BYTES:
            raise _unreadable(self.path, "its data.pkl is far larger than weights need")
        return self._read("data.pkl")

    def numbers(self, key: str, dtype: np.dtype[np.generic], count: int) -> NDArray[np.generic]:
        name = f"{self._prefix}data/{key}"
        if name not in self._zip.namelist() or self._zip.getinfo(name).file_size != count * dtype.itemsize:
            raise _unreadable(self.path, f"the numbers {key} are missing or cut off")
        found = np.frombuffer(
            self._read(f"data/{key}"), dtype=dtype.newbyteorder("<" if self._order == "little" else ">")
        )
        return found.astype(dtype, copy=False)

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._prefix + name)
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as problem:
            raise _unreadable(self.path, str(problem)) from problem


@dataclass(frozen=True)
class _Name:
    """A name that the pickle asks for; never looked up."""

    module: str
    name: str


class _Mark:
    """Where a run of items begins on the stack."""


def read_checkpoint(path: Path) -> object:
    """What the file holds: dicts with :class:`Tensor` leaves, lists, tuples, texts, numbers.

    Raises:
        ModelError: it is no file of torch.save, or its pickle asks for anything that weights do not need; nothing of
            it was run.
    """
    archive = _Archive(path)
    reader = _Reader(archive)
    try:
        for code, argument, _ in pickletools.genops(archive.program()):
            reader.step(code.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as problem:
        raise _unreadable(path, f"its data.pkl is damaged ({problem})") from problem
    return reader.result


def tensors(value: object, path: Path) -> dict[str, Tensor]:
    """A dictionary of names and tensors as such.

    Raises:
        ModelError: it is no dictionary, or something in it is no tensor.
    """
    if not isinstance(value, dict) or not value:
        raise _unreadable(path, "it holds no dictionary of weights")
    wrong = [str(name) for name, item in value.items() if not isinstance(name, str) or not isinstance(item, Tensor)]
    if wrong:
        raise _unreadable(path, f"“{wrong[0]}” in its dictionary of weights is no tensor")
    return dict(value)


class _Reader:
    """A stack, a memo, and what each instruction that weights need means for them."""

    def __init__(self, archive: _Archive) -> None:
        self._archive = archive
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self.result: object = None

    def step(self, code: str, argument: object) -> None:
        """Take one instruction.

        Raises:
            ModelError: it is none that weights need.
        """
        if code in ("PROTO", "FRAME"):
            return
        if code in _LITERALS:
            self._stack.append(_LITERALS[code](argument))
        elif code in _MARKED:
            self._stack.append(_MARKED[code](self._marked()))
        elif code in _TUPLES:
            count = _TUPLES[code]
            self._stack[len(self._stack) - count :] = [tuple(self._stack[len(self._stack) - count :])]
        elif code in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[int(str(argument))] = self._stack[-1]
        elif code == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif code in ("BINGET", "LONG_BINGET", "GET"):
            self._stack.append(self._memo[int(str(argument))])
        else:
            self._change(code, argument)

    def _change(self, code: str, argument: object) -> None:
        stack = self._stack
        match code:
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _dict_of(stack[-1])[key] = value
            case "SETITEMS":
                items = self._marked()
                _dict_of(stack[-1]).update(zip(items[::2], items[1::2], strict=True))
            case "APPEND":
                item = stack.pop()
                _list_of(stack[-1]).append(item)
            case "APPENDS":
                items = self._marked()
                _list_of(stack[-1]).extend(items)
            case "GLOBAL":
                stack.append(self._name(*str(argument).split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(self._name(str(module), str(name)))
            case "REDUCE":
                arguments, what = stack.pop(), stack.pop()
                stack.append(self._made(what, arguments))
            case "BUILD":
                stack.pop()
                _dict_of(stack[-1])  # a state dictionary's version marks: of no use here
            case "BINPERSID":
                stack.append(self._storage(stack.pop()))
            case "POP":
                stack.pop()
            case "STOP":
                self.result = stack.pop()
            case _:
                raise self._refused(f"the instruction {code}")

    def _marked(self) -> list[object]:
        at = len(self._stack) - 1
        while not isinstance(self._stack[at], _Mark):
            at -= 1
            if at < 0:
                raise ValueError("an end without a beginning")
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _name(self, module: str, name: str) -> _Name:
        if (module, name) in (_DICT, _TENSOR, _PARAMETER) or (module == "torch" and name in _STORAGES):
            return _Name(module, name)
        raise self._refused(f"“{module}.{name}”")

    def _storage(self, told: object) -> tuple[_Name, str, int]:
        if isinstance(told, tuple) and len(told) == 5:
            kind, of, key, _, count = told
            if kind == "storage" and isinstance(of, _Name) and of.name in _STORAGES and isinstance(count, int):
                return of, str(key), count
        raise self._refused("a storage that it does not describe")

    def _made(self, what: object, arguments: object) -> object:
        if not isinstance(what, _Name) or not isinstance(arguments, tuple):
            raise self._refused("a call of something unnamed")
        named = (what.module, what.name)
        if named == _DICT and not arguments:
            return {}
        if named == _PARAMETER and arguments and isinstance(arguments[0], Tensor):
            return arguments[0]
        if named == _TENSOR and len(arguments) >= 4:
            storage, offset, shape, stride = arguments[:4]
            if isinstance(storage, tuple) and isinstance(offset, int) and _are_sizes(shape) and _are_sizes(stride):
                of, key, count = storage
                dtype: np.dtype[np.generic] = np.dtype(_STORAGES[of.name])
                return Tensor(self._archive, dtype, key, count, offset, tuple(shape), tuple(stride))
        raise self._refused(f"{what.module}.{what.name} in a way that weights do not")

    def _refused(self, what: str) -> ModelError:
        return ModelError(
            ErrorCode.MODEL_INVALID,
            f"{self._archive.path} is refused: it asks for {what}, which a file of weights has no need of. "
            "Nothing of it was run.",
            "Take the file from its authors; if this is theirs, save its weights as safetensors.",
            path=str(self._archive.path),
        )


def _are_sizes(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, int) for item in value)


def _dict_of(value: object) -> dict[object, object]:
    if not isinstance(value, dict):
        raise TypeError("items are set in what is no dictionary")
    return value


def _list_of(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("items are appended to what is no list")
    return value


def _same(argument: object) -> object:
    return argument


_LITERALS: dict[str, Callable[[object], object]] = {
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT", "BINUNICODE",
         "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "SHORT_BINBYTES", "BINBYTES"), _same),
    "NONE": lambda _: None, "NEWTRUE": lambda _: True, "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {}, "EMPTY_LIST": lambda _: [], "EMPTY_TUPLE": lambda _: (), "EMPTY_SET": lambda _: [],
    "MARK": lambda _: _Mark(),
}  # fmt: skip
_MARKED: dict[str, Callable[[list[object]], object]] = {
    "TUPLE": tuple,
    "LIST": list,
    "DICT": lambda items: dict(zip(items[::2], items[1::2], strict=True)),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _unreadable(path: Path, problem: str) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_INVALID,
        f"The weights {path} cannot be read: {problem}.",
        "Download or copy the file again, from its authors.",
        path=str(path),
    )
