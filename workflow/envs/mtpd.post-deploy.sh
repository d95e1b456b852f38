#!/usr/bin/env bash
# Snakemake runs this in the new environment, in the project's root.
set -euo pipefail
pip install --quiet -c constraints.txt -r requirements.txt -e .
