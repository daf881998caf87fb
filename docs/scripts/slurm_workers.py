"""Starts workers for MoMa as jobs of Slurm or PBS, as many as there is work for, and ends them afterwards.

Run it on the login node and leave it running (`tmux`, or `nohup … &`): Dask's scheduler lives in this process.

    pip install "moma-app[cluster]"
    python slurm_workers.py --queue gpu --account my_project --workers 4 --walltime 12:00:00
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

# How Dask should treat runs that take hours and fill a GPU; moma_app/jobs/service.py says why. The scheduler reads
# them in this process, workers from the environment of their job.
DASK = {
    "distributed.worker.daemon": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.profile.enabled": False,
    # A job at its walltime counts as a worker that a run has taken down: the run goes on in the next job, so often.
    "distributed.scheduler.allowed-failures": 10,
    "distributed.scheduler.worker-saturation": "inf",
    "distributed.scheduler.worker-ttl": "1 hour",
    # A run not yet measured counts as long, so that each one that waits gets a worker of its own.
    "distributed.scheduler.unknown-task-duration": "1 hour",
}
ROLES = ("client", "worker", "scheduler")


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description="Workers for MoMa as jobs of Slurm or PBS. Ctrl-C ends the jobs and the scheduler.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--system", choices=["slurm", "pbs"], default="slurm", help="who starts jobs here")
    add("--queue", help="partition (Slurm) or queue (PBS)")
    add("--account", help="project that pays")
    add("--workers", type=int, default=4, help="jobs at most")
    add("--keep", type=int, default=0, help="jobs that stay although there is nothing to do")
    add("--gpus", type=int, default=1, help="GPUs of each job; 0 for CPU workers")
    add("--cores", type=int, default=8, help="CPU cores of each job")
    add("--memory", type=int, default=64, help="memory of each job in GiB")
    add("--walltime", default="12:00:00", help="of each job, as H:M:S")
    add(
        "--extra",
        action="append",
        default=[],
        help="one more directive, --extra=--constraint=a100; repeatable",
    )
    add(
        "--setup",
        action="append",
        default=[],
        help="shell line before the worker, such as 'module load cuda'",
    )
    add("--interface", help="network between login node and compute nodes, such as ib0")
    add("--port", type=int, default=0, help="port of the scheduler; 0 for any free one")
    add("--rest", type=int, default=5, help="minutes without work after which a job ends")
    add("--idle", type=int, default=0, help="minutes without work after which everything ends; 0 for never")
    add(
        "--folder",
        type=Path,
        help="for keys, addresses and logs; on a disk that all nodes see [$MOMA_HOME/cluster]",
    )
    add("--print-script", action="store_true", help="show the script of a job, and end")
    return parser.parse_args(arguments)


def make_keys(folder):
    """Make a key that only you can read. Without it, whoever reaches the scheduler could run code as you."""
    from distributed.security import Security

    made = Security.temporary()
    cert, key = folder / "cert.pem", folder / "key.pem"
    for path, text in ((cert, made.tls_scheduler_cert), (key, made.tls_scheduler_key)):
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
    roles = "".join(f"\n      {role}: {{cert: {cert}, key: {key}}}" for role in ROLES)
    (folder / "dask.yaml").write_text(
        f"distributed:\n  comm:\n    require-encryption: true\n    tls:\n      ca-file: {cert}{roles}\n"
    )


def keys_in(folder):
    """Return the keys in Dask's form."""
    from distributed.security import Security

    files = {f"tls_{role}_{what}": str(folder / f"{what}.pem") for role in ROLES for what in ("cert", "key")}
    return Security(require_encryption=True, tls_ca_file=str(folder / "cert.pem"), **files)


def describe(options, folder):
    """Return Dask's class for the queueing system, what makes one job, and what makes the scheduler."""
    from dask_jobqueue import PBSCluster, SLURMCluster

    offers = f"MEMORY={options.memory}" + (f",GPU={options.gpus}" if options.gpus else "")
    exports = {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": value
               for name, value in DASK.items() if name.startswith("distributed.worker")}  # fmt: skip
    # Dask's own setting is one thread for the arithmetic of each worker.
    exports |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), options.cores)
    exports["PYTHONSAFEPATH"] = 1
    job = {
        "queue": options.queue,
        "account": options.account,
        "walltime": options.walltime,
        "processes": 1,  # one worker in each job,
        "cores": 1,  # which does one run at a time, on all cores of the job
        "memory": f"{options.memory} GiB",
        "job_name": "moma",
        "interface": options.interface,
        "security": keys_in(folder),
        "protocol": "tls://",
        "log_directory": str(folder / "logs"),
        "death_timeout": "120",
        "job_script_prologue": [
            *options.setup,
            *(f"export {name}='{value}'" for name, value in exports.items()),
        ],
        "worker_extra_args": ["--resources", offers, "--preload", "moma_app.jobs.preload", "--no-dashboard"],
    }
    scheduler = {
        "port": options.port,
        "dashboard": False,  # it would be open to everybody on this machine
        "dashboard_address": "127.0.0.1:0",
        "scheduler_file": str(folder / "scheduler.json"),
        "idle_timeout": f"{options.idle} minutes" if options.idle else None,
    }
    if options.system == "pbs":
        gpus = f":ngpus={options.gpus}" if options.gpus else ""
        job["resource_spec"] = f"select=1:ncpus={options.cores}:mem={options.memory}gb{gpus}"
        return PBSCluster, {**job, "job_extra_directives": options.extra}, scheduler
    gres = [f"--gres=gpu:{options.gpus}"] if options.gpus else []
    job |= {"job_cpu": options.cores, "job_extra_directives": [*gres, *options.extra]}
    return SLURMCluster, job, scheduler


def job_script(options, folder):
    """Return the script of a job as it will be submitted, but for the scheduler's address."""
    cluster, job, _ = describe(options, folder)
    return cluster.job_cls("tls://THIS-NODE:PORT", name="worker-0", **job).job_script()


def main():
    options = parse()
    import dask

    from moma_app.config import get_settings
    from moma_app.jobs.cluster import scheduler_address
    from moma_app.jobs.service import answers

    dask.config.set(DASK)
    folder = (options.folder or get_settings().home / "cluster").absolute()
    if options.print_script:
        print(job_script(options, folder))
        return
    note = folder / "scheduler.json"
    if note.exists() and answers(scheduler_address(str(note))):
        sys.exit(f"{folder} is in use by a running scheduler: end that one, or give another --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    make_keys(folder)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, lambda *_: sys.exit(0))
    make, job, scheduler = describe(options, folder)
    with make(scheduler_options=scheduler, **job) as cluster:
        cluster.adapt(
            minimum_jobs=options.keep,
            maximum_jobs=options.workers,
            interval="5 s",
            wait_count=12 * options.rest,
            target_duration="1 s",  # a worker for each run that waits
        )
        print(f"Scheduler {cluster.scheduler_address}, up to {options.workers} jobs; Ctrl-C ends them all.")
        print("In each shell that is to use them:")
        print(
            f"  export DASK_CONFIG={folder / 'dask.yaml'} MOMA_SCHEDULER={folder / 'scheduler.json'}",
            flush=True,
        )
        try:
            while cluster.scheduler.status.name == "running":
                time.sleep(1)
        except KeyboardInterrupt:
            print("The jobs end. Runs that they were working on are interrupted; `moma runs resume` goes on.")


if __name__ == "__main__":
    main()
