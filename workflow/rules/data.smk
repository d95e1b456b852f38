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
        "log_to {log:q} mtpd data prepare {wildcards.experiment:q}"
