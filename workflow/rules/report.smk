rule results:
    input:
        metrics=steady("results", table_metrics),
        histories=steady("results", table_histories),
        changes=changes("results"),
    output:
        csv=PATHS.table("csv"),
        markdown=report(
            PATHS.table("md"), caption="../report/table.rst", category="Table"
        ),
        latex=PATHS.table("tex"),
        png=report(
            PATHS.figure("val_ap", "png"),
            caption="../report/val_ap.rst",
            category="Figure",
        ),
        pdf=PATHS.figure("val_ap", "pdf"),
    log:
        PATHS.log("results"),
    threads: asks("small", "threads")
    resources:
        **resources_of("small"),
    shell:
        "log_to {log:q} mtpd results {wildcards.experiment:q} --threads {threads}"


rule cost_matrix:
    input:
        measured=needs_all("cost_matrix"),
        changes=changes("cost_matrix"),
    output:
        png=report(
            PATHS.figure("costs", "png"),
            caption="../report/costs.rst",
            category="Figure",
        ),
        pdf=PATHS.figure("costs", "pdf"),
    log:
        PATHS.log("cost_matrix"),
    threads: asks("small", "threads")
    resources:
        **resources_of("small"),
    shell:
        "log_to {log:q} mtpd cost-matrix {wildcards.experiment:q}"


# One page. Models run on one image, on the CPU, in the memory of an evaluation.
rule report:
    input:
        made=steady("report", report_inputs),
        changes=changes("report"),
    output:
        PATHS.report,
    log:
        PATHS.log("report"),
    threads: asks("small", "threads")
    resources:
        mem_mb=asks("infer", "mem_mb"),
        runtime=asks("infer", "runtime"),
    shell:
        "log_to {log:q} mtpd report {wildcards.experiment:q} --threads {threads}"
