# The only rules that may touch the network; they run where snakemake runs, never on a cluster node.
def scene_file(wildcards):
    """A scene's video where config gives its path: a newer file makes everything after it again."""
    scene = cfg.scene(wildcards.scene)
    return [] if scene.path is None else [str(Path(cfg.sources.root).expanduser() / scene.path)]


rule source:
    input:
        scene_file,
    output:
        layout.source("{scene}"),
    params:
        settings=lambda wildcards: keys.source_keys(cfg, wildcards.scene),
    log:
        layout.log("sources", "{scene}"),
    benchmark:
        layout.benchmark("source", "{scene}")
    message:
        "sources: probe {wildcards.scene}"
    retries: 0
    shell:
        "dfdm sources probe --config {CONFIG} --scene {wildcards.scene} --out {output} >{log} 2>&1"


rule predictor:
    output:
        layout.predictor,
    params:
        settings=keys.faces_keys(cfg)["predictor"],
    log:
        layout.log("sources", "predictor"),
    benchmark:
        layout.benchmark("predictor", "predictor")
    message:
        "sources: landmark predictor"
    shell:
        "dfdm sources predictor --config {CONFIG} --out {output} >{log} 2>&1"


rule track:
    input:
        record=layout.source("{scene}"),
        predictor=layout.predictor,
    output:
        layout.track("{scene}"),
    params:
        settings=keys.faces_keys(cfg),
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(60),
    log:
        layout.log("faces", "{scene}"),
    benchmark:
        layout.benchmark("faces", "{scene}")
    message:
        "faces: {wildcards.scene}"
    shell:
        "dfdm faces --config {CONFIG} --record {input.record} --out {output} >{log} 2>&1"


rule faces:
    input:
        [layout.track(key) for key in cfg.scene_keys],
