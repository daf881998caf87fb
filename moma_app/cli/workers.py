"""``moma workers``: the local workers that runs go to."""

from __future__ import annotations

import typer

from moma_app.cli import options
from moma_app.cli.output import print_json, say, table

app = typer.Typer(help="Local workers: see, start and stop them.", no_args_is_help=True)


@app.command()
def status(json: options.Json = False) -> None:
    """Show the workers, here or of the cluster that the settings name, and what they are doing."""
    from moma_app.config import get_settings
    from moma_app.jobs.cluster import Cluster
    from moma_app.jobs.placing import KINDS, is_quick_worker
    from moma_app.jobs.service import find_service

    settings = get_settings()
    if settings.scheduler is None:
        service = find_service(settings)
        if service is None or not service.alive:
            if json:
                print_json({"address": None, "workers": []})
            else:
                say("No local workers are running; they start with the first run.")
            return
        settings = settings.model_copy(update={"scheduler": service.address})  # to look starts nothing
    cluster = Cluster(settings)
    try:
        workers = [
            {
                "name": str(worker["name"]),
                "address": address,
                "threads": worker["nthreads"],
                "memory_gb": worker["memory_limit"] / 2**30,
                "resources": {
                    what: amount for what, amount in worker.get("resources", {}).items() if what not in KINDS
                },
                "takes": "quick runs" if is_quick_worker(worker.get("resources", {})) else "all runs",
                "runs": worker["metrics"].get("executing", 0) if worker.get("metrics") else 0,
            }
            for address, worker in cluster.workers().items()
        ]
        address = cluster.address
    finally:
        cluster.close()
    if json:
        print_json({"address": address, "workers": workers})
        return
    table(
        f"Scheduler {address}",
        [
            ("worker", "left"),
            ("takes", "left"),
            ("runs", "right"),
            ("memory", "right"),
            ("offers", "left"),
            ("address", "left"),
        ],
        [
            (
                worker["name"],
                worker["takes"],
                worker["runs"],
                f"{worker['memory_gb']:.1f} GiB",
                ", ".join(f"{name}={amount:g}" for name, amount in worker["resources"].items()),
                worker["address"],
            )
            for worker in workers
        ],
    )


@app.command()
def start(json: options.Json = False) -> None:
    """Start local workers now; the first run would do it too."""
    from moma_app.config import get_settings
    from moma_app.jobs.service import ensure_service

    service = ensure_service(get_settings(), idle=lambda _: False)
    if json:
        print_json({"address": service.address, "workers": service.workers})
    else:
        say(f"{service.workers} local worker{'s' if service.workers > 1 else ''} at {service.address}.")


@app.command()
def stop(json: options.Json = False) -> None:
    """Stop the local workers; runs that they are working on become interrupted, and can be resumed."""
    from moma_app.config import get_settings
    from moma_app.jobs.service import find_service, stop_service

    service = find_service(get_settings())
    alive = service is not None and service.alive
    if service is not None:
        stop_service(service)
    if json:
        print_json({"stopped": alive})
    else:
        say("The local workers have stopped." if alive else "No local workers were running.")
