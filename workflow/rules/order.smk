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
    params:
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd features {params.experiment:q} --detector {wildcards.detector:q}"
        " --results {params.results:q} --threads {threads} > {log:q} 2>&1"


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
    params:
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd costs {params.experiment:q} --results {params.results:q} --threads {threads}"
        " > {log:q} 2>&1"


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
    params:
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd order {params.experiment:q} --results {params.results:q} --threads {threads}"
        " > {log:q} 2>&1"
