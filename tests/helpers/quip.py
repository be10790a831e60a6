"""QUIP in processes of its own: it ends the process on errors, and prints as it likes."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest

from skdesc import extract_targets

_spec = importlib.util.find_spec("quippy")
needs_quippy = pytest.mark.skipif(
    # .ci/sanitize hides the package behind a module of the same name
    _spec is None or _spec.submodule_search_locations is None, reason="needs quippy-ase"
)


def evaluate(path, frames, folder, init=""):
    """Energies, forces and stresses of quippy, evaluated in a child process."""
    source, target = Path(folder, "frames.xyz"), Path(folder, "results.json")
    ase.io.write(source, [bare(atoms) for atoms in frames], format="extxyz", write_results=False)
    # as many digits as there are, which text has not
    np.savez(Path(folder, "exact.npz"), *[a for f in frames for a in (f.positions, f.cell.array)])
    done = subprocess.run(
        [sys.executable, __file__, str(path), init, str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(target.read_text())
    energies, forces, stresses = zip(*results, strict=True)
    return np.array(energies), [np.array(block) for block in forces], np.array(stresses)


def bare(atoms):
    copy = atoms.copy()
    copy.calc = None
    return copy


def gap_fit(frames, folder, soap, **options):
    """Potential of QUIP's own fitting program, by the given line of a descriptor."""
    program = Path(sys.executable).with_name("gap_fit")
    if not program.exists():
        pytest.skip("gap_fit is not installed")
    copies = []
    for atoms in frames:
        copy = bare(atoms)
        energy, targets = extract_targets([atoms])
        copy.info["ref_energy"] = float(energy[0])
        copy.arrays["ref_force"] = targets["forces"][0]
        copies.append(copy)
    ase.io.write(Path(folder, "train.xyz"), copies, format="extxyz")
    options = {
        "at_file": "train.xyz", "gap": f"{{soap {soap}}}", "gp_file": "gap.xml",
        "default_sigma": "{0.002 0.05 0.0 0.0}", "energy_parameter_name": "ref_energy",
        "force_parameter_name": "ref_force", "virial_parameter_name": "none",
        "e0": "{Cu:-0.1:Au:-0.2}", "sparse_jitter": "1e-8",
    } | options
    words = [f"{key}={value}" for key, value in options.items()]
    done = subprocess.run(
        [str(program), *words], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    path = Path(folder, "gap.xml")
    assert path.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return path


def main(path, init, folder):
    from quippy.potential import Potential

    frames = ase.io.read(Path(folder, "frames.xyz"), ":")
    exact = np.load(Path(folder, "exact.npz"))
    results = []
    calculator = Potential(init, param_filename=path)
    for index, atoms in enumerate(frames):
        atoms.set_cell(exact[f"arr_{2 * index + 1}"])
        atoms.positions = exact[f"arr_{2 * index}"]
        atoms.calc = calculator
        stress = atoms.get_stress().tolist() if atoms.cell.rank == 3 else [0.0] * 6
        results.append([atoms.get_potential_energy(), atoms.get_forces().tolist(), stress])
    Path(folder, "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
