# A training of a classifier is a run (dfdm/catalogue/schedule.py): classifier, split, quality or `all`, seed. They name its folder.
RUN = "{classifier}/{split}/crf{train}/seed{seed}"
RUN_NAME = "{classifier}_{split}_crf{train}_seed{seed}"
# Classifiers whose learning rate validation chooses.
TUNED = (
    list(cfg.comparison.classifiers) if cfg.comparison and cfg.comparison.rates else []
)


if TUNED:

    rule attribution_tune:
        input:
            manifest=layout.manifest(f"crf{cfg.comparison.crf}"),
            crops=lambda wildcards: crops_of(
                cfg.classifier(wildcards.classifier), [cfg.comparison.crf]
            ),
            regions=lambda wildcards: regions_of(cfg.classifier(wildcards.classifier)),
        output:
            layout.tune("{classifier}"),
        log:
            layout.log("attribution_tune", "{classifier}"),
        benchmark:
            layout.benchmark("attribution_tune", "{classifier}")
        conda:
            "../../envs/torch.yaml"
        threads: cfg.attribution.threads
        resources:
            mem_mb=megabytes(4000),
            runtime=minutes(24 * 60),
            gpu=GPUS,
        params:
            settings=lambda wildcards: keys.tune_keys(cfg, wildcards.classifier),
        message:
            "attribution_tune: learning rate of {wildcards.classifier}"
        shell:
            "dfdm attribution tune --classifier {wildcards.classifier} --manifest {input.manifest:q} "
            '--results "$(dirname "$(dirname {input.manifest:q})")" --out {output:q} >{log:q} 2>&1'


rule attribution_train:
    input:
        manifests=lambda wildcards: [
            layout.manifest(f"crf{crf}")
            for crf in run_of(wildcards).qualities(cfg.qualities)
        ],
        crops=lambda wildcards: crops_of(
            cfg.classifier(wildcards.classifier),
            run_of(wildcards).qualities(cfg.qualities),
        ),
        regions=lambda wildcards: regions_of(cfg.classifier(wildcards.classifier)),
        tune=lambda wildcards: (
            [layout.tune(wildcards.classifier)]
            if wildcards.classifier in TUNED
            else []
        ),
    output:
        weights=layout.run(RUN),
        log=layout.run(RUN, "log.csv"),
        training=layout.run(RUN, "training.json"),
        speed=layout.run(RUN, "speed.json"),
    log:
        layout.log("attribution_train", RUN_NAME),
    benchmark:
        layout.benchmark("attribution_train", RUN_NAME)
    conda:
        "../../envs/torch.yaml"
    threads: cfg.attribution.threads
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(24 * 60),
        gpu=GPUS,
    params:
        settings=lambda wildcards: keys.classifier_keys(cfg, wildcards.classifier),
        tune=lambda wildcards, input: (
            f"--tune {quote(input.tune[0])}" if input.tune else ""
        ),
    message:
        "attribution_train: {wildcards.classifier} on crf {wildcards.train}, {wildcards.split} split, seed {wildcards.seed}"
    shell:
        "dfdm attribution train --classifier {wildcards.classifier} --split {wildcards.split} "
        "--crf {wildcards.train} --seed {wildcards.seed} {params.tune} --manifest {input.manifests:q} "
        '--results "$(dirname "$(dirname {input.manifests[0]:q})")" '
        '--out "$(dirname {output.weights:q})" >{log:q} 2>&1'


rule attribution_score:
    input:
        model=layout.run(RUN),
        manifest=layout.manifest("crf{crf}"),
        tracks=[layout.track(key) for key in cfg.scene_keys],
        crops=lambda wildcards: crops_of(
            cfg.classifier(wildcards.classifier), [wildcards.crf]
        ),
        regions=lambda wildcards: regions_of(cfg.classifier(wildcards.classifier)),
    output:
        scores=report(
            layout.scores(RUN, "{crf}"),
            caption="../report/scores.rst",
            category="Attribution",
            labels={
                "classifier": "{classifier}",
                "split": "{split}",
                "trained on": "crf {train}",
                "seed": "{seed}",
                "quality": "crf {crf}",
            },
        ),
        predictions=layout.scores(RUN, "{crf}", "predictions.parquet"),
    log:
        layout.log("attribution_score", f"{RUN_NAME}_test_crf{{crf}}"),
    benchmark:
        layout.benchmark("attribution_score", f"{RUN_NAME}_test_crf{{crf}}")
    conda:
        "../../envs/torch.yaml"
    threads: cfg.attribution.threads
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(4 * 60),
        gpu=GPUS,
    params:
        settings=lambda wildcards: keys.score_keys(cfg),
    message:
        "attribution_score: {wildcards.classifier} of crf {wildcards.train}, {wildcards.split} split, seed {wildcards.seed}, on crf {wildcards.crf}"
    shell:
        "dfdm attribution score --model {input.model:q} --crf {wildcards.crf} --manifest {input.manifest:q} "
        '--results "$(dirname "$(dirname {input.manifest:q})")" '
        '--out "$(dirname {output.scores:q})" >{log:q} 2>&1'


