"""Documents: ours pass the tools of the standards, and the standards' examples load here."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import gate
import meshdir

ROOT = Path(__file__).resolve().parents[2]
LINTER = os.environ.get("MESHGATE_DATACONTRACT", "datacontract")
STANDARDS = os.environ.get("MESHGATE_STANDARDS_DIR")
OURS = sorted((ROOT / "deploy").rglob("*.odcs.yaml"))


def lint(contract: Path) -> subprocess.CompletedProcess:
    return subprocess.run([LINTER, "lint", str(contract)], capture_output=True, text=True, timeout=120)


def test_there_are_contracts_to_lint():
    assert OURS


@pytest.mark.parametrize("contract", OURS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_our_contracts_pass_the_linter(contract):
    ended = lint(contract)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_linter_finds_faults(tmp_path):
    bad = tmp_path / "bad.odcs.yaml"
    bad.write_text(OURS[0].read_text().replace("logicalType: string", "logicalType: strange", 1))
    assert lint(bad).returncode != 0


def test_the_matrix_contracts_pass_the_linter(tpch_mesh):
    """What the other tests serve is what the standard says, too."""
    for contract in sorted(tpch_mesh.rglob("*.odcs.yaml")):
        ended = lint(contract)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def examples(kind: str) -> list[Path]:
    """Example documents of the checkouts, whatever their layout."""
    if not STANDARDS:
        return []
    return sorted(
        file for file in Path(STANDARDS).rglob("*.y*ml")
        if "example" in file.as_posix() and re.search(rf"^kind: *[\"']?{kind}", file.read_text(errors="replace"), re.MULTILINE)
    )


@pytest.mark.skipif(not STANDARDS, reason="MESHGATE_STANDARDS_DIR names no checkouts of the standards")
@pytest.mark.parametrize("example", examples("DataContract"), ids=str)
def test_contract_examples_load(example, tmp_path):
    """No complaint about a field of the standard; a kind of server that is not read is a notice."""
    text = example.read_text()
    identity = yaml.safe_load(text)["id"]
    mesh = one_product(tmp_path)
    home = mesh / "domains" / "any" / "products" / "thing"
    product = (home / "product.odps.yaml").read_text()
    ours = meshdir.identity("any.thing:contract")
    (home / "product.odps.yaml").write_text(product.replace(ours, f"'{identity}'"))
    (home / "tables.odcs.yaml").write_text(text)
    no_field_complaint(gate.run("check", mesh, "--format", "json"))


@pytest.mark.skipif(not STANDARDS, reason="MESHGATE_STANDARDS_DIR names no checkouts of the standards")
@pytest.mark.parametrize("example", examples("DataProduct"), ids=str)
def test_product_examples_load(example, tmp_path):
    mesh = one_product(tmp_path)
    home = mesh / "domains" / "any" / "products" / "thing"
    (home / "product.odps.yaml").write_text(example.read_text())
    (home / "tables.odcs.yaml").unlink()
    no_field_complaint(gate.run("check", mesh, "--format", "json"))


def one_product(directory: Path) -> Path:
    """A mesh whose documents a test replaces."""
    server = {"type": "local", "path": "./data/any/x", "format": "delta"}
    return meshdir.write(directory / "mesh", [meshdir.Product("any", "thing", {}, server)])


def no_field_complaint(report: subprocess.CompletedProcess):
    assert report.returncode in (0, 1), report.stderr
    assert not [code for code in ("unknown-field", "wrong-type", "missing-field", "bad-value") if code in report.stdout], report.stdout
