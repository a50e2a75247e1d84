"""What a pickle would import, read off its opcodes; it is never loaded.

The stack is followed symbolically by what `pickletools` tells about each opcode, so that a name put
together or fetched from the memo is seen where a search for neighbouring strings would miss it.
"""

import pickletools
from collections.abc import Iterator
from typing import Any, BinaryIO

MAX_PICKLE_BYTES = 256 << 20
MAX_OPCODES = 20_000_000

COMPUTED = ("(computed)", "(computed)")
"""An import whose name is not written down: the pickle makes it up while it is loaded."""

_MARK = object()
_UNKNOWN = object()
_STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING",
            "SHORT_BINSTRING"}  # fmt: skip
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_EXTENSIONS = {"EXT1", "EXT2", "EXT4"}


class BrokenPickleError(ValueError):
    """The bytes are no pickle, or one too large to be followed."""


def imports_of(file: BinaryIO) -> set[tuple[str, str]]:
    """Return the modules and names that the pickle at the file's position imports.

    The file stands after the pickle then.

    Raises:
        BrokenPickleError: it cannot be followed to its end.
    """
    found: set[tuple[str, str]] = set()
    machine = _Machine()
    for opcode, argument in _opcodes(file):
        imported = machine.step(opcode, argument)
        if imported is not None:
            found.add(imported)
    return found


def _opcodes(file: BinaryIO) -> Iterator[tuple[Any, Any]]:
    bounded: Any = _Bounded(file)
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(bounded)):
            if number >= MAX_OPCODES:
                break
            yield opcode, argument
        else:
            return
    except BrokenPickleError:
        raise
    except (ValueError, OverflowError, EOFError, UnicodeError, KeyError) as error:
        raise BrokenPickleError(f"it is no pickle: {error}") from error
    raise BrokenPickleError(f"it has more than {MAX_OPCODES} steps")


class _Machine:
    """A pickle's stack and memo, where only texts have values."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[Any, Any] = {}

    def step(self, opcode: Any, argument: Any) -> tuple[str, str] | None:
        """Take a step; return what it imports, if it does."""
        name = opcode.name
        if name in _PUTS or name == "MEMOIZE":
            place = len(self._memo) if name == "MEMOIZE" else int(argument)
            self._memo[place] = self._stack[-1] if self._stack else _UNKNOWN
            return None
        if name in _GETS:
            self._stack.append(self._memo.get(int(argument), _UNKNOWN))
            return None
        if name == "DUP" and self._stack:
            self._stack.append(self._stack[-1])
            return None
        popped = self._pop(opcode)
        self._push(opcode, argument)
        return _imported(name, argument, popped)

    def _pop(self, opcode: Any) -> list[Any]:
        before = opcode.stack_before
        if opcode.name == "POP":
            return [self._stack.pop()] if self._stack else []
        if pickletools.markobject in before:
            popped = []
            while self._stack and (each := self._stack.pop()) is not _MARK:
                popped.append(each)
            extra = before.index(pickletools.markobject)
            return [*popped, *(self._stack.pop() for _ in range(min(extra, len(self._stack))))]
        return [self._stack.pop() for _ in range(min(len(before), len(self._stack)))]

    def _push(self, opcode: Any, argument: Any) -> None:
        if opcode.name == "MARK":
            self._stack.append(_MARK)
        elif opcode.name in _STRINGS:
            self._stack.append(argument)
        else:
            self._stack.extend(_UNKNOWN for _ in opcode.stack_after)


def _imported(opcode: str, argument: Any, popped: list[Any]) -> tuple[str, str] | None:
    if opcode in ("GLOBAL", "INST"):
        module, _, name = str(argument).partition(" ")
        return module, name
    if opcode in _EXTENSIONS:  # a number that the loading process' own registry turns into a name
        return COMPUTED
    if opcode != "STACK_GLOBAL":
        return None
    if len(popped) == 2 and all(isinstance(each, str) for each in popped):
        name, module = popped
        return module, name
    return COMPUTED


class _Bounded:
    """A file of which only so much may be read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_PICKLE_BYTES

    def read(self, size: int) -> bytes:
        return self._counted(self._file.read(self._checked(size)))

    def readline(self) -> bytes:
        return self._counted(self._file.readline(self._left + 1))

    def tell(self) -> int:
        return self._file.tell()

    def _checked(self, size: int) -> int:
        if size > self._left:
            raise BrokenPickleError(f"it is larger than {MAX_PICKLE_BYTES >> 20} MiB")
        return size

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        self._checked(0)
        return data
