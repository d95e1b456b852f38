# Whether a method's losses work between a teacher and the student is known before training.
rule check_pair:
    input:
        student=lambda wildcards: layout_of(wildcards)
        .detector(experiment_of(wildcards).student.name)
        .check,
        teacher=PATHS.detector("{detector}").check,
    output:
        PATHS.pair("{method}", "{detector}"),
    log:
        PATHS.pair("{method}", "{detector}").with_suffix(".log"),
    priority: 1
    conda:
        "../envs/mtpd.yaml"
    threads: asks("small", "threads")
    resources:
        mem_mb=asks("small", "mem_mb"),
        runtime=asks("small", "runtime"),
    params:
        settings=settings(dependencies.pair_settings, "method"),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd check-pair {params.experiment:q} --method {wildcards.method:q}"
        " --teacher {wildcards.detector:q} --results {params.results:q}"
        " --threads {threads} > {log:q} 2>&1"


rule stage:
    input:
        dataset=PATHS.dataset,
        pair=pair_of,
        student=student_before,
        teacher=teacher_of,
        configs=own_configs,
        pretrained=pretrained_files,
    output:
        student=PATHS.stage("{method}", "{chain}").weights,
        config=PATHS.stage("{method}", "{chain}").config,
        training=PATHS.stage("{method}", "{chain}").training_config,
        history=PATHS.stage("{method}", "{chain}").history,
    log:
        PATHS.stage("{method}", "{chain}").log("train"),
    conda:
        "../envs/mtpd.yaml"
    threads: asks("train", "threads")
    resources:
        mem_mb=asks("train", "mem_mb"),
        runtime=asks("train", "runtime"),
        gpu=asks("train", "gpus"),
    params:
        settings=settings(dependencies.stage_settings, "method", "chain"),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd stage {params.experiment:q} --method {wildcards.method:q}"
        " --chain {wildcards.chain:q} --results {params.results:q} --threads {threads}"
        " > {log:q} 2>&1"