for run in main_runs(cfg):

    rule:
        name:
            f"attribution_crf{run.crf}"
        input:
            layout.scores(str(run), run.crf),
        localrule: True
        message:
            f"attribution_crf{run.crf}: done"


rule attribution:
    input:
        scores_files(),
    message:
        "attribution: done"


if cfg.comparison:

    rule attribution_comparison:
        input:
            scores=[
                layout.scores(str(run), crf, name)
                for run, crf in comparison_scores(cfg)
                for name in ("scores.json", "predictions.parquet")
            ],
            speed=[
                layout.run(str(run), name)
                for run in comparison_runs(cfg)
                for name in ("training.json", "speed.json")
            ],
            tunes=[layout.tune(name) for name in TUNED],
        output:
            layout.comparison,
        log:
            layout.log("attribution_comparison", "comparison"),
        benchmark:
            layout.benchmark("attribution_comparison", "comparison")
        conda:
            "../../envs/media.yaml"
        threads: 1
        resources:
            mem_mb=megabytes(1500),
            runtime=minutes(30),
        params:
            settings={"comparison": keys.comparison_keys(cfg)},
        message:
            "attribution_comparison: classifiers side by side"
        shell:
            'dfdm attribution comparison --results "$(dirname "$(dirname {output:q})")" '
            "--out {output:q} >{log:q} 2>&1"


if cfg.unseen:

    rule attribution_treated:
        input:
            model=layout.run(RUN),
            manifest=layout.manifest("crf{crf}"),
            tracks=[layout.track(key) for key in cfg.scene_keys],
            crops=lambda wildcards: crops_of(
                cfg.classifier(wildcards.classifier), [wildcards.crf]
            ),
        output:
            scores=layout.scores(RUN, "{crf}", treatment="{treatment}"),
            predictions=layout.scores(
                RUN, "{crf}", "predictions.parquet", treatment="{treatment}"
            ),
        log:
            layout.log(
                "attribution_treated", f"{RUN_NAME}_test_crf{{crf}}_{{treatment}}"
            ),
        benchmark:
            layout.benchmark(
                "attribution_treated", f"{RUN_NAME}_test_crf{{crf}}_{{treatment}}"
            )
        conda:
            "../../envs/torch.yaml"
        threads: cfg.attribution.threads
        resources:
            mem_mb=megabytes(3000),
            runtime=minutes(4 * 60),
            gpu=GPUS,
        params:
            settings=lambda wildcards: keys.score_keys(cfg),
        message:
            "attribution_treated: {wildcards.classifier} of crf {wildcards.train}, {wildcards.split}, seed {wildcards.seed}, on crf {wildcards.crf} {wildcards.treatment}"
        shell:
            "dfdm attribution score --model {input.model:q} --crf {wildcards.crf} --treatment {wildcards.treatment} "
            '--manifest {input.manifest:q} --results "$(dirname "$(dirname {input.manifest:q})")" '
            '--out "$(dirname {output.scores:q})" >{log:q} 2>&1'

    rule attribution_unseen:
        input:
            scores=[
                layout.scores(str(run), crf, name)
                for run, crf in unseen_scores(cfg)
                for name in ("scores.json", "predictions.parquet")
            ],
            treated=[
                layout.scores(str(run), crf, name, treatment)
                for run, crf, treatment in unseen_treated(cfg)
                for name in ("scores.json", "predictions.parquet")
            ],
        output:
            figures=layout.unseen,
            predictions=str(Path(layout.unseen).with_suffix(".parquet")),
        log:
            layout.log("attribution_unseen", "unseen"),
        benchmark:
            layout.benchmark("attribution_unseen", "unseen")
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=megabytes(1500),
            runtime=minutes(30),
        params:
            settings={"unseen": keys.unseen_keys(cfg)},
        message:
            "attribution_unseen: classifiers on people nobody saw"
        shell:
            'dfdm attribution unseen --results "$(dirname "$(dirname {output.figures:q})")" '
            "--out {output.figures:q} >{log:q} 2>&1"
