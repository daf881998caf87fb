"""The memory of all runs, in MLflow: a SQLite file under ``MOMA_HOME``, or a team's tracking server."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app import __version__
from moma_app.config.places import without_password
from moma_app.errors import DataNotFoundError, InputError, MomaError, UnknownNameError
from moma_app.files import lock_for
from moma_app.jobs import sqlite
from moma_app.jobs.code import commit
from moma_app.jobs.identity import Process
from moma_app.jobs.record import PREFIX, Record
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.states import MLFLOW_STATUS, STATES, State

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

EXPERIMENT = "moma"
SPEC = "spec.json"
RESULT = "result.json"
LONGEST_PARAMETER = 500
LONGEST_TAG = 5000
"""MLflow's limits, in characters."""
PAGE = 1000
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


class StoreError(MomaError):
    """The tracking store cannot be reached, or refuses."""


class RunStore:
    """Runs in an MLflow tracking store.

    Args:
        uri: as MLflow takes it: ``sqlite:///…``, ``http://…``, ….
        artifacts: folder of artefacts of a SQLite store; a server has its own place.

    Listing a SQLite store does not import MLflow, which takes two seconds; everything else does.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self.uri = uri
        self.artifacts = artifacts
        self._client: MlflowClient | None = None
        self._experiment: str | None = None

    def prepare(self) -> None:
        """Open the store for writing, which takes seconds the first time."""
        with self._reached():
            _ = self.experiment

    # -- writing ---------------------------------------------------------------------------------

    def create(self, spec: RunSpec) -> str:
        """Record a new run as queued and return its id."""
        with self._reached():
            run = self.client.create_run(
                self.experiment,
                run_name=spec.name or spec.unit,
                tags={
                    **_ours(state="queued", unit=spec.unit, task=spec.task, digest=spec.digest, attempts=0),
                    **_ours(version=__version__, commit=commit()),
                    **_ours(queued=time.time(), process=vars(Process.this())),
                    "mlflow.source.name": f"moma {spec.unit}",
                },
            )
            run_id: str = run.info.run_id
            self.client.update_run(run_id, status=MLFLOW_STATUS["queued"])
            self.client.log_dict(run_id, spec.to_dict(), SPEC)
            self._log(run_id, parameters=_flat(spec.arguments))
        return run_id

    def change(self, run_id: str, state: State, **tags: Any) -> None:
        """Record a new state, with tags of ours in the same write."""
        with self._reached():
            self._log(run_id, tags=_ours(state=state, **tags))
            self.client.update_run(run_id, status=MLFLOW_STATUS[state])

    def tag(self, run_id: str, **tags: Any) -> None:
        """Set tags of ours."""
        with self._reached():
            self._log(run_id, tags=_ours(**tags))

    def facts(self, run_id: str, facts: Mapping[str, Any]) -> None:
        """Keep what a unit says of itself, such as the hash of its data."""
        with self._reached():
            self._log(run_id, tags={f"{PREFIX}fact.{key}": _text(value) for key, value in facts.items()})

    def metrics(self, run_id: str, values: Mapping[str, float], step: int = 0) -> None:
        """Keep numbers, at a step (epoch); those that are not finite are left out."""
        import math

        finite = {key: float(value) for key, value in values.items() if math.isfinite(value)}
        with self._reached():
            self._log(run_id, metrics=finite, step=step)

    def keep(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Keep a file, or all files of a folder, as artefacts of a run."""
        with self._reached():
            if path.is_dir():
                self.client.log_artifacts(run_id, str(path), folder)
            else:
                self.client.log_artifact(run_id, str(path), folder)

    def delete(self, run_id: str) -> None:
        """Forget a run and its artefacts; on a server MLflow keeps it in its bin until ``mlflow gc``."""
        with self._reached():
            self.client.delete_run(run_id)
            if self._file is not None:
                from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

                run = self.client.get_run(run_id)
                get_artifact_repository(run.info.artifact_uri).delete_artifacts()
                self.client._tracking_client.store._hard_delete_run(run_id)  # noqa: SLF001 - as `mlflow gc` does

    # -- reading ---------------------------------------------------------------------------------

    def get(self, run_id: str) -> Record:
        """Return a run by its whole id.

        Raises:
            UnknownNameError: there is none.
        """
        if self._file is not None:
            found = sqlite.read(self._file, EXPERIMENT, ids=[run_id], whole=True)
        else:
            with self._reached():
                found = _records([self._run(run_id)])
        if not found:
            raise UnknownNameError("run", run_id, [], "`moma runs list` shows all.")
        return found[0]

    def find(self, start: str) -> Record:
        """Return the run whose id starts so.

        Raises:
            UnknownNameError: there is none.
            InputError: there are several.
        """
        start = start.strip().lower()
        if not start or set(start) - set("0123456789abcdef"):
            raise InputError(
                f"{start!r} is no run's id: it consists of the digits 0-9 and a-f, see `moma runs list`."
            )
        ids = self._ids_from(start)
        if len(ids) > 1:
            shown = ", ".join(found[: max(12, len(start) + 2)] for found in ids[:5])
            raise InputError(f"{len(ids)} runs start with {start}: {shown}{', …' if len(ids) > 5 else ''}.")
        if not ids:
            raise UnknownNameError("run", start, [], "`moma runs list` shows all.")
        return self.get(ids[0])

    def runs(
        self,
        *,
        states: Iterable[State] = STATES,
        unit: str | None = None,
        task: str | None = None,
        digest: str | None = None,
        name: str = "",
        offset: int = 0,
        limit: int | None = None,
    ) -> list[Record]:
        """Return runs, newest first, without parameters; a page of 10,000 takes well under a second.

        Args:
            states, unit, task, digest: only these.
            name: only runs with this in their name, whatever the case.
            offset: leave so many out, the newest first.
            limit: at most so many.
        """
        exact = _exact(unit=unit, task=task, digest=digest)
        if self._file is not None:
            return sqlite.read(
                self._file,
                EXPERIMENT,
                states=_some(states),
                tags=exact,
                name=name,
                offset=offset,
                limit=limit,
            )
        last = None if limit is None else offset + limit
        return list(islice(self._search(list(states), exact, name, last), offset, None))

    def count(
        self,
        *,
        states: Iterable[State] = STATES,
        unit: str | None = None,
        task: str | None = None,
        name: str = "",
    ) -> int | None:
        """Return how many runs :meth:`runs` would find; ``None`` from a server, which would have to send them all."""
        if self._file is None:
            return None
        return sqlite.count(
            self._file, EXPERIMENT, states=_some(states), tags=_exact(unit=unit, task=task), name=name
        )

    def spec(self, run_id: str) -> RunSpec:
        """Return what a run does.

        Raises:
            DataNotFoundError: its record is damaged or of another tool.
        """
        return RunSpec.from_dict(self._json(run_id, SPEC))

    def result(self, run_id: str) -> dict[str, Any]:
        """Return what a finished run's unit returned.

        Raises:
            DataNotFoundError: the run has no result.
        """
        return self._json(run_id, RESULT)

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """Return a metric's values by step (epoch)."""
        with self._reached():
            return sorted((m.step, m.value) for m in self.client.get_metric_history(run_id, metric))

    def fetch(self, run_id: str, name: str, folder: Path) -> Path:
        """Copy an artefact (file or folder) into ``folder`` and return its path there.

        Raises:
            DataNotFoundError: the run has no such artefact.
        """
        folder.mkdir(parents=True, exist_ok=True)
        here = self._artefact_folder(run_id)
        if here is not None:
            source = here / name
            if source.is_dir():
                return Path(shutil.copytree(source, folder / name, dirs_exist_ok=True))
            if source.is_file():
                return Path(shutil.copy2(source, folder / name))
            raise DataNotFoundError(f"Run {run_id[:8]} has no artefact {name!r}.")
        with self._reached():
            if name not in [
                *self.artefacts(run_id),
                *(entry.path for entry in self.client.list_artifacts(run_id)),
            ]:
                raise DataNotFoundError(f"Run {run_id[:8]} has no artefact {name!r}.")
            return Path(self.client.download_artifacts(run_id, name, str(folder)))

    def locate(self, run_id: str, name: str, folder: Path) -> Path:
        """Return where an artefact lies: in the store, if that is a folder of this machine, else copied into ``folder``.

        Raises:
            DataNotFoundError: the run has no such artefact.
        """
        here = self._artefact_folder(run_id)
        if here is not None and (here / name).exists():
            return here / name
        return self.fetch(run_id, name, folder)

    def artefacts(self, run_id: str, folder: str | None = None) -> list[str]:
        """Return the names of a run's artefacts (on a server: of one of its folders), with their path."""
        here = self._artefact_folder(run_id)
        if here is not None:
            return sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())
        names: list[str] = []
        with self._reached():
            for entry in self.client.list_artifacts(run_id, folder):
                names += self.artefacts(run_id, entry.path) if entry.is_dir else [entry.path]
        return sorted(names)

    # -- MLflow ----------------------------------------------------------------------------------

    @property
    def client(self) -> MlflowClient:
        """MLflow's client, made on first use; a new SQLite file gets its tables."""
        if self._client is None:
            for name, value in QUIET.items():
                os.environ.setdefault(name, value)
            from mlflow.tracking import MlflowClient

            for name in ("alembic", "mlflow.store.db.utils"):
                logging.getLogger(name).setLevel(logging.WARNING)
            if self._file is None:
                self._client = MlflowClient(tracking_uri=self.uri)
            else:
                with lock_for(self._file):  # two processes would both try to make the tables
                    self._client = MlflowClient(tracking_uri=sqlite.patient(self.uri))
                    sqlite.let_readers_and_writers_meet(self._file)
        return self._client

    @property
    def experiment(self) -> str:
        """Id of our MLflow experiment, made on first use."""
        if self._experiment is None:
            found = self.client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                from mlflow.exceptions import MlflowException

                where = (
                    None
                    if self.artifacts is None or self._file is None
                    else self.artifacts.resolve().as_uri()
                )
                try:
                    self._experiment = str(self.client.create_experiment(EXPERIMENT, artifact_location=where))
                except MlflowException:  # another process was faster
                    found = self.client.get_experiment_by_name(EXPERIMENT)
                    if found is None:
                        raise
            if found is not None:
                self._experiment = str(found.experiment_id)
        assert self._experiment is not None
        return self._experiment

    @property
    def _file(self) -> Path | None:
        return sqlite.file_of(self.uri)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Turn what MLflow and its database raise into one sentence."""
        try:
            yield
        except MomaError:
            raise
        except Exception as exc:
            if not _of_the_store(exc):
                raise
            reason = str(exc).strip().splitlines()[0][:300]
            raise StoreError(
                without_password(
                    f"The tracking store {self.uri} cannot be used ({reason}): check MLFLOW_TRACKING_URI, or run "
                    "`moma doctor`."
                )
            ) from exc

    def _log(
        self,
        run_id: str,
        *,
        tags: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, now, step) for key, value in (metrics or {}).items()],
            params=[Param(key, value) for key, value in (parameters or {}).items()],
            tags=[RunTag(key, value[:LONGEST_TAG]) for key, value in (tags or {}).items()],
        )

    def _run(self, run_id: str) -> Run:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise UnknownNameError("run", run_id, [], "`moma runs list` shows all.") from exc

    def _ids_from(self, start: str) -> list[str]:
        if self._file is not None:
            return sqlite.ids_from(self._file, EXPERIMENT, start)
        with self._reached():
            found = self.client.search_runs(
                [self.experiment], filter_string=f"attributes.run_id LIKE '{start}%'", max_results=20
            )
        return [run.info.run_id for run in found]

    def _search(
        self, states: list[State], tags: Mapping[str, str], name: str, limit: int | None
    ) -> Iterator[Record]:
        conditions = [f"tags.`{PREFIX}{key}` = '{value.replace(chr(39), '')}'" for key, value in tags.items()]
        if name:
            conditions.append(f"attributes.run_name ILIKE '%{name.replace(chr(39), '')}%'")
        if len(states) == 1:
            conditions.append(f"tags.`{PREFIX}state` = '{states[0]}'")
        token, left = None, limit
        while left is None or left > 0:
            with self._reached():
                page = self.client.search_runs(
                    [self.experiment],
                    filter_string=" AND ".join(conditions),
                    max_results=PAGE if left is None or len(states) > 1 else min(PAGE, left),
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
            found = [record for record in _records(page) if record.state in states][:left]
            yield from found
            left = None if left is None else left - len(found)
            token = page.token
            if not token:
                return

    def _json(self, run_id: str, name: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = self.fetch(run_id, name, Path(folder))
            try:
                value = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as exc:
                raise DataNotFoundError(f"Artefact {name} of run {run_id[:8]} is damaged: {exc}.") from exc
        if not isinstance(value, dict):
            raise DataNotFoundError(f"Artefact {name} of run {run_id[:8]} is not of this package.")
        return value

    def _artefact_folder(self, run_id: str) -> Path | None:
        return None if self._file is None else sqlite.artefact_folder(self._file, run_id)


def _of_the_store(exc: Exception) -> bool:
    """Whether an exception comes from MLflow, its database or the way there."""
    origins = tuple(type(exc).__module__.split(".")[0] for _ in (0,))
    return isinstance(exc, OSError) or origins[0] in (
        "mlflow",
        "sqlalchemy",
        "sqlite3",
        "requests",
        "urllib3",
        "alembic",
    )


def _records(runs: Iterable[Run]) -> list[Record]:
    made = (
        Record.from_tags(
            run.info.run_id,
            run.info.run_name or "",
            (run.info.start_time or 0) / 1000,
            run.data.tags,
            metrics=run.data.metrics,
            parameters=run.data.params,
        )
        for run in runs
    )
    return [record for record in made if record is not None]


def _some(states: Iterable[State]) -> list[State] | None:
    """Return the states to ask for; ``None`` for all of them, which need no look at each run."""
    wanted = list(states)
    return None if set(wanted) == set(STATES) else wanted


def _exact(**tags: str | None) -> dict[str, str]:
    return {key: value for key, value in tags.items() if value is not None}


def _ours(**tags: Any) -> dict[str, str]:
    return {PREFIX + key: _text(value) for key, value in tags.items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, sort_keys=True)


def _flat(values: Mapping[str, Any], start: str = "") -> dict[str, str]:
    """Return nested arguments as MLflow parameters, ``recipe.fit.epochs``; the whole is in ``spec.json``."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{start}{key}.")
        elif value is not None:
            flat[start + key] = _text(value)[:LONGEST_PARAMETER]
    return flat
