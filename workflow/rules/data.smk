rule data:
    input:
        lambda wildcards: jobs.existing_data_files(experiment_of(wildcards)),
    output:
        dataset=PATHS.dataset,
    params:
        settings=settings(jobs.data_settings),
        experiment=experiment_file,
        root=lambda wildcards: (
            ["--data-root", WORKFLOW.data_roots[wildcards.experiment]]
            if wildcards.experiment in WORKFLOW.data_roots
            else []
        ),
    log:
        PATHS.log("data"),
    threads: asks("small", "threads")
    resources:
        mem_mb=asks("small", "mem_mb"),
        runtime=asks("small", "runtime"),
    shell:
        "mtpd data {params.experiment:q} --results {RESULTS:q} {params.root:q}"
        " > {log:q} 2>&1"


rule check:
    input:
        dataset=PATHS.dataset,
        configs=lambda wildcards: jobs.own_files(experiment_of(wildcards)),
    output:
        PATHS.check,
    params:
        settings=settings(jobs.check_settings),
        experiment=experiment_file,
    log:
        PATHS.log("check"),
    threads: asks("infer", "threads")
    resources:
        mem_mb=asks("infer", "mem_mb"),
        runtime=asks("infer", "runtime"),
    shell:
        "mtpd check {params.experiment:q} --results {RESULTS:q} --threads {threads}"
        " > {log:q} 2>&1"
