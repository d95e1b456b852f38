"""What a person sees while Snakemake runs: a live tree on a terminal, plain lines elsewhere."""
