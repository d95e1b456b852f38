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
    shell:
        "mtpd data prepare {wildcards.experiment:q} > {log:q} 2>&1"
