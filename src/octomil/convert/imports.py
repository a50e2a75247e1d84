"""What a pickle may name without anybody having to worry, and what is there to do harm."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

_PLAIN = frozenset(
    [
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "set",
        "slice",
        "str",
        "tuple",
    ]
)
_SAFE_NAMES: Mapping[str, Collection[str]] = {
    "_codecs": {"encode"},
    "collections": {"OrderedDict", "defaultdict", "Counter"},
    "builtins": _PLAIN,
    "__builtin__": _PLAIN,
    "torch": {"Size", "Tensor", "device", "dtype"},
    "torch._tensor": {"_rebuild_from_type_v2"},
    "torch.nn.parameter": {"Parameter", "Buffer"},
    "torch.serialization": {"_get_layout"},
    "torch.storage": {"UntypedStorage", "TypedStorage"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
}
_SAFE_ENDS = {"torch": ("Storage",), "torch.cuda": ("Storage",)}
_SAFE_BEGINNINGS = {"torch._utils": ("_rebuild_",), "torch.jit._pickle": ("",)}
_DTYPES = frozenset(
    [
        "bfloat16",
        "bool",
        "complex32",
        "complex64",
        "complex128",
        "float16",
        "float32",
        "float64",
        "float8_e4m3fn",
        "float8_e5m2",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "qint8",
        "quint8",
        "qint32",
    ]
)

_HARMFUL_MODULES = frozenset(
    [
        "asyncio",
        "bdb",
        "builtins",
        "__builtin__",
        "cffi",
        "cloudpickle",
        "code",
        "codeop",
        "commands",
        "copyreg",
        "copy_reg",
        "ctypes",
        "dill",
        "distutils",
        "ensurepip",
        "fcntl",
        "ftplib",
        "glob",
        "http",
        "httplib",
        "idlelib",
        "importlib",
        "inspect",
        "io",
        "joblib",
        "lib2to3",
        "linecache",
        "logging.config",
        "marshal",
        "mmap",
        "multiprocessing",
        "nt",
        "nturl2path",
        "numexpr",
        "numpy.distutils",
        "numpy.f2py",
        "numpy.testing",
        "operator",
        "os",
        "pdb",
        "pickle",
        "_pickle",
        "cPickle",
        "pip",
        "pkg_resources",
        "pkgutil",
        "platform",
        "popen2",
        "posix",
        "profile",
        "pty",
        "pydoc",
        "requests",
        "runpy",
        "setuptools",
        "shelve",
        "shutil",
        "signal",
        "site",
        "smtplib",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "test",
        "threading",
        "_thread",
        "timeit",
        "torch._dynamo",
        "torch._inductor",
        "torch.distributed",
        "torch.fx",
        "torch.hub",
        "torch.multiprocessing",
        "torch.package",
        "torch.utils.cpp_extension",
        "trace",
        "types",
        "urllib",
        "urllib2",
        "urllib3",
        "venv",
        "webbrowser",
        "winreg",
        "_winreg",
        "zipimport",
    ]
)
_HARMFUL_NAMES = frozenset(
    [
        "eval",
        "exec",
        "execfile",
        "compile",
        "open",
        "input",
        "getattr",
        "setattr",
        "delattr",
        "__import__",
        "apply",
        "system",
        "popen",
        "load",
        "loads",
        "import_module",
        "run_path",
        "run_module",
    ]
)


@dataclass(frozen=True, slots=True)
class Imports:
    """What a pickle names, sorted into three.

    Attributes:
        harmful: would run commands, open files, or import what it likes; as `module.name`.
        unknown: code that is not known here, such as the class of a whole model.
        safe: tensors, their storages, and plain containers.
    """

    harmful: tuple[str, ...]
    unknown: tuple[str, ...]
    safe: tuple[str, ...]


def sorted_imports(found: Iterable[tuple[str, str]]) -> Imports:
    """Sort what a pickle imports.

    Args:
        found: pairs of a module and a name in it.

    Example:
        >>> sorted_imports([("posix", "system"), ("collections", "OrderedDict")])
        Imports(harmful=('posix.system',), unknown=(), safe=('collections.OrderedDict',))
    """
    kinds: dict[str, list[str]] = {"harmful": [], "unknown": [], "safe": []}
    for module, name in sorted(set(found)):
        kinds[_kind(module, name)].append(f"{module}.{name}")
    return Imports(**{kind: tuple(names) for kind, names in kinds.items()})


def _kind(module: str, name: str) -> str:
    if _is_safe(module, name):
        return "safe"
    return "harmful" if _is_harmful(module, name) else "unknown"


def _is_safe(module: str, name: str) -> bool:
    if module.startswith("__torch__"):  # compiled code of the same archive, run by TorchScript
        return name.isidentifier()
    if name in _SAFE_NAMES.get(module, ()) or (module == "torch" and name in _DTYPES):
        return True
    return name.isidentifier() and (
        name.endswith(_SAFE_ENDS.get(module, ("\0",)))
        or name.startswith(_SAFE_BEGINNINGS.get(module, ("\0",)))
    )


def _is_harmful(module: str, name: str) -> bool:
    """Tell whether a name, or a path of names through it, reaches what does harm."""
    parts = module.split(".")
    above = {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    if above & _HARMFUL_MODULES:
        return True
    steps = name.split(".")
    return (
        any(step in _HARMFUL_NAMES or step.startswith("__") for step in steps)
        or any(step in _HARMFUL_MODULES for step in steps[:-1])
        or not all(step.isidentifier() for step in (*parts, *steps))
    )
