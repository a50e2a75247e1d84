"""Rows of a bench: their verdicts, the printed table and the stored result."""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
QUICK_RESULTS = ROOT / ".cache" / "bench" / "results"
"""Quick runs prove that a bench works; they never replace a measured result."""

_PACKAGES = ("octomil-oss", "uvloop", "httptools", "uvicorn", "starlette", "aiohttp", "msgspec")

Verdict = Literal["ok", "within 2x", "MISSED", "not measured", "-"]


@dataclass(frozen=True)
class Budget:
    """A limit on `ours`, or on the ratio to the peer."""

    of: Literal["ours", "ratio"]
    bound: Literal["at most", "at least"]
    limit: float

    def verdict(self, value: float | None) -> Verdict:
        """Judge a value; `within 2x` is a miss by less than a factor of two."""
        if value is None:
            return "not measured"
        if self.bound == "at most":
            return "ok" if value <= self.limit else _missed(value <= 2 * self.limit)
        return "ok" if value >= self.limit else _missed(value >= self.limit / 2)

    def __str__(self) -> str:
        sign = "≤" if self.bound == "at most" else "≥"
        return f"{sign} {self.limit:g}{'x' if self.of == 'ratio' else ''}"


def _missed(near: bool) -> Verdict:
    return "within 2x" if near else "MISSED"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured quantity. `ratio` says how many times better ours is than the peer.

    Where both were measured turn by turn it is the median of the turns' ratios: a machine that
    grows slower meanwhile slows both of a turn.

    Args:
        metric: what was measured, with its unit at the end.
        rounds: the single measurements behind each column.
    """

    metric: str
    unit: str
    ours: float | None = None
    peer: float | None = None
    floor: float | None = None
    higher_is_better: bool = False
    budget: Budget | None = None
    note: str = ""
    rounds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        if not self.ours or not self.peer:
            return None
        ours, peer = self.rounds.get("ours", []), self.rounds.get("peer", [])
        if len(ours) != len(peer) or not all(ours) or not all(peer):
            ours, peer = [self.ours], [self.peer]
        turns = zip(ours, peer, strict=True)
        return median([a / b if self.higher_is_better else b / a for a, b in turns])

    @property
    def verdict(self) -> Verdict:
        if self.budget is None:
            return "-"
        return self.budget.verdict(self.ratio if self.budget.of == "ratio" else self.ours)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Under what a run was made: what tells a noisy figure from a sound one."""

    quick: bool
    covers_sha256: str
    other_jobs_cores: float
    calibration_ms: list[float]

    def __str__(self) -> str:
        low_ms, high_ms = min(self.calibration_ms), max(self.calibration_ms)
        others = f"other jobs used {self.other_jobs_cores:.2f} cores"
        return f"calibration {low_ms:.1f} to {high_ms:.1f} ms; {others}"


def median(values: Sequence[float]) -> float | None:
    """The middle value, or None where nothing was measured."""
    if not values:
        return None
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def compare(metric: str, unit: str, rounds: dict[str, list[float]], **rest: Any) -> Row:
    """Make a row of the medians of `rounds`, keyed `ours`, `peer` and `floor`."""
    ours, peer, floor = (median(rounds.get(key, [])) for key in ("ours", "peer", "floor"))
    return Row(metric=metric, unit=unit, ours=ours, peer=peer, floor=floor, rounds=rounds, **rest)


def print_table(name: str, rows: list[Row]) -> None:
    header = ("", "ours", "peer", "floor", "ratio", "budget", "verdict")
    lines = [header] + [
        (
            f"{row.metric} [{row.unit}]",
            *(_number(value) for value in (row.ours, row.peer, row.floor, row.ratio)),
            str(row.budget or "-"),
            row.verdict,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    print(f"\n{name}")
    for line in lines:
        first, *others = line
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  " + "  ".join(cells).rstrip())
    for row in rows:
        if row.note:
            print(f"  * {row.metric}: {row.note}")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value and abs(value) < 10:
        return f"{value:.3g}"
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def digest_of(covers: Sequence[str]) -> str:
    """SHA-256 over the Python files under the covered paths of ``src``, names included."""
    total = hashlib.sha256()
    for entry in covers:
        top = ROOT / "src" / entry
        for path in sorted(top.rglob("*.py")) if top.is_dir() else [top]:
            if path.is_file():
                data = path.read_bytes()
                total.update(f"{path.relative_to(ROOT)}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def store(name: str, rows: list[Row], *, covers: Sequence[str], conditions: Conditions) -> Path:
    """Write one result with all that is needed to judge it later; returns its path."""
    folder = QUICK_RESULTS if conditions.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--", "src", "bench")),
        "covers": list(covers),
        "machine": machine(),
        "versions": versions(),
        **_rounded(asdict(conditions)),
        "rows": [_as_json(row) for row in rows],
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def stale_results() -> list[str]:
    """Names of stored results whose covered code has changed since."""
    stale = []
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["covers_sha256"] != digest_of(result["covers"]):
            stale.append(path.stem)
    return stale


def _as_json(row: Row) -> dict[str, Any]:
    budget = None if row.budget is None else f"{row.budget.of} {row.budget}"
    derived = {"ratio": row.ratio, "budget": budget, "verdict": row.verdict}
    rounded: dict[str, Any] = _rounded(asdict(row) | derived)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value


def machine() -> dict[str, str | int]:
    """What the figures were taken on."""
    cpu_model = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu_model = line.partition(":")[2].strip()
                break
    from bench.cpu import usable_cores

    return {
        "cpu_model": cpu_model,
        "cores": len(usable_cores()),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Versions of the packages on the measured path."""
    found = {"python": sys.version.split()[0]}
    for package in (*_PACKAGES, "xllamacpp"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    from bench.peers import LITELLM_VERSION, litellm_is_installed

    if litellm_is_installed():
        found["litellm"] = LITELLM_VERSION
    return found


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
