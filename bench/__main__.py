"""``python -m bench [NAME ...] [--quick]``: run benches, print tables, store results."""

import argparse
import importlib
import sys
import traceback

from bench.cpu import OtherLoad, calibrate
from bench.report import ROOT, Conditions, digest_of, print_table, stale_results, store

CATALOG = {
    "start": "bench.start",
    "gateway": "bench.gateway",
    "llama_cpp": "bench.llama_cpp",
    "escalation": "bench.escalation",
    "queue": "bench.request_queue",
    "metrics": "bench.metrics",
    "routing": "bench.routing",
    "polls": "bench.polls",
    "devices": "bench.devices",
    "registry": "bench.registry",
    "uploads": "bench.uploads",
    "breaker": "bench.breaker",
    "statistics": "bench.statistics",
    "redaction": "bench.redaction",
    "buckets": "bench.buckets",
    "placement": "bench.placement",
    "stream_timing": "bench.stream_timing",
    "inference_api": "bench.inference_api",
}
"""Name to module. A new bench is one file and one line here."""

CAMPAIGNS = {
    "mutation": "bench.mutation",
    "regressions": "bench.regressions",
    "rollouts": "bench.rollouts",
    "steering": "bench.steering",
    "orchestrators": "bench.orchestrators",
    "crashes": "bench.crashes",
    "orchestrator_crashes": "bench.orchestrator_crashes",
    "interoperability": "bench.interoperability",
    "torch_files": "bench.torch_files",
    "openapi": "bench.openapi",
    "agreement": "bench.agreement",
}
"""What `campaign` runs: counts rather than times, and longer than a bench."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [*CATALOG, *CAMPAIGNS, "campaign"]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="one short round; stored elsewhere")
    parser.add_argument("--stale", action="store_true", help="list results older than their code")
    options = parser.parse_args()
    if options.stale:
        stale = stale_results()
        print("\n".join(stale) or "no stale results")
        return bool(stale)
    if unknown := sorted(set(options.names) - set(names)):
        parser.error(f"unknown bench {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = _wanted(options.names)
    failed = [name for name in wanted if not _run(name, options.quick)]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return bool(failed)


def _wanted(names: list[str]) -> list[str]:
    """Every bench where none is named; the campaigns only by name."""
    if not names:
        return list(CATALOG)
    every = CAMPAIGNS if "campaign" in names else {}
    return [name for name in CATALOG | CAMPAIGNS if name in names or name in every]


def _run(name: str, quick: bool) -> bool:
    """Run one bench; a failure is printed and does not keep the others from running."""
    module = importlib.import_module((CATALOG | CAMPAIGNS)[name])
    calibration_ms = [calibrate() for _ in range(5)]
    covers_sha256 = digest_of(module.COVERS)  # before the run: the code may change meanwhile
    others = OtherLoad()
    try:
        rows = module.run(quick)
    except Exception:  # noqa: BLE001 - the other benches are independent of it
        print(f"\n{name}")
        traceback.print_exc(file=sys.stdout)
        return False
    conditions = Conditions(
        quick=quick,
        covers_sha256=covers_sha256,
        other_jobs_cores=others.cores(),
        calibration_ms=calibration_ms + [calibrate() for _ in range(5)],
    )
    print_table(name, rows)
    path = store(name, rows, covers=module.COVERS, conditions=conditions)
    print(f"  {conditions}; {path.relative_to(ROOT)}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
