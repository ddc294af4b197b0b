"""docs/configuration.md says what the code says."""

import re
from pathlib import Path

from tallygate.gateway.settings import load
from tallygate.gateway.settings.loading import FLAGS
from tallygate.gateway.settings.reference import reference
from tallygate.gateway.settings.shape import leaves
from tallygate.gateway.settings.variables import SHORT_NAMES
from tallygate.gateway.settings.vendors import VENDORS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
STARTED = PAGE.with_name("getting-started.md")


def test_the_page_is_up_to_date() -> None:
    mend = "run: python -m tallygate.gateway.settings.reference > docs/configuration.md"
    assert PAGE.read_text() == reference(), mend


def test_the_page_names_every_setting_flag_and_variable() -> None:
    page = reference()
    for path in leaves():
        assert f"| `{path[-1]}` |" in page or f"`{path[0]}.NAME`" in page, path
    for name in (*FLAGS.values(), *SHORT_NAMES, *VENDORS):
        assert f"`{name}`" in page
    for vendor in VENDORS.values():
        assert all(f"`{name}`" in page for name in (*vendor.keys, *vendor.addresses))


def test_the_examples_work(tmp_path: Path) -> None:
    for page in (PAGE, STARTED):
        example = re.search(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
        assert example is not None
        file = tmp_path / "gateway.toml"
        file.write_text(example[1])
        settings = load({}, file, {"OPENAI_API_KEY": "k", "TALLYGATE_KEY": "m"}, None)
        assert settings.aliases == {"fast": "openai/gpt-4o-mini"}
        assert [str(override.input) for override in settings.price_overrides] in (["0.1"], ["0.10"])
        assert settings.dimensions["team"].values == ("search", "support")
