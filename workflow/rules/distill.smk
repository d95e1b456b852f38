# Whether a method's losses work between a teacher and the student is known before training.
rule check_pair:
    input:
        student=needs("check_pair", "student"),
        teacher=needs("check_pair", "teacher"),
        changes=changes("check_pair"),
    output:
        PATHS.pair("{method}", "{detector}"),
    log:
        PATHS.pair("{method}", "{detector}").with_suffix(".log"),
    priority: 1
    threads: asks("small", "threads")
    resources:
        **resources_of("small"),
    shell:
        "log_to {log:q} mtpd check-pair {wildcards.experiment:q} --method {wildcards.method:q}"
        " --teacher {wildcards.detector:q}"
        " --threads {threads}"


rule stage:
    input:
        dataset=needs("stage", "dataset"),
        pair=needs("stage", "pair"),
        student=needs("stage", "student"),
        teacher=needs("stage", "teacher"),
        pretrained=steady("stage", pretrained_files),
        changes=changes("stage"),
    output:
        student=PATHS.stage("{method}", "{chain}").weights,
        config=PATHS.stage("{method}", "{chain}").config,
        training=PATHS.stage("{method}", "{chain}").training_config,
        history=PATHS.stage("{method}", "{chain}").history,
    log:
        PATHS.stage("{method}", "{chain}").log("train"),
    threads: asks("train", "threads")
    resources:
        **resources_of("train"),
    shell:
        "log_to {log:q} mtpd stage {wildcards.experiment:q} --method {wildcards.method:q}"
        " --chain {wildcards.chain:q} --threads {threads}"
