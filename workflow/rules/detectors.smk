# Detectors without teacher: the student's baseline and the teachers.


# The checks come before all training: what cannot work is said at once.
rule check:
    input:
        dataset=PATHS.dataset,
        configs=own_configs,
        weights=own_weights,
    output:
        PATHS.detector("{detector}").check,
    log:
        PATHS.detector("{detector}").log("check"),
    priority: 2
    conda:
        "../envs/mtpd.yaml"
    threads: asks("infer", "threads")
    resources:
        mem_mb=asks("infer", "mem_mb"),
        runtime=asks("infer", "runtime"),
    params:
        settings=settings(dependencies.detector_settings, "detector"),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd check {params.experiment:q} --detector {wildcards.detector:q}"
        " --results {params.results:q} --threads {threads} > {log:q} 2>&1"


rule train:
    input:
        dataset=PATHS.dataset,
        check=PATHS.detector("{detector}").check,
        configs=own_configs,
        weights=own_weights,
        pretrained=pretrained_files,
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
        settings=settings(dependencies.detector_settings, "detector"),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd train {params.experiment:q} --detector {wildcards.detector:q}"
        " --results {params.results:q} --threads {threads} > {log:q} 2>&1"
