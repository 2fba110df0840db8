rule render:
    input:
        track=scene_of_clip,
        checkpoint=checkpoint_of_clip,
    output:
        video=layout.video("{clip}", "{model}", 0),
        sidecar=layout.sidecar("{clip}", "{model}", 0),
    params:
        settings=keys.render_keys(cfg),
    wildcard_constraints:
        clip=rf"{ID}_{ID}_{SCENE}",
        model="|".join(MODELS),
    threads: max(cfg.render.threads, cfg.encode.threads)
    resources:
        mem_mb=megabytes(2500),
        runtime=minutes(60),
    log:
        layout.log("render", "{clip}_{model}"),
    benchmark:
        layout.benchmark("render", "{clip}_{model}")
    message:
        "render: {wildcards.clip}_{wildcards.model}"
    shell:
        "dfdm render --config {CONFIG} --track {input.track} --checkpoint {input.checkpoint} "
        "--out {output.video} >{log} 2>&1"


rule original:
    input:
        track=lambda wildcards: layout.track(wildcards.clip),
    output:
        video=layout.video("{clip}", REAL, 0),
        sidecar=layout.sidecar("{clip}", REAL, 0),
    params:
        settings=keys.encode_keys(cfg),
    wildcard_constraints:
        clip=rf"{ID}_{SCENE}",
    threads: cfg.encode.threads
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(60),
    log:
        layout.log("original", "{clip}"),
    benchmark:
        layout.benchmark("original", "{clip}")
    message:
        "encode: original {wildcards.clip} at crf 0"
    shell:
        "dfdm original --config {CONFIG} --track {input.track} --out {output.video} >{log} 2>&1"


rule encode:
    input:
        master=layout.video("{clip}", "{model}", 0),
        sidecar=layout.sidecar("{clip}", "{model}", 0),
        track=scene_of_clip,
    output:
        video=layout.video("{clip}", "{model}", "{crf}"),
        sidecar=layout.sidecar("{clip}", "{model}", "{crf}"),
    params:
        settings=keys.encode_keys(cfg),
    wildcard_constraints:
        crf=r"[1-9]\d*",
    threads: cfg.encode.threads
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(60),
    log:
        layout.log("encode", "crf{crf}", "{clip}_{model}"),
    benchmark:
        layout.benchmark("encode", "crf{crf}_{clip}_{model}")
    message:
        "encode: {wildcards.clip}_{wildcards.model} at crf {wildcards.crf}"
    shell:
        "dfdm encode --config {CONFIG} --master {input.master} --track {input.track} "
        "--out {output.video} >{log} 2>&1"


rule crops:
    input:
        video=layout.video("{clip}", "{model}", "{crf}"),
        track=scene_of_clip,
    output:
        layout.crops("{clip}", "{model}", "{crf}"),
    params:
        settings=keys.crops_keys(cfg),
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(30),
    log:
        layout.log("crops", "crf{crf}", "{clip}_{model}"),
    benchmark:
        layout.benchmark("crops", "crf{crf}_{clip}_{model}")
    message:
        "crops: {wildcards.clip}_{wildcards.model} at crf {wildcards.crf}"
    shell:
        "dfdm crops --config {CONFIG} --video {input.video} --track {input.track} --out {output} >{log} 2>&1"


rule manifest:
    input:
        sidecars,
    output:
        table=layout.manifest("{target}"),
        csv=layout.manifest("{target}").replace(".parquet", ".csv"),
    params:
        settings=keys.manifest_keys(cfg),
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(30),
    log:
        layout.log("manifest", "{target}"),
    benchmark:
        layout.benchmark("manifest", "{target}")
    message:
        "manifest: {wildcards.target}"
    shell:
        "dfdm manifest --config {CONFIG} --target {wildcards.target} --out {output.table} >{log} 2>&1"


# Named targets: iae, crf23, iae_crf23 are videos, sidecars and crops of that model, quality or both.
for target_name in targets(cfg):
    if target_name == "dataset":
        continue

    rule:
        name:
            target_name
        localrule: True
        input:
            dataset_files(target_name),


rule dataset:
    input:
        dataset_files("dataset"),
        layout.manifest("dataset"),
