def models_of_table(wildcards):
    """Folders of every detector and of every stage that the runs are made of."""
    layout, experiment = layout_of(wildcards), experiment_of(wildcards)
    folders = [layout.detector(name) for name in experiment.detectors]
    for name, chain in chains_of(wildcards).items():
        method = experiment.runs[name].method
        folders += [layout.stage(method, str(prefix)) for prefix in chain.prefixes()]
    return folders


def last_models(wildcards):
    """Folders of what the table evaluates: every detector, and the end of every chain."""
    layout, experiment = layout_of(wildcards), experiment_of(wildcards)
    ends = [
        layout.stage(experiment.runs[name].method, str(chain))
        for name, chain in chains_of(wildcards).items()
    ]
    return [*(layout.detector(name) for name in experiment.detectors), *ends]


rule results:
    input:
        metrics=lambda wildcards: [folder.metrics for folder in last_models(wildcards)],
        histories=lambda wildcards: [folder.history for folder in models_of_table(wildcards)],
    output:
        csv=PATHS.table("csv"),
        markdown=report(PATHS.table("md"), caption="../report/table.rst", category="Table"),
        latex=PATHS.table("tex"),
        png=report(PATHS.figure("val_ap", "png"), caption="../report/val_ap.rst", category="Figure"),
        pdf=PATHS.figure("val_ap", "pdf"),
    params:
        settings=settings(jobs.order_settings),
        experiment=experiment_file,
    log:
        PATHS.log("results"),
    threads: asks("small", "threads")
    resources:
        mem_mb=asks("small", "mem_mb"),
        runtime=asks("small", "runtime"),
    shell:
        "mtpd results {params.experiment:q} --results {RESULTS:q} --threads {threads}"
        " > {log:q} 2>&1"
