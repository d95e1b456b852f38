rule stage:
    input:
        dataset=PATHS.dataset,
        pair=pair_of,
        student=student_before,
        teacher=teacher_of,
        configs=own_configs,
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
        settings=settings(jobs.stage_settings, "method", "chain"),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd stage {params.experiment:q} --method {wildcards.method:q}"
        " --chain {wildcards.chain:q} --results {params.results:q} --threads {threads}"
        " > {log:q} 2>&1"
