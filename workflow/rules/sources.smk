# The only rules that may touch the network; they run where snakemake runs, never on a cluster node.
rule sources_probe:
    input:
        scene_file,
    output:
        layout.source("{scene}"),
    log:
        layout.log("sources_probe", "{scene}"),
    benchmark:
        layout.benchmark("sources_probe", "{scene}")
    retries: 0
    conda:
        "../../envs/media.yaml"
    params:
        settings=lambda wildcards: keys.source_keys(cfg, wildcards.scene),
    message:
        "sources_probe: {wildcards.scene}"
    shell:
        "dfdm sources probe --scene {wildcards.scene} --out {output:q} >{log:q} 2>&1"


rule sources_predictor:
    output:
        layout.predictor,
    log:
        layout.log("sources_predictor", "predictor"),
    benchmark:
        layout.benchmark("sources_predictor", "predictor")
    retries: 0
    conda:
        "../../envs/media.yaml"
    params:
        settings=keys.faces_keys(cfg)["predictor"],
    message:
        "sources_predictor: the landmark predictor"
    shell:
        "dfdm sources predictor --out {output:q} >{log:q} 2>&1"


rule sources_identity:
    output:
        layout.identity,
    log:
        layout.log("sources_identity", "identity"),
    benchmark:
        layout.benchmark("sources_identity", "identity")
    retries: 0
    conda:
        "../../envs/media.yaml"
    params:
        settings=keys.identity_keys(cfg),
    message:
        "sources_identity: the face recognition network"
    shell:
        "dfdm sources identity --out {output:q} >{log:q} 2>&1"


rule faces:
    input:
        record=layout.source("{scene}"),
        predictor=layout.predictor,
        identity=layout.identity,
    output:
        layout.track("{scene}"),
    log:
        layout.log("faces", "{scene}"),
    benchmark:
        layout.benchmark("faces", "{scene}")
    conda:
        "../../envs/torch.yaml" if FACES_BY_TORCH else "../../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(60),
        gpu=GPUS if FACES_BY_TORCH else 0,
    params:
        settings=lambda wildcards: keys.track_keys(cfg, wildcards.scene),
    message:
        "faces: {wildcards.scene}"
    shell:
        "dfdm faces --record {input.record:q} --out {output:q} >{log:q} 2>&1"


rule all_faces:
    input:
        [layout.track(key) for key in cfg.scene_keys],
    message:
        "all_faces: done"
