# `make demo` and `make test` create .venv from the pinned requirements if it is missing.
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
# A run starts hundreds of processes: what Python compiles is kept for the next one.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo demo-teachers evidence test test-slow test-slurm test-faults compatibility paper-proof lint format bench schema wheel reference docs report clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' $(MAKEFILE_LIST)

.venv/.runtime: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 12) else "$(PYTHON) is Python %d.%d; give 3.11 or 3.12: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements.txt -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt
	@touch $@

DEMO_TEACHERS := regnet_w16 r18_w12 r18_w16 swin_w20 r18_w24

demo: .venv/.runtime ## the whole pipeline on generated data: four to eleven minutes on two cores
	$(BIN)/snakemake --cores $(CORES) --config experiments=demo
	@cat results/demo/tables/results.md

# The hashes that it prints belong into the experiments that name the weights.
demo-teachers: .venv/.runtime ## train the demo's teachers again: two hours of one core
	$(BIN)/snakemake --cores $(CORES) --config experiments=demo_teachers
	@for name in $(DEMO_TEACHERS); do \
	  $(BIN)/mtpd weights results/demo_teachers/detectors/$$name/model.pth \
	    config/weights/$$name.safetensors --half || exit 1; done

# What stands in docs/evidence is not run again, so it can be interrupted and go on anywhere.
evidence: .venv/.dev ## docs/evidence.md: what the page lists, from ten seeds; many hours
	$(BIN)/python -m benchmarks.evidence run evidence_shapes_tuning --seeds 100,101 --cores $(CORES)
	$(BIN)/python -m benchmarks.evidence run evidence_shapes --seeds 0-9 --cores $(CORES)
	$(BIN)/python -m benchmarks.evidence run evidence_shapes_budget --seeds 0-3 --cores $(CORES)
	$(BIN)/python -m benchmarks.evidence run evidence_orders --seeds 0-3 --every-order 3 --cores $(CORES)
	$(BIN)/python -m benchmarks.evidence run evidence_precision --seeds 0-2 --cores $(CORES)
	$(BIN)/python -m benchmarks.evidence costs evidence_shapes
	$(BIN)/python -m benchmarks.evidence page

test: .venv/.dev ## the tests
	$(BIN)/python -m pytest -n $(CORES) --dist loadgroup

test-slow: .venv/.dev ## the tests that take minutes
	$(BIN)/python -m pytest -n $(CORES) --dist loadgroup -m slow

test-slurm: .venv/.dev ## the tests on a real Slurm, installed and started here (Debian, root)
	$(BIN)/python -m pytest tests/slurm -m slurm -rs

test-faults: .venv/.dev ## jobs killed at random moments, many times: an hour
	$(BIN)/python -m pytest -n $(CORES) tests/faults -m faults

compatibility: .venv/.dev ## docs/compatibility.md: full-size pairs, two steps each; half an hour
	rm -rf results/compatibility
	$(BIN)/python -m pytest -n $(CORES) tests/compatibility -m compatibility
	PYTHONPATH=tests $(BIN)/python -m compatibility.page

# What has passed is kept in results/proof and not run again.
paper-proof: .venv/.dev ## docs/proof.md: every paper experiment at full size, one step a stage; hours
	$(BIN)/python -m pytest tests/proof -m proof
	PYTHONPATH=tests $(BIN)/python -m proof.page

lint: .venv/.dev ## format, style, types, and the workflow's own checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/python -m pytest -q tests/workflow/test_lint.py
	$(BIN)/mtpd schema | cmp - workflow/schemas/experiment.schema.json
	$(BIN)/python -m reference --check
	$(BIN)/zensical build --clean --strict

format: .venv/.dev ## rewrite in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

bench: .venv/.runtime ## the measurements of benchmarks/
	$(BIN)/python -m benchmarks.distillation_step
	$(BIN)/python -m benchmarks.full_size
	$(BIN)/python -m benchmarks.masks
	$(BIN)/python -m benchmarks.costs
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.planning

wheel: .venv/.dev ## dist/mtpd-….whl, which holds the workflow too
	rm -rf build
	$(BIN)/pip wheel . --no-deps --no-build-isolation --wheel-dir dist

schema: .venv/.runtime ## workflow/schemas from the types of the settings
	$(BIN)/mtpd schema > workflow/schemas/experiment.schema.json

reference: .venv/.runtime ## docs/reference from the settings, the commands and the errors in the code
	$(BIN)/python -m reference

docs: .venv/.dev reference ## the documentation as a site: site/index.html
	$(BIN)/zensical build --clean --strict

report: .venv/.runtime ## results/demo/snakemake-report.html: Snakemake's own; report.html is there already
	$(BIN)/snakemake --config experiments=demo --report results/demo/snakemake-report.html

clean: ## remove results; what was trained stays in .mtpd-store (`mtpd store clean`)
	rm -rf results .snakemake site
