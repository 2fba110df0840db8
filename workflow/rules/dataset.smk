# Short jobs have a group: a cluster submits several as one (group-components of its profile); on one machine it has no
# effect.
rule render:
    input:
        track=scene_of_clip,
        checkpoint=checkpoint_of_clip,
    output:
        video=layout.video("{clip}", "{model}", 0),
        sidecar=layout.sidecar("{clip}", "{model}", 0),
    log:
        layout.log("render", "{clip}_{model}"),
    benchmark:
        layout.benchmark("render", "{clip}_{model}")
    wildcard_constraints:
        clip=rf"{ID}_{ID}_{SCENE}",
        model="|".join(MODELS),
    group:
        "render"
    conda:
        "../../envs/torch.yaml"
    threads: max(cfg.render.threads, cfg.encode.threads)
    resources:
        mem_mb=megabytes(2500),
        runtime=minutes(60),
        gpu=GPUS,
    params:
        settings=keys.render_keys(cfg),
    message:
        "render: {wildcards.clip}_{wildcards.model}"
    shell:
        "dfdm render --track {input.track:q} --checkpoint {input.checkpoint:q} "
        "--out {output.video:q} >{log:q} 2>&1"


rule original:
    input:
        track=lambda wildcards: layout.track(wildcards.clip),
    output:
        video=layout.video("{clip}", REAL, 0),
        sidecar=layout.sidecar("{clip}", REAL, 0),
    log:
        layout.log("original", "{clip}"),
    benchmark:
        layout.benchmark("original", "{clip}")
    wildcard_constraints:
        clip=rf"{ID}_{SCENE}",
    group:
        "encode"
    conda:
        "../../envs/media.yaml"
    threads: cfg.encode.threads
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(60),
    params:
        settings={"encode": keys.encode_keys(cfg)},
    message:
        "original: {wildcards.clip} at crf 0"
    shell:
        "dfdm original --track {input.track:q} --out {output.video:q} >{log:q} 2>&1"


rule encode:
    input:
        master=layout.video("{clip}", "{model}", 0),
        sidecar=layout.sidecar("{clip}", "{model}", 0),
        track=scene_of_clip,
    output:
        video=layout.video("{clip}", "{model}", "{crf}"),
        sidecar=layout.sidecar("{clip}", "{model}", "{crf}"),
    log:
        layout.log("encode", "crf{crf}", "{clip}_{model}"),
    benchmark:
        layout.benchmark("encode", "crf{crf}_{clip}_{model}")
    wildcard_constraints:
        crf=r"[1-9]\d*",
    group:
        "encode"
    conda:
        "../../envs/media.yaml"
    threads: cfg.encode.threads
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(60),
    params:
        settings={"encode": keys.encode_keys(cfg)},
    message:
        "encode: {wildcards.clip}_{wildcards.model} at crf {wildcards.crf}"
    shell:
        "dfdm encode --master {input.master:q} --track {input.track:q} "
        "--out {output.video:q} >{log:q} 2>&1"


rule crops:
    input:
        video=layout.video("{clip}", "{model}", "{crf}"),
        track=scene_of_clip,
    output:
        layout.crops("{clip}", "{model}", "{crf}"),
    log:
        layout.log("crops", "crf{crf}", "{clip}_{model}"),
    benchmark:
        layout.benchmark("crops", "crf{crf}_{clip}_{model}")
    group:
        "encode"
    conda:
        "../../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(30),
    params:
        settings=keys.crops_keys(cfg),
    message:
        "crops: {wildcards.clip}_{wildcards.model} at crf {wildcards.crf}"
    shell:
        "dfdm crops --video {input.video:q} --track {input.track:q} --out {output:q} >{log:q} 2>&1"


# Masters rendered before there were masks get theirs without being rendered again.
rule masks:
    input:
        master=layout.video("{clip}", "{model}", 0),
        original=lambda wildcards: layout.video(
            parse_clip(wildcards.clip).scene_key, REAL, 0
        ),
        track=scene_of_clip,
        checkpoint=checkpoint_of_clip,
    output:
        changed=layout.changed("{clip}", "{model}"),
        blend=layout.blend("{clip}", "{model}"),
    log:
        layout.log("masks", "{clip}_{model}"),
    benchmark:
        layout.benchmark("masks", "{clip}_{model}")
    wildcard_constraints:
        clip=rf"{ID}_{ID}_{SCENE}",
        model="|".join(MODELS),
    group:
        "encode"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        settings=keys.mask_keys(cfg),
    message:
        "masks: {wildcards.clip}_{wildcards.model}"
    shell:
        "dfdm masks --master {input.master:q} --original {input.original:q} --track {input.track:q} "
        "--checkpoint {input.checkpoint:q} --out {output.changed:q} >{log:q} 2>&1"


rule all_masks:
    input:
        masks_files(),
    localrule: True
    message:
        "all_masks: done"


rule manifest:
    input:
        lambda wildcards: files_of(wildcards.target, layout.sidecar),
    output:
        table=layout.manifest("{target}"),
        csv=report(
            layout.manifest("{target}").replace(".parquet", ".csv"),
            caption="../report/manifest.rst",
            category="Dataset",
            labels={"target": "{target}"},
        ),
    log:
        layout.log("manifest", "{target}"),
    benchmark:
        layout.benchmark("manifest", "{target}")
    conda:
        "../../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(30),
    params:
        settings=keys.manifest_keys(cfg),
    message:
        "manifest: {wildcards.target}"
    shell:
        "dfdm manifest --target {wildcards.target} "
        '--results "$(dirname "$(dirname {output.table:q})")" --out {output.table:q} >{log:q} 2>&1'


# Named targets: iae, crf23, iae_crf23 are videos, sidecars and crops of that model, quality or both.
for target_name in targets(cfg):
    if target_name == "dataset":
        continue

    rule:
        name:
            target_name
        input:
            dataset_files(target_name),
        localrule: True
        message:
            f"{target_name}: done"


rule dataset:
    input:
        dataset_files("dataset"),
        layout.manifest("dataset"),
    message:
        "dataset: done"
