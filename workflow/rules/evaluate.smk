# How good the swaps of one training are, on frames it never saw: read from the crf 0 masters, nothing is rendered.
CLIPS_OF_PAIR = {pair: [] for pair in cfg.pairs}
for clip_name in cfg.clips:
    CLIPS_OF_PAIR["_".join(clip_name.pair)].append(clip_name.clip)


rule evaluate:
    input:
        tracks=scenes_of_pair,
        checkpoint=layout.checkpoint("{pair}", "{model}"),
        masters=lambda wildcards: [
            layout.video(clip, wildcards.model, 0)
            for clip in CLIPS_OF_PAIR[wildcards.pair]
        ],
        identity=layout.identity,
        predictor=layout.predictor,
    output:
        layout.evaluate("{pair}", "{model}"),
    log:
        layout.log("evaluate", "{pair}", "{model}"),
    benchmark:
        layout.benchmark("evaluate", "{pair}_{model}")
    wildcard_constraints:
        model="|".join(MODELS),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2500),
        runtime=minutes(60),
        gpu=GPUS,
    params:
        settings=lambda wildcards: keys.evaluate_keys(cfg, wildcards.model),
        people=lambda wildcards: wildcards.pair.replace("_", " "),
    message:
        "evaluate: {wildcards.model} on {wildcards.pair}"
    shell:
        "dfdm evaluate --model {wildcards.model} --pair {params.people} --tracks {input.tracks:q} "
        "--masters {input.masters:q} --checkpoint {input.checkpoint:q} --out {output:q} >{log:q} 2>&1"


rule all_evaluate:
    input:
        evaluate_files(),
    message:
        "all_evaluate: done"
