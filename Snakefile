from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"


# It has been read and checked; so it is in the report and in archives too.
if SETTINGS.exists():

    configfile: str(SETTINGS)


report: "workflow/report/workflow.rst"


wildcard_constraints:
    experiment=NAME_PATTERN,
    detector=NAME_PATTERN,
    method=NAME_PATTERN,
    chain=CHAIN_PATTERN,
    file=FILE_PATTERN,
    item=NAME_PATTERN,


include: "workflow/rules/data.smk"
include: "workflow/rules/zoo.smk"
include: "workflow/rules/detectors.smk"
include: "workflow/rules/order.smk"
include: "workflow/rules/distill.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/paper.smk"


rule all:
    default_target: True
    input:
        [f for name in WORKFLOW.experiments for f in decided_products_of(name)],
        # One function for each: whose order is not known yet keeps none of the others back.
        *[lambda _, name=name: products_of(name) for name in WORKFLOW.experiments],


rule paper_tables:
    input:
        lambda _: paper_models(),
        lambda _: products_of_paper(paper(), RESULTS),
