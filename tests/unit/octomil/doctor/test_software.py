import os

import pytest

from octomil.config import variable_table
from octomil.doctor.finding import Status
from octomil.doctor.software import (
    OTHER_VARIABLES,
    ImportReport,
    Requirement,
    check_import_names,
    check_llama_cpp,
    check_packages,
    check_python,
    check_variables,
    declared_requirements,
    read_import_report,
    require_own_names,
    serve_requirements,
    try_imports,
)
from octomil.errors import ConfigurationError

AIOHTTP = Requirement("aiohttp", "3.13")
X86 = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | OPENMP = 1 | "


def test_an_old_python_is_a_problem():
    assert check_python((3, 11, 7), "/bin/python").status is Status.OK
    assert check_python((3, 10, 2), "/bin/python").status is Status.PROBLEM


def test_the_serve_extra_is_read_from_the_metadata():
    lines = [
        "click>=8.2",
        "pytest>=9; extra == 'dev'",
        "aiohttp>=3.13; extra == 'serve'",
        "uvloop>=0.22; (sys_platform != 'win32') and extra == 'serve'",
    ]

    assert serve_requirements(lines, "linux") == [AIOHTTP, Requirement("uvloop", "0.22")]
    assert serve_requirements(lines, "win32") == [AIOHTTP]


def test_our_own_metadata_is_understood():
    names = {requirement.name for requirement in declared_requirements()}

    assert {"aiohttp", "msgspec", "pip", "uvicorn", "xllamacpp"} <= names
    assert not {"click", "pytest", "sybil"} & names


@pytest.mark.parametrize(
    ("versions", "failed", "detail", "hint"),
    [
        ({}, {}, "not installed", "python -m pip install 'aiohttp>=3.13'"),
        ({"aiohttp": "3.9.5"}, {}, "3.9.5 is older than 3.13", "pip install 'aiohttp>=3.13'"),
        ({"aiohttp": "3.14"}, {"aiohttp": "OSError: no"}, "OSError: no", "--force-reinstall"),
    ],
)
def test_a_faulty_package_is_a_problem_with_its_remedy(versions, failed, detail, hint):
    (found,) = check_packages([AIOHTTP], versions, ImportReport(failed))

    assert found.status is Status.PROBLEM
    assert detail in found.detail
    assert hint in found.hint


def test_no_hint_names_a_distribution_that_is_not_ours():
    hints = [f.hint for f in check_packages(declared_requirements(), {}, ImportReport())]

    assert hints
    assert not any("octomil" in hint or "epochly" in hint for hint in hints)


def test_packages_that_are_well_share_a_line():
    wanted = [AIOHTTP, Requirement("uvloop", "0.22")]

    (found,) = check_packages(wanted, {"aiohttp": "3.13", "uvloop": "0.22.1"}, ImportReport())

    assert (found.status, found.check) == (Status.OK, "packages")
    assert found.detail == "2 of the serve extra: aiohttp 3.13, uvloop 0.22.1"


def test_packages_are_really_imported():
    report = try_imports(["msgspec", "google-re2", "no_such_package", "xllamacpp"], os.environ)

    assert list(report.failed) == ["no_such_package"]
    assert report.failed["no_such_package"].startswith("ModuleNotFoundError")
    assert " = 1" in report.system_info


def test_importing_onnxruntime_reports_to_nobody(tmp_path):
    report = try_imports(["onnxruntime"], {**os.environ, "TMPDIR": str(tmp_path)})

    assert report.failed == {}
    assert list(tmp_path.iterdir()) == []  # its reporter keeps a session file there


def test_a_package_that_ends_python_is_named():
    lines = ["trying numpy", "imported numpy", "trying xllamacpp"]

    report = read_import_report(["numpy", "xllamacpp", "yarl"], lines, -4)

    assert report.failed == {
        "xllamacpp": "importing it ended Python with status -4",
        "yarl": "not tried after xllamacpp failed",
    }


def test_a_build_for_another_processor_is_a_problem():
    found = check_llama_cpp(X86, {"sse", "avx"})

    assert found.status is Status.PROBLEM
    assert "this CPU has no AVX2 F16C FMA" in found.detail


def test_unused_vector_instructions_are_mentioned():
    flags = {"avx", "avx2", "f16c", "fma"}

    assert check_llama_cpp(X86, flags).detail == "built for AVX AVX2 F16C FMA"
    assert "AVX-512 is not used" in check_llama_cpp(X86, flags | {"avx512f"}).detail


def test_nothing_is_said_about_a_processor_that_cannot_be_read():
    assert check_llama_cpp("", {"avx"}) is None
    assert check_llama_cpp(X86, ()).status is Status.OK


def test_a_foreign_owner_of_our_import_names_is_a_problem():
    (found,) = check_import_names({"octomil": ["octomil_oss", "someone-else"], "numpy": ["numpy"]})

    assert found.status is Status.PROBLEM
    assert (
        found.detail == "the package 'someone-else' is not ours and installs a module 'octomil' too"
    )
    assert found.hint == "python -m pip uninstall someone-else"


def test_our_own_distribution_may_own_them():
    (found,) = check_import_names({"octomil": ["octomil-oss"], "epochly": ["octomil-oss"]})

    assert found.status is Status.OK


def test_a_misspelt_variable_is_noted_with_the_nearest_name():
    (found,) = check_variables(["OCTOMIL_CACHEDIR", "OCTOMIL_CACHE_DIR", "PATH"])

    assert found.status is Status.NOTE
    assert found.hint == "did you mean OCTOMIL_CACHE_DIR?"


def test_every_variable_that_is_read_is_known():
    names = [*(row[0] for row in variable_table()), *OTHER_VARIABLES]

    (found,) = check_variables(names)

    assert {"OCTOMIL_CACHE_DIR", "OCTOMIL_SERVE_KEY"} <= set(names)
    assert found.status is Status.OK


def test_a_distribution_with_our_name_is_refused(tmp_path, monkeypatch):
    require_own_names()
    info = tmp_path / "octomil-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: octomil\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigurationError, match=r"'octomil' 9\.9 .* pip uninstall octomil"):
        require_own_names()
