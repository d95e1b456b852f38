# Detectors without teacher: the student's baseline and the teachers.


# The checks come before all training: what cannot work is said at once.
rule check:
    input:
        dataset=needs("check", "dataset"),
        weights=steady("check", fetched_weights),
        changes=changes("check"),
    output:
        PATHS.detector("{detector}").check,
    log:
        PATHS.detector("{detector}").log("check"),
    priority: 2
    threads: asks("infer", "threads")
    resources:
        mem_mb=asks("infer", "mem_mb"),
        runtime=asks("infer", "runtime"),
    shell:
        "log_to {log:q} mtpd check {wildcards.experiment:q} --detector {wildcards.detector:q}"
        " --threads {threads}"


rule train:
    input:
        dataset=needs("train", "dataset"),
        check=needs("train", "check"),
        weights=steady("train", fetched_weights),
        pretrained=steady("train", pretrained_files),
        changes=changes("train"),
    output:
        weights=PATHS.detector("{detector}").weights,
        config=PATHS.detector("{detector}").config,
        training=PATHS.detector("{detector}").training_config,
        history=PATHS.detector("{detector}").history,
    log:
        PATHS.detector("{detector}").log("train"),
    threads: asks(kind_of_training, "threads")
    resources:
        mem_mb=asks(kind_of_training, "mem_mb"),
        runtime=asks(kind_of_training, "runtime"),
        gpu=gpus_of_training,
    shell:
        "log_to {log:q} mtpd train {wildcards.experiment:q} --detector {wildcards.detector:q}"
        " --threads {threads}"
