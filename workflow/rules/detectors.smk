# Detectors without teacher: the student's baseline and the teachers.


rule train:
    input:
        dataset=PATHS.dataset,
        check=ancient(PATHS.check),
        configs=own_configs,
        weights=lambda wildcards: experiment_of(wildcards)
        .detector(wildcards.detector)
        .weights
        or [],
    output:
        weights=PATHS.detector("{detector}").weights,
        config=PATHS.detector("{detector}").config,
        training=PATHS.detector("{detector}").training_config,
        history=PATHS.detector("{detector}").history,
    log:
        PATHS.detector("{detector}").log("train"),
    conda:
        "../envs/mtpd.yaml"
    threads: asks("train", "threads")
    resources:
        mem_mb=asks("train", "mem_mb"),
        runtime=asks("train", "runtime"),
        gpu=asks("train", "gpus"),
    params:
        settings=settings(jobs.detector_settings, "detector"),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd train {params.experiment:q} --detector {wildcards.detector:q}"
        " --results {params.results:q} --threads {threads} > {log:q} 2>&1"
