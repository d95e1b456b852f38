# The papers' tables and figures, over all experiments that they name. Short: they run where the
# workflow is started.


rule paper_table:
    input:
        lambda wildcards: paper_inputs(f"tables.{wildcards.table}"),
    output:
        csv=PAPER_PATHS.table("{table}", "csv"),
        markdown=report(
            PAPER_PATHS.table("{table}", "md"),
            caption="../report/paper_table.rst",
            category="Papers",
        ),
        latex=PAPER_PATHS.table("{table}", "tex"),
    log:
        PAPER_PATHS.log("tables.{table}"),
    localrule: True
    threads: 1
    resources:
        mem_mb=2000,
    params:
        tables=WORKFLOW.paper_tables,
        folder=WORKFLOW.folder,
        results=RESULTS,
        settings=lambda wildcards: paper().tables[wildcards.table].model_dump(),
    shell:
        "mtpd paper-tables --tables {params.tables:q} --experiments-folder {params.folder:q}"
        " --results {params.results:q} --item tables.{wildcards.table:q} > {log:q} 2>&1"


rule paper_figure:
    input:
        lambda wildcards: paper_inputs(f"figures.{wildcards.figure}"),
    output:
        png=report(
            PAPER_PATHS.figure("{figure}", "png"),
            caption="../report/paper_figure.rst",
            category="Papers",
        ),
        pdf=PAPER_PATHS.figure("{figure}", "pdf"),
    log:
        PAPER_PATHS.log("figures.{figure}"),
    localrule: True
    threads: 1
    resources:
        mem_mb=2000,
    params:
        tables=WORKFLOW.paper_tables,
        folder=WORKFLOW.folder,
        results=RESULTS,
        settings=lambda wildcards: paper().figures[wildcards.figure].model_dump(),
    shell:
        "mtpd paper-tables --tables {params.tables:q} --experiments-folder {params.folder:q}"
        " --results {params.results:q} --item figures.{wildcards.figure:q} > {log:q} 2>&1"
