rule report:
    input:
        manifest=layout.manifest("dataset"),
        videos=lambda wildcards: files_of("dataset", layout.video),
        masks=masks_files(),
        scores=scores_files(),
        predictions=[
            layout.scores(str(run), run.crf, "predictions.parquet")
            for run in main_runs(cfg)
        ],
        # The command finds them next to the manifest; they are listed so that a storage brings them.
        sidecars=lambda wildcards: files_of("dataset", layout.sidecar),
        tracks=[layout.track(scene.scene_key) for scene in originals_of(cfg)],
        trainings=training_files(),
        curves=[layout.run(str(run), "log.csv") for run in main_runs(cfg)],
        comparison=comparison_files(),
        controls=controls_files(),
        evaluate=evaluate_files(),
    output:
        report(
            layout.report,
            caption="../report/report.rst",
            category="Report",
            labels={"report": "scores, clips, trainings, times"},
        ),
    log:
        layout.log("report", "report"),
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
        'dfdm report --results "$(dirname "$(dirname {input.manifest:q})")" '
        # A storage carries the page alone, not the folder that more than 40 MB of videos have beside it.
        f"--out {{output:q}} {'--single ' if STORED else ''}>{{log:q}} 2>&1"
