# The papers' tables and figures, over all experiments that they name. Short: they run where the
# workflow is started.


rule paper_table:
    input:
        measured=paper_needs("tables"),
        changes=paper_changes("tables"),
    output:
        csv=PAPER_PATHS.table("{item}", "csv"),
        markdown=report(
            PAPER_PATHS.table("{item}", "md"),
            caption="../report/paper_table.rst",
            category="Papers",
        ),
        latex=PAPER_PATHS.table("{item}", "tex"),
    log:
        PAPER_PATHS.log("tables.{item}"),
    localrule: True
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "log_to {log:q} mtpd paper-tables --item tables.{wildcards.item:q}"


rule paper_figure:
    input:
        measured=paper_needs("figures"),
        changes=paper_changes("figures"),
    output:
        png=report(
            PAPER_PATHS.figure("{item}", "png"),
            caption="../report/paper_figure.rst",
            category="Papers",
        ),
        pdf=PAPER_PATHS.figure("{item}", "pdf"),
    log:
        PAPER_PATHS.log("figures.{item}"),
    localrule: True
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "log_to {log:q} mtpd paper-tables --item figures.{wildcards.item:q}"


rule paper_report:
    input:
        shown=lambda _: items_of_paper(paper(), RESULTS),
        changes=lambda _: paper_report_changes(),
    output:
        report(
            PAPER_PATHS.report,
            caption="../report/paper_report.rst",
            category="Papers",
        ),
    log:
        PAPER_PATHS.log("report"),
    localrule: True
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "log_to {log:q} mtpd paper-tables --item report"
