# Files of others that detectors start from. Where the workflow is started there is a network; on the
# machines of the other jobs there need not be one. The cache is not Snakemake's to delete: what
# these rules make says where in the cache the files lie.


rule fetch:
    output:
        PATHS.fetched("{file}"),
    log:
        PATHS.fetched("{file}").with_suffix(".log"),
    priority: 3
    retries: 0
    localrule: True
    threads: 1
    resources:
        mem_mb=1000,
        runtime=600,
    params:
        url=lambda wildcards: remote_file(wildcards).url,
        sha256=lambda wildcards: (
            ["--sha256", remote_file(wildcards).sha256]
            if remote_file(wildcards).sha256
            else []
        ),
    shell:
        "log_to {log:q} mtpd zoo fetch {params.url:q} {params.sha256:q} --note {output:q}"


rule pretrained:
    input:
        changes=changes("pretrained"),
    output:
        PATHS.detector("{detector}").pretrained,
    log:
        PATHS.detector("{detector}").log("pretrained"),
    priority: 3
    retries: 0
    localrule: True
    threads: asks("small", "threads")
    resources:
        mem_mb=asks("small", "mem_mb"),
        runtime=asks("small", "runtime"),
    shell:
        "log_to {log:q} mtpd pretrained {wildcards.experiment:q} --detector {wildcards.detector:q}"
