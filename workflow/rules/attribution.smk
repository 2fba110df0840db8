rule classify:
    input:
        manifest=layout.manifest("crf{crf}"),
        crops=crops_of_crf,
    output:
        scores=report(
            layout.attribution("{crf}"),
            caption="../report/scores.rst",
            category="Attribution",
            labels={"quality": "crf {crf}"},
        ),
        weights=layout.attribution("{crf}", "model.safetensors"),
        log=layout.attribution("{crf}", "log.csv"),
        predictions=layout.attribution("{crf}", "predictions.parquet"),
    log:
        layout.log("attribution", "crf{crf}"),
    benchmark:
        layout.benchmark("attribution", "crf{crf}")
    conda:
        "../../envs/torch.yaml"
    threads: cfg.attribution.threads
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(24 * 60),
        gpu=GPUS,
    params:
        settings=keys.attribution_keys(cfg),
    message:
        "attribution: train and score on crf {wildcards.crf}"
    shell:
        "dfdm attribution --crf {wildcards.crf} --manifest {input.manifest:q} "
        '--results "$(dirname "$(dirname {input.manifest:q})")" '
        '--out "$(dirname {output.scores:q})" >{log:q} 2>&1'


for quality in cfg.qualities:

    rule:
        name:
            f"attribution_crf{quality}"
        input:
            layout.attribution(quality),
        localrule: True
        message:
            f"attribution_crf{quality}: done"


rule attribution:
    input:
        scores_files(),
    message:
        "attribution: done"
