"""Fit and prediction of a Gaussian approximation potential, beside gap_fit and quippy.

``python tests/benchmarks/bench_gap.py [--virials] [--growth]`` needs the folder of data sets in
``SKDESC_DATA`` (60 Cu-Ni cells of 32 atoms to fit to, 40 to test) and, for the peers, quippy-ase.
Both programs get the same descriptor, number of sparse points, covariance and noise, and one
thread; each fit runs in a process of its own, whose time on the processor and peak memory are
those that the operating system reports. Times on the processor hardly depend on what else the
machine does; wall times do.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
from ase.io import read
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.calculator import SkdescCalculator

SOAP = {"cutoff": 5.0, "cutoff_width": 0.5, "n_max": 8, "l_max": 6, "atom_sigma": 0.5}
GAP = {"zeta": 4, "energy_scale": 0.2, "sigma_energy": 0.002, "sigma_forces": 0.1,
       "sigma_virials": 0.1, "e0": None}
KEYS = {"energy_key": "ref_energy", "forces_key": "ref_force", "virial_key": "ref_virial"}
N_SPARSE = 500


def data_file(name):
    """Path of a file among the data sets."""
    folder = os.environ.get("SKDESC_DATA")
    path = Path(folder or ".") / name
    if not path.exists():
        raise SystemExit(f"{name} is not there; set SKDESC_DATA to the folder that holds it")
    return path


def fit(output, n_structures, n_sparse, virials):
    """Fit ours, and save it; meant to run in a process of its own."""
    frames = read(data_file("cuni_train.xyz"), ":")[:n_structures]
    y, targets = extract_targets(frames, virials=virials, **KEYS)
    pipeline = make_pipeline(
        SOAPTransformer(**SOAP, n_jobs=1), GAPRegressor(**GAP, n_sparse=n_sparse, n_jobs=1)
    )
    warnings.simplefilter("ignore")
    start, cpu = time.perf_counter(), time.process_time()
    pipeline.fit(frames, y, **{f"gapregressor__{kind}": t for kind, t in targets.items()})
    print(f"{time.perf_counter() - start:.2f} {time.process_time() - cpu:.2f}")
    joblib.dump(pipeline, output)


def run(command, folder):
    """Run a process; its output, wall time, time on the processor, peak memory in MB."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder,
                                   env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        log.seek(0)
        text = log.read()
    if status:
        raise SystemExit(f"{command[0]} has failed:\n{text[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return text, time.perf_counter() - start, cpu, usage.ru_maxrss / 1024


def fit_skdesc(folder, n_structures=60, n_sparse=N_SPARSE, virials=False):
    """Fit ours in a process; the fit alone, then what the whole process took."""
    command = [sys.executable, str(Path(__file__).resolve()), "--fit", "ours.joblib",
               str(n_structures), str(n_sparse), str(int(virials))]
    text, *whole = run(command, folder)
    return tuple(map(float, text.split()[-2:])), whole


def fit_quippy(folder, virials):
    """Fit with gap_fit; what the process took."""
    soap = (f"soap cutoff={SOAP['cutoff']} cutoff_transition_width={SOAP['cutoff_width']} "
            f"n_max={SOAP['n_max']} l_max={SOAP['l_max']} atom_sigma={SOAP['atom_sigma']} "
            f"zeta={GAP['zeta']} delta={GAP['energy_scale']} n_sparse={N_SPARSE} "
            "sparse_method=cur_points covariance_type=dot_product add_species radial_basis=GTO")
    command = ["gap_fit", f"at_file={data_file('cuni_train.xyz')}", f"gap={{{soap}}}",
               "default_sigma={0.002 0.1 0.1 0.0}", "e0=0", "energy_parameter_name=ref_energy",
               "force_parameter_name=ref_force", "gp_file=peer.xml", "do_copy_at_file=F",
               "sparse_separate_file=F"]
    command.append(f"virial_parameter_name={'ref_virial' if virials else 'none'}")
    return run(command, folder)[1:]


def errors(calculator, frames):
    """Errors of energies per atom, forces, and virials per atom: RMSE in meV."""
    y, targets = extract_targets(frames, **KEYS)
    rows = []
    for atoms, energy, forces, virial in zip(
        frames, y, targets["forces"], targets["virials"], strict=True
    ):
        atoms = atoms.copy()
        atoms.calc = calculator
        difference = -atoms.get_volume() * atoms.get_stress(voigt=False) - virial
        rows.append((
            ((atoms.get_potential_energy() - energy) / len(atoms)) ** 2,
            np.mean((atoms.get_forces() - forces) ** 2), np.mean((difference / len(atoms)) ** 2),
        ))
    return 1e3 * np.sqrt(np.mean(rows, axis=0))


def time_calls(calculators, atoms, n_calls):
    """Median seconds per call for energy, forces and stress; calculators take turns."""
    seconds = {name: [] for name in calculators}
    rng = np.random.RandomState(0)
    for _ in range(n_calls):
        atoms.positions += 1e-3 * rng.normal(size=atoms.positions.shape)
        for name, calculator in calculators.items():
            atoms.calc = calculator
            start = time.perf_counter()
            calculator.calculate(atoms, ["energy", "forces", "stress"])
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def compare(folder, virials):
    """Fit, test and time both."""
    (wall, cpu), (_, process_cpu, memory) = fit_skdesc(folder, virials=virials)
    print(f"skdesc:  fit {wall:.1f} s wall, {cpu:.1f} s processor; whole process "
          f"{process_cpu:.1f} s processor, peak {memory:.0f} MB", flush=True)
    calculators = {"skdesc": SkdescCalculator(joblib.load(folder / "ours.joblib"))}
    try:
        from quippy.potential import Potential
    except ImportError:
        print("gap_fit is left out: quippy-ase is not installed")
    else:
        peer_wall, peer_cpu, peer_memory = fit_quippy(folder, virials)
        print(f"gap_fit: {peer_wall:.1f} s wall, {peer_cpu:.1f} s processor, "
              f"peak {peer_memory:.0f} MB")
        print(f"ratios:  processor time {peer_cpu / cpu:.1f} (fit alone), "
              f"{peer_cpu / process_cpu:.1f} (whole process), memory {peer_memory / memory:.1f}")
        calculators["quippy"] = Potential(param_filename=str(folder / "peer.xml"))
    frames = read(data_file("cuni_test.xyz"), ":")
    for name, calculator in calculators.items():
        energy, force, virial = errors(calculator, frames)
        print(f"{name}: test RMSE {energy:.2f} meV/atom, {force:.1f} meV/A, "
              f"virial {virial:.1f} meV/atom")
    atoms = frames[0].repeat((2, 2, 2))
    seconds = time_calls(calculators, atoms, 7)
    for name, value in seconds.items():
        print(f"{name}: energy, forces and stress of {len(atoms)} atoms in {1e3 * value:.1f} ms")
    if len(seconds) == 2:
        print(f"ratio:  {seconds['quippy'] / seconds['skdesc']:.1f}")


def growth(folder, virials):
    """Time on the processor against the numbers of structures and of sparse points."""
    for n_structures in (15, 30, 60):
        (_, cpu), (*_, memory) = fit_skdesc(folder, n_structures, 250, virials)
        print(f"{n_structures:3d} structures, 2 x 250 points: {cpu:.2f} s, peak {memory:.0f} MB")
    for n_sparse in (125, 250, 500):
        (_, cpu), (*_, memory) = fit_skdesc(folder, 60, n_sparse, virials)
        print(f" 60 structures, 2 x {n_sparse} points: {cpu:.2f} s, peak {memory:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--virials", action="store_true", help="fit to virials as well")
    parser.add_argument("--growth", action="store_true", help="how the cost of a fit grows")
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        output, *sizes, with_virials = options.fit
        fit(output, *map(int, sizes), bool(int(with_virials)))
    else:
        with tempfile.TemporaryDirectory() as name:
            (growth if options.growth else compare)(Path(name), options.virials)
