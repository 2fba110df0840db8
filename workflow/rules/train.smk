# One training per unordered pair of people and model; both directions are rendered from it. A killed training
# continues from its state, which is outside the outputs (state_dir), under the hash of what determines it.
for training_model in MODELS:
    trained = cfg.settings(training_model)

    rule:
        name:
            f"train_{training_model}"
        input:
            tracks=scenes_of_pair,
            start=start_of(training_model),
        output:
            weights=layout.checkpoint("{pair}", training_model),
            loss=layout.training_file("{pair}", training_model, "loss.csv"),
            preview=report(
                layout.training_file("{pair}", training_model, "preview.png"),
                caption="../report/preview.rst",
                category="Training previews (SYNTHETIC)",
                labels={"pair": "{pair}", "model": training_model},
            ),
        log:
            layout.log("train", "{pair}", training_model),
        benchmark:
            layout.benchmark("train", f"{{pair}}_{training_model}")
        # Trainings before all else, and the slowest of them (the last model) first: they decide when the run ends.
        priority: 10 + MODELS.index(training_model)
        conda:
            "../../envs/torch.yaml"
        threads: trained.threads
        resources:
            mem_mb=megabytes(6000 if trained.width > 0.5 else 2000),
            runtime=minutes(24 * 60),
            gpu=GPUS,
        params:
            settings=keys.train_keys(cfg, training_model),
            model=training_model,
            people=lambda wildcards: wildcards.pair.replace("_", " "),
        message:
            f"train_{training_model}: {{wildcards.pair}}"
        shell:
            "dfdm train --model {params.model} --pair {params.people} --tracks {input.tracks:q} "
            "--out {output.weights:q} >{log:q} 2>&1"
