# The controls, without which a score proves nothing: docs/attribution.md, Controls.
rule region:
    input:
        masters=lambda wildcards: [
            layout.video(wildcards.clip, model, 0) for model in MODELS
        ],
        original=lambda wildcards: layout.video(
            parse_clip(wildcards.clip).scene_key, REAL, 0
        ),
        track=scene_of_clip,
    output:
        layout.region("{clip}"),
    log:
        layout.log("region", "{clip}"),
    benchmark:
        layout.benchmark("region", "{clip}")
    wildcard_constraints:
        clip=rf"{ID}_{ID}_{SCENE}",
    group:
        "encode"
    conda:
        "../../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        settings={"models": MODELS},
    message:
        "region: {wildcards.clip}"
    shell:
        "dfdm region --clip {wildcards.clip} --masters {input.masters:q} --original {input.original:q} "
        "--track {input.track:q} --out {output:q} >{log:q} 2>&1"


if cfg.controls:
    # The checked training, of the split and seed that `attribution` has.
    CHECKED = f"{{classifier}}/{cfg.attribution.split}/crf{{crf}}/seed{cfg.seed}"

    rule controls:
        input:
            manifest=layout.manifest("crf{crf}"),
            crops=lambda wildcards: files_of(f"crf{wildcards.crf}", layout.crops),
            trained=layout.run(CHECKED),
            training=layout.run(CHECKED, "training.json"),
            scores=layout.scores(CHECKED, "{crf}"),
            background=lambda wildcards: [
                layout.scores(str(run), run.crf)
                for run in [background_run(cfg, wildcards.crf)]
                if run
            ],
        output:
            layout.controls("{classifier}", "{crf}"),
        log:
            layout.log("controls", "{classifier}_crf{crf}"),
        benchmark:
            layout.benchmark("controls", "{classifier}_crf{crf}")
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=megabytes(4000),
            runtime=minutes(4 * 60),
            gpu=GPUS,
        params:
            settings=keys.control_keys(cfg),
        message:
            "controls: of the score of {wildcards.classifier} at crf {wildcards.crf}"
        shell:
            "dfdm controls --classifier {wildcards.classifier} --crf {wildcards.crf} --manifest {input.manifest:q} "
            '--results "$(dirname "$(dirname {input.manifest:q})")" --out {output:q} >{log:q} 2>&1'

    rule all_controls:
        input:
            controls_files(),
        localrule: True
        message:
            "all_controls: done"
