"""The only module that knows MLflow: runs and registered models in a SQLite file and a folder. Counts, no person."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# No network unless asked, and no agent of another vendor in a county's office.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """MLflow's own notes on creating its tables are not for our readers."""
    import mlflow  # noqa: F401  (it sets its own levels when imported)

    levels = {n: logging.getLogger(n).level for n in ("mlflow", "alembic")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def log_figures(
    settings: tuple[str, str, str], *, name: str, params: Mapping[str, str | int | float], metrics: Mapping[str, float]
) -> str:
    """Logs figures as a run of their own; returns its id."""
    with _quiet():
        client, number = _experiment(settings)
        run = client.create_run(number, run_name=name)
        for key, value in params.items():
            client.log_param(run.info.run_id, key, value)
        for key, metric in metrics.items():
            client.log_metric(run.info.run_id, _plain(key), metric)
        client.set_terminated(run.info.run_id)
        return str(run.info.run_id)


def logged(
    settings: tuple[str, str, str], *, name: str, params: Mapping[str, str | int | float], metrics: Mapping[str, float]
) -> bool:
    """Whether figures could be logged: where they are told elsewhere too, a database that refuses stops nothing."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        log_figures(settings, name=name, params=params, metrics=metrics)
    except (OSError, MlflowException, SQLAlchemyError):
        return False
    return True


def _plain(key: str) -> str:
    """A name as MLflow takes it."""
    return "".join(c if c.isalnum() or c in "_-./ " else "_" for c in key)


def _experiment(settings: tuple[str, str, str]) -> tuple[Any, str]:
    """The client, and the number of the experiment, which is made where there is none."""
    from mlflow import MlflowClient

    uri, artifacts, experiment = settings
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_experiment_by_name(experiment)
    number = found.experiment_id if found else client.create_experiment(experiment, artifact_location=artifacts)
    return client, str(number)


def log_model(
    settings: tuple[str, str, str],
    *,
    name: str,
    folder: Path,
    params: Mapping[str, str | int | float],
    metrics: Mapping[str, float],
) -> str:
    """Logs a fitted model's folder as a run and registers it under its name; returns the registered version."""
    with _quiet():
        from mlflow.exceptions import MlflowException

        client, number = _experiment(settings)
        run = client.create_run(number, run_name=name)
        for key, value in params.items():
            client.log_param(run.info.run_id, key, value)
        for key, metric in metrics.items():
            client.log_metric(run.info.run_id, key, metric)
        client.log_artifacts(run.info.run_id, str(folder), "model")
        with contextlib.suppress(MlflowException):  # it exists already
            client.create_registered_model(name)
        version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
        client.set_terminated(run.info.run_id)
        return str(version.version)
