def student_before(wildcards):
    """Weights that the stage starts from: the stage before, or the baseline."""
    experiment, chain = experiment_of(wildcards), Chain.parse(wildcards.chain)
    layout = layout_of(wildcards)
    if chain.parent is not None:
        return layout.stage(wildcards.method, str(chain.parent)).weights
    if jobs.starts_afresh(experiment, wildcards.method, chain):
        return []
    return layout.detector(experiment.student.name).weights


def teacher_of(wildcards):
    """Weights of the stage's teacher; a stage may have none."""
    teacher = Chain.parse(wildcards.chain).last.teacher
    return [] if teacher is None else layout_of(wildcards).detector(teacher).weights


rule stage:
    input:
        dataset=PATHS.dataset,
        check=ancient(PATHS.check),
        student=student_before,
        teacher=teacher_of,
        configs=lambda wildcards: jobs.stage_configs(
            experiment_of(wildcards), Chain.parse(wildcards.chain)
        ),
    output:
        student=PATHS.stage("{method}", "{chain}").weights,
        config=PATHS.stage("{method}", "{chain}").config,
        history=PATHS.stage("{method}", "{chain}").history,
    params:
        settings=settings(jobs.stage_settings, "method", "chain"),
        experiment=experiment_file,
    log:
        PATHS.stage("{method}", "{chain}").log("train"),
    threads: asks("train", "threads")
    resources:
        mem_mb=asks("train", "mem_mb"),
        runtime=asks("train", "runtime"),
        gpu=asks("train", "gpus"),
    shell:
        "mtpd stage {params.experiment:q} --method {wildcards.method:q}"
        " --chain {wildcards.chain:q} --results {RESULTS:q} --threads {threads}"
        " > {log:q} 2>&1"
