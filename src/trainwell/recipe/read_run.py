"""Everything that a run's folder holds, as one record."""

from trainwell.core.jsonio import from_json
from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import Evidence
from trainwell.core.records.outcome import Outcome
from trainwell.core.records.run import Result, RunRecord, Settings
from trainwell.search.trials import trial_record
from trainwell.store.folder import RunFolder
from trainwell.store.study import Study, sqlite_url


def read_run(folder: RunFolder) -> RunRecord:
    """Everything that a run's folder holds, without a model.

    Raises:
        StoreError: the folder is no run's, or damaged.
    """
    settings = from_json(Settings, (folder.path / "settings.json").read_bytes())
    study = Study(sqlite_url(folder.study), folder.name)
    data_record = from_json(DataRecord, (folder.path / "data.json").read_bytes())
    evidence = tuple(study.read(name, Evidence) for name in study.names() if name.startswith("evidence/"))
    trials = tuple(trial_record(folder, entry) for entry in study.trials())
    outcome = study.read("outcome", Outcome) if study.known("outcome") else None
    result = from_json(Result, folder.result.read_bytes()) if folder.result.is_file() else None
    kept = [trial.spec.number for trial in trials if trial.stage == "kept"]
    return RunRecord(
        name=folder.name,
        folder=str(folder.path),
        settings=settings,
        data=data_record,
        evidence=evidence,
        trials=trials,
        decisions=study.decisions(),
        outcome=outcome,
        result=result,
        final=kept[-1] if kept else None,
    )
