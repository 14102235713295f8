#!/usr/bin/env python3
"""Runs what `infbench submit --engine hq --dry-run` writes on a HyperQueue cluster in this process, and holds the results
against those of one process.

    python3 -m pip install --target HQ hyperqueue==0.27.0 && PYTHONPATH=HQ python3 scripts/hq-test.py [INFBENCH]

The package carries the engine without its command, so the job definition file is read here (command, cwd, environment,
dependencies, cores, output of every task) and submitted through the package; `hq job submit-file` itself, time limits and
GPUs are not tried. Exit code 0: the same bytes outside timings.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:
    print("SKIPPED: Python is older than 3.11, which reads TOML; the description of jobs was not run on HyperQueue")
    sys.exit()

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi.protocol import ResourceRequest

program = Path(sys.argv[1] if len(sys.argv) > 1 else "target/release/infbench").resolve()
experiment = Path(__file__).resolve().parent.parent / "experiments/smoke.yaml"


def infbench(*arguments):
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


with tempfile.TemporaryDirectory() as folder:
    # the second with a name that means something to a shell and to TOML
    one, many = Path(folder, "one"), Path(folder, "it's \"many\" %j.out")
    infbench("run", experiment, "--out", one, "--quiet")
    written = infbench("submit", experiment, "--engine", "hq", "--out", many, "--pack", "0.0001", "--dry-run")
    (many / "jobs/logs").mkdir(parents=True)
    # the first line names the file
    definition = tomllib.loads(written.split("\n", 1)[1])
    job, tasks = Job(name=definition["name"], max_fails=None), {}
    for task in definition["task"]:
        (request,) = task["request"]
        tasks[task["id"]] = job.program(
            task["command"],
            cwd=task["cwd"],
            env=task.get("env"),
            stdout=task["stdout"],
            stderr=task["stderr"],
            deps=[tasks[id] for id in task.get("deps", [])],
            resources=ResourceRequest(cpus=request["resources"]["cpus"]),
        )
    start = time.monotonic()
    with LocalCluster() as cluster:
        for _ in range(2):
            cluster.start_worker(WorkerConfig(cores=1))
        client = cluster.client()
        client.wait_for_jobs([client.submit(job)])
    print(f"{len(tasks)} tasks on two workers in {time.monotonic() - start:.1f} s")
    compared = subprocess.run([program, "compare", one, many], capture_output=True, text=True)
    print(compared.stdout.strip().splitlines()[-1])
    sys.exit(compared.returncode)
