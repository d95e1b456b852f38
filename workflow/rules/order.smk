rule features:
    input:
        dataset=needs("features", "dataset"),
        weights=needs("features", "weights"),
        changes=changes("features"),
    output:
        PATHS.detector("{detector}").features,
    log:
        PATHS.detector("{detector}").log("features"),
    threads: asks("infer", "threads")
    resources:
        **resources_of("infer"),
    shell:
        "log_to {log:q} mtpd features {wildcards.experiment:q} --detector {wildcards.detector:q}"
        " --threads {threads}"


rule costs:
    input:
        features=needs_all("costs"),
        changes=changes("costs"),
    output:
        PATHS.costs,
    log:
        PATHS.log("costs"),
    threads: asks("small", "threads")
    resources:
        **resources_of("small"),
    shell:
        "log_to {log:q} mtpd costs {wildcards.experiment:q} --threads {threads}"


checkpoint order:
    input:
        measured=needs_all("order"),
        changes=changes("order"),
    output:
        order=report(PATHS.order, caption="../report/order.rst", category="Order"),
    log:
        PATHS.log("order"),
    threads: asks("small", "threads")
    resources:
        **resources_of("small"),
    shell:
        "log_to {log:q} mtpd order {wildcards.experiment:q} --threads {threads}"
