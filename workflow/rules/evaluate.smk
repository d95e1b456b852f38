rule evaluate_detector:
    input:
        dataset=needs("evaluate_detector", "dataset"),
        weights=needs("evaluate_detector", "weights"),
        changes=changes("evaluate_detector"),
    output:
        metrics=PATHS.detector("{detector}").metrics,
        detections=directory(PATHS.detector("{detector}").detections),
    log:
        PATHS.detector("{detector}").log("evaluate"),
    threads: asks("infer", "threads")
    resources:
        **resources_of("infer"),
    shell:
        "log_to {log:q} mtpd evaluate {wildcards.experiment:q} --detector {wildcards.detector:q}"
        " --threads {threads}"


rule evaluate_stage:
    input:
        dataset=needs("evaluate_stage", "dataset"),
        student=needs("evaluate_stage", "weights"),
        changes=changes("evaluate_stage"),
    output:
        metrics=PATHS.stage("{method}", "{chain}").metrics,
        detections=directory(PATHS.stage("{method}", "{chain}").detections),
    log:
        PATHS.stage("{method}", "{chain}").log("evaluate"),
    threads: asks("infer", "threads")
    resources:
        **resources_of("infer"),
    shell:
        "log_to {log:q} mtpd evaluate {wildcards.experiment:q} --method {wildcards.method:q}"
        " --chain {wildcards.chain:q} --threads {threads}"
