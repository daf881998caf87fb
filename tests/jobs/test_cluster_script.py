"""The script of docs/cluster.md that starts workers as jobs of Slurm or PBS: what it would submit."""

from __future__ import annotations

import importlib.util
import itertools
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from moma_app.config import get_settings
from moma_app.jobs.local_processes import DASK

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "scripts" / "slurm_workers.py"
DOCUMENT = ROOT / "docs" / "cluster.md"


@pytest.fixture(scope="module")
def script():
    """The script as a module."""
    specification = importlib.util.spec_from_file_location("slurm_workers", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def jobqueue():
    return pytest.importorskip(
        "dask_jobqueue", reason='dask-jobqueue is not installed: pip install "moma-app[cluster]".'
    )


@pytest.fixture
def render(script, jobqueue, tmp_path):
    """Return a job's directives, its exports, and its worker's command line."""

    def render(*arguments: str) -> tuple[list[str], dict[str, str], list[str]]:
        text = script.job_script(script.parse(list(arguments)), tmp_path)
        lines = text.splitlines()
        exports = dict(line[7:].split("=", 1) for line in lines if line.startswith("export "))
        command = next(shlex.split(line) for line in lines if "dask_worker" in line)
        return [line for line in lines if line.startswith(("#SBATCH", "#PBS"))], exports, command

    return render


def test_a_slurm_job_has_the_directives_asked_for(render, tmp_path):
    directives, _, _ = render(
        *("--queue", "gpu", "--account", "mine", "--gpus", "2", "--cores", "12", "--memory", "48"),
        *("--walltime", "3:00:00", "--extra=--constraint=a100", "--extra=--qos=long"),
    )
    assert set(directives) >= {
        "#SBATCH -p gpu",
        "#SBATCH -A mine",
        "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=12",
        "#SBATCH --mem=48G",
        "#SBATCH -t 3:00:00",
        "#SBATCH --gres=gpu:2",
        "#SBATCH --constraint=a100",
        "#SBATCH --qos=long",
        f"#SBATCH -o {tmp_path}/logs/moma-%J.out",
    }


def test_a_pbs_job_has_the_directives_asked_for(render):
    directives, _, command = render(
        *("--system", "pbs", "--queue", "gpu", "--account", "mine", "--gpus", "2", "--cores", "12"),
        *("--memory", "48", "--walltime", "3:00:00", "--extra=-m n"),
    )
    assert set(directives) >= {
        "#PBS -q gpu",
        "#PBS -A mine",
        "#PBS -l select=1:ncpus=12:mem=48gb:ngpus=2",
        "#PBS -l walltime=3:00:00",
        "#PBS -m n",
    }
    assert "MEMORY=48,GPU=2" in command


def test_jobs_without_gpus_ask_for_none_and_offer_none(render):
    directives, _, command = render("--gpus", "0")
    assert not any("gres" in line for line in directives)
    assert command[command.index("--resources") + 1] == "MEMORY=64"
    directives, _, _ = render("--gpus", "0", "--system", "pbs")
    assert not any("ngpus" in line for line in directives)


def test_a_worker_does_one_run_at_a_time_on_all_cores_over_tls(render, tmp_path):
    _, exports, command = render("--cores", "12", "--memory", "48", "--interface", "ib0")
    options = dict(itertools.pairwise(command))
    assert options["--nthreads"] == "1"
    assert options["--memory-limit"] == "48.00GiB"
    assert options["--resources"] == "MEMORY=48,GPU=1"
    assert options["--preload"] == "moma_app.jobs.preload"
    assert options["--protocol"] == "tls://"
    assert options["--tls-key"] == str(tmp_path / "key.pem")
    assert options["--interface"] == "ib0"
    assert "--nanny" in command
    # At the end of a lifetime the run begins on another worker while this one still works on it for half a minute.
    assert "--lifetime" not in command
    assert exports["OMP_NUM_THREADS"] == "'12'"


def test_the_command_line_is_one_that_dask_takes(script, render, tmp_path):
    from distributed.cli.dask_worker import main

    script.make_keys(tmp_path)
    _, _, command = render("--interface", "ib0")
    arguments = command[command.index("distributed.cli.dask_worker") + 1 :]
    given = main.make_context("worker", arguments).params
    assert given["resources"] == "MEMORY=64,GPU=1"
    assert given["preload"] == ("moma_app.jobs.preload",)
    assert not given["dashboard"]


def test_setup_lines_come_before_the_worker(script, jobqueue, tmp_path):
    options = script.parse(["--setup", "module load cuda", "--setup", "ulimit -c 0"])
    text = script.job_script(options, tmp_path)
    assert text.index("module load cuda") < text.index("ulimit -c 0") < text.index("dask_worker")


def test_dask_is_set_as_for_local_workers(script, render):
    names = {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": name for name in script.DASK}
    ours = {name: value for name, value in DASK.items() if name.startswith("DASK_")}
    differ = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"}  # a job's walltime is no fault of the run
    assert ours.keys() <= names.keys()
    assert {name: str(script.DASK[names[name]]) for name in ours.keys() - differ} == {
        name: ours[name] for name in ours.keys() - differ
    }
    _, exports, _ = render()
    for name, value in ours.items():
        if "__WORKER__" in name:
            assert exports[name] == f"'{value}'"


def test_keys_are_private_and_dask_reads_them(script, tmp_path):
    import yaml

    script.make_keys(tmp_path)
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    tls = yaml.safe_load((tmp_path / "dask.yaml").read_text())["distributed"]["comm"]["tls"]
    assert tls["client"] == {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    assert script.keys_in(tmp_path).get_connection_args("client")["ssl_context"] is not None


def test_it_shows_the_job_and_starts_nothing(jobqueue):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--print-script", "--queue", "gpu"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "#SBATCH -p gpu" in done.stdout
    assert not (get_settings().home / "cluster" / "key.pem").exists()


def test_the_document_names_only_options_that_the_script_has(script, capsys):
    with pytest.raises(SystemExit):
        script.parse(["--help"])
    known = capsys.readouterr().out
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if "slurm_workers.py --" in line:
            for word in shlex.split(line, comments=True):
                if word.startswith("--"):
                    assert word.partition("=")[0] in known, word
