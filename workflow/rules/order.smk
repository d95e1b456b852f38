rule features:
    input:
        dataset=PATHS.dataset,
        weights=PATHS.detector("{detector}").weights,
        configs=own_configs,
    output:
        PATHS.detector("{detector}").features,
    log:
        PATHS.detector("{detector}").log("features"),
    conda:
        "../envs/mtpd.yaml"
    threads: asks("infer", "threads")
    resources:
        mem_mb=asks("infer", "mem_mb"),
        runtime=asks("infer", "runtime"),
        gpu=asks("infer", "gpus"),
    params:
        settings=settings(dependencies.feature_settings, "detector"),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd features {params.experiment:q} --detector {wildcards.detector:q}"
        " --results {params.results:q} --threads {threads} > {log:q} 2>&1"


rule costs:
    input:
        lambda wildcards: [
            layout_of(wildcards).detector(name).features
            for name in experiment_of(wildcards).detectors
        ],
    output:
        PATHS.costs,
    log:
        PATHS.log("costs"),
    conda:
        "../envs/mtpd.yaml"
    threads: asks("small", "threads")
    resources:
        mem_mb=asks("small", "mem_mb"),
        runtime=asks("small", "runtime"),
    params:
        ridge=lambda wildcards: experiment_of(wildcards).ordering.ridge,
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd costs {params.experiment:q} --results {params.results:q} --threads {threads}"
        " > {log:q} 2>&1"


checkpoint order:
    input:
        metrics=lambda wildcards: [
            layout_of(wildcards).detector(name).metrics
            for name in experiment_of(wildcards).teachers
        ],
        costs=lambda wildcards: (
            [layout_of(wildcards).costs]
            if runs.order_needs_costs(experiment_of(wildcards))
            else []
        ),
    output:
        order=report(PATHS.order, caption="../report/order.rst", category="Order"),
    log:
        PATHS.log("order"),
    conda:
        "../envs/mtpd.yaml"
    threads: asks("small", "threads")
    resources:
        mem_mb=asks("small", "mem_mb"),
        runtime=asks("small", "runtime"),
    params:
        settings=settings(dependencies.order_settings),
        experiment=experiment_file,
        results=RESULTS,
    shell:
        "mtpd order {params.experiment:q} --results {params.results:q} --threads {threads}"
        " > {log:q} 2>&1"
