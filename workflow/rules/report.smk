rule page:
    input:
        manifest=layout.manifest("dataset"),
        videos=[
            layout.video(v.name.clip, v.name.model, v.crf)
            for v in videos_of(cfg, "dataset")
        ],
        scores=scores_files(),
        evaluation=evaluation_files(),
    output:
        layout.report,
    log:
        layout.log("report"),
    benchmark:
        layout.benchmark("report", "report")
    conda:
        "../../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        settings=keys.report_keys(cfg),
    message:
        "report: {output}"
    shell:
        "dfdm report --out {output:q} >{log:q} 2>&1"


rule report:
    input:
        layout.report,
