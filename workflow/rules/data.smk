rule data:
    input:
        lambda wildcards: dependencies.existing_data_files(experiment_of(wildcards)),
    output:
        dataset=PATHS.dataset,
    log:
        PATHS.log("data"),
    conda:
        "../envs/mtpd.yaml"
    threads: asks("small", "threads")
    resources:
        mem_mb=asks("small", "mem_mb"),
        runtime=asks("small", "runtime"),
    params:
        settings=settings(dependencies.data_settings),
        experiment=experiment_file,
        results=RESULTS,
        root=lambda wildcards: (
            ["--data-root", WORKFLOW.data_roots[wildcards.experiment]]
            if wildcards.experiment in WORKFLOW.data_roots
            else []
        ),
    shell:
        "mtpd data prepare {params.experiment:q} --results {params.results:q} {params.root:q}"
        " > {log:q} 2>&1"
