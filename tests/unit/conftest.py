"""A generated county with models trained at 2023-06 and months after it, so that what came later is known."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import fpml


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., list[Path]]) -> fpml.County:
    """1,500 households over 36 months (2021-01 to 2023-12). Not to be changed."""
    root = fpml.init(tmp_path_factory.mktemp("trained") / "county").root
    profile = root / "policy" / "county.yaml"
    settings = yaml.safe_load(profile.read_text(encoding="utf-8")) | {"simulated": True}
    profile.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    for file in (root / "models").glob("*.yaml"):
        file.write_text(file.read_text(encoding="utf-8").replace("0.03", "0.1").replace("patience: 60", "patience: 15"))
    county = fpml.open(root)
    county.intake(generate(county.workspace.deliveries, households=1500, months=36))
    county.histories(*county.as_ofs())
    for model in county.model_names():
        county.train(model, "2023-06")
    return county
