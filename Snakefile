from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst"


wildcard_constraints:
    experiment=NAME_PATTERN,
    detector=NAME_PATTERN,
    method=NAME_PATTERN,
    chain=CHAIN_PATTERN,
    file=FILE_PATTERN,


include: "workflow/rules/data.smk"
include: "workflow/rules/zoo.smk"
include: "workflow/rules/detectors.smk"
include: "workflow/rules/order.smk"
include: "workflow/rules/distill.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        [file for name in EXPERIMENTS for file in pairs_of(name)],
        lambda _: [file for name in EXPERIMENTS for file in products_of(name)],
