rule data:
    input:
        changes=changes("data"),
    output:
        dataset=PATHS.dataset,
    log:
        PATHS.log("data"),
    threads: asks("small", "threads")
    resources:
        **resources_of("small"),
    params:
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
