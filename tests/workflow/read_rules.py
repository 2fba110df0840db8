"""Print the workflow's rules and, for each named target, its jobs, as JSON: one reading of the rules, one plan.

python read_rules.py CONFIG TARGET... (in the folder that holds workflow/)
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings


def main() -> None:
    config, *targets = sys.argv[1:]
    with SnakemakeApi(OutputSettings()) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=2),
            config_settings=ConfigSettings(configfiles=[Path(config)]),
            snakefile=Path("workflow/Snakefile"),
        )
        plan = workflow.dag(DAGSettings(targets=set(targets), forceall=True))
        with contextlib.redirect_stdout(io.StringIO()):
            plan.printrulegraph()
        made = workflow._workflow
        rules = [
            {
                "name": rule.name,
                "log": [str(path) for path in rule.log],
                "benchmark": rule.benchmark and str(rule.benchmark),
                "message": rule.message,
                "shell": rule.shellcmd,
                "target": not rule.has_wildcards(),
            }
            for rule in made.rules
        ]
        jobs = {job.rule.name: job for job in made.dag.jobs if job.rule.name in targets}
        print(json.dumps({"rules": rules, "jobs": {target: needed(made.dag, jobs[target]) for target in targets}}))


def needed(dag: Any, job: Any) -> list[dict[str, Any]]:
    """A job and all that it needs, each once."""
    found, open_jobs = {job}, [job]
    while open_jobs:
        for other in dag.dependencies[open_jobs.pop()]:
            if other not in found:
                found.add(other)
                open_jobs.append(other)
    return [
        {
            "rule": one.rule.name,
            "wildcards": dict(one.wildcards_dict),
            "input": [str(path) for path in one.input],
            "output": [str(path) for path in one.output],
        }
        for one in found
    ]


if __name__ == "__main__":
    main()
