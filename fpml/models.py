"""The models of a workspace: their definitions, and what was trained of each by an as-of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError, UsageError, did_you_mean
from fpml.risk import ModelDefinition, RiskModel, load_definition
from fpml.workspace import Workspace

Loaded = dict[tuple[Path, int], RiskModel]


@dataclass(frozen=True)
class Models:
    """Definitions (models/*.yaml) and artefacts of a workspace.

    `fixed`: the folder of each model that a list was made with: no others are given; None: whatever was trained.
    `loaded` outlives it, and is shared with the next.
    """

    workspace: Workspace
    catalogue: Catalogue
    fixed: Mapping[str, str] | None
    loaded: Loaded

    @property
    def names(self) -> tuple[str, ...]:
        """The models defined in this workspace."""
        return tuple(sorted(p.stem for p in self.workspace.definitions.glob("*.yaml")))

    def definition(self, model: str) -> ModelDefinition:
        """A model's definition from models/*.yaml."""
        path = self.workspace.definitions / f"{model}.yaml"
        if not path.is_file():
            raise UsageError(f"model `{model}`", "not defined", did_you_mean(model, self.names))
        return load_definition(path, self.catalogue)

    def at(self, as_of: str | AsOf) -> dict[str, RiskModel]:
        """For each outcome that has one, the model trained last that could have been used at the as-of."""
        found: dict[str, RiskModel] = {}
        for name, folder in self.artefacts(as_of).items():
            model = self._model(self.workspace.artefacts / name / folder)
            if model.meaning != self.catalogue.meaning:
                problem = "learnt under a policy in which features or outcomes meant something else"
                raise NotYetError(f"model {name}", problem, f"Run `fpml train {name} --as-of {model.learnt.origin}`.")
            found[model.outcome] = model
        return found

    def artefacts(self, as_of: str | AsOf) -> Mapping[str, str]:
        """The folder of each model that `at` gives; it is named by what the model learnt up to, and what it is."""
        if self.fixed is not None:
            return self.fixed
        origin = AsOf.parse(as_of)
        found: dict[str, str] = {}
        for name in self.names:
            folders = [
                p
                for p in (self.workspace.artefacts / name).glob("[0-9]*")
                if AsOf.parse(p.name[:7]) <= origin and (p / "model.json").is_file()
            ]
            if folders:
                found[name] = max(
                    folders, key=lambda p: (p.name[:7], (p / "model.json").stat().st_mtime_ns, p.name)
                ).name
        return found

    def _model(self, folder: Path) -> RiskModel:
        """The model in a folder, kept for the next call while its card is the same."""
        try:
            key = folder, (folder / "model.json").stat().st_mtime_ns
        except FileNotFoundError:
            problem = "a list was made with it, and it is gone"
            raise InputError(f"model {folder.name}", problem, "Restore models/artefacts from a copy.") from None
        if key not in self.loaded:
            self.loaded[key] = RiskModel.load(folder)
        return self.loaded[key]
