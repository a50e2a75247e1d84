"""Speed, measured against real peers: one file per budget, ratios taken inside one run.

A bench is a module with ``COVERS`` (what it measures, paths under ``src``) and
``run(quick) -> list[Row]``; its name and module stand in the catalog of ``bench.__main__``.
"""
