rule evaluate_detector:
    input:
        dataset=PATHS.dataset,
        weights=PATHS.detector("{detector}").weights,
        configs=own_configs,
    output:
        metrics=PATHS.detector("{detector}").metrics,
        detections=directory(PATHS.detector("{detector}").detections),
    log:
        PATHS.detector("{detector}").log("evaluate"),
    conda:
        "../envs/mtpd.yaml"
    threads: asks("infer", "threads")
    resources:
        mem_mb=asks("infer", "mem_mb"),
        runtime=asks("infer", "runtime"),
        gpu=asks("infer", "gpus"),
    params:
        settings=settings(dependencies.evaluation_settings, "detector"),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd evaluate {params.experiment:q} --detector {wildcards.detector:q}"
        " --results {params.results:q} --threads {threads} > {log:q} 2>&1"


rule evaluate_stage:
    input:
        dataset=PATHS.dataset,
        student=PATHS.stage("{method}", "{chain}").weights,
        configs=own_configs,
    output:
        metrics=PATHS.stage("{method}", "{chain}").metrics,
        detections=directory(PATHS.stage("{method}", "{chain}").detections),
    log:
        PATHS.stage("{method}", "{chain}").log("evaluate"),
    conda:
        "../envs/mtpd.yaml"
    threads: asks("infer", "threads")
    resources:
        mem_mb=asks("infer", "mem_mb"),
        runtime=asks("infer", "runtime"),
        gpu=asks("infer", "gpus"),
    params:
        settings=lambda wildcards: dependencies.evaluation_settings(
            experiment_of(wildcards), experiment_of(wildcards).student.name
        ),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd evaluate {params.experiment:q} --method {wildcards.method:q}"
        " --chain {wildcards.chain:q} --results {params.results:q} --threads {threads}"
        " > {log:q} 2>&1"
