"""Evidence for what the project claims: runs from many seeds, their raw rows, and the page of them.

    python -m benchmarks.evidence run evidence_shapes --seeds 0-9
    python -m benchmarks.evidence page

Every seed of an experiment in ``config/experiments/evidence_*.yaml`` is an experiment of its own,
baseline included, that Snakemake runs. What was measured goes into ``docs/evidence/NAME.csv``, and
what stands there is not run again. ``docs/evidence.md`` and its figures are made from these files
alone.
"""
