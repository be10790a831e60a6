"""SOAP power spectra against dscribe, featomic and quippy, measured in the same process.

python tests/benchmarks/bench_soap.py [--systems si216 ...] [--parameters A B] [--threads 1 2]

Values include the neighbor list and the reading of the Atoms, for every package. Gradients are
explicit Jacobians by positions; `adjoint` is dE/dr from a given dE/dp. Times are medians of
interleaved rounds, in microseconds per atom; ratios are peer / skdesc.
"""

import argparse
import os
import subprocess
import sys

import numpy as np
from systems import SYSTEMS, interleaved, machine
from threadpoolctl import threadpool_limits

from skdesc import SOAPTransformer
from skdesc.invariants._environments import neighborhoods

PARAMETERS = {
    "A": {"cutoff": 5.0, "n_max": 8, "l_max": 6, "atom_sigma": 0.5},
    "B": {"cutoff": 6.0, "n_max": 12, "l_max": 9, "atom_sigma": 0.5},
}
LONGEST_GRADIENT = 17_000
"""Features above which quippy's and dscribe's Jacobians take minutes or all memory."""


def dscribe_values(frames, p, n_threads):
    from dscribe.descriptors import SOAP

    periodic = bool(frames[0].pbc.any())
    species = sorted({symbol for atoms in frames for symbol in atoms.symbols})
    soap = SOAP(species=species, r_cut=p["cutoff"], n_max=p["n_max"], l_max=p["l_max"],
                sigma=p["atom_sigma"], periodic=periodic, rbf="gto")
    return lambda: soap.create(frames, n_jobs=n_threads if len(frames) > 1 else 1)


def featomic_calculator(p):
    import featomic

    return featomic.SoapPowerSpectrum(
        cutoff={"radius": p["cutoff"], "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        density={"type": "Gaussian", "width": p["atom_sigma"]},
        basis={"type": "TensorProduct", "max_angular": p["l_max"],
               "radial": {"type": "Gto", "max_radial": p["n_max"] - 1}},
    )


def quippy_descriptor(frames, p):
    from quippy.descriptors import Descriptor

    numbers = sorted({int(z) for atoms in frames for z in atoms.numbers})
    listed = "{" + " ".join(map(str, numbers)) + "}"
    return Descriptor(
        f"soap cutoff={p['cutoff']} n_max={p['n_max']} l_max={p['l_max']} "
        f"atom_sigma={p['atom_sigma']} cutoff_transition_width=0.5 radial_basis=GTO "
        f"n_species={len(numbers)} species_Z={listed} n_Z={len(numbers)} Z={listed}"
    )


def quippy_frames(frames):
    """quippy needs a cell; molecules get a large one."""
    result = []
    for atoms in frames:
        copy = atoms.copy()
        if not copy.cell.any():
            copy.set_cell(np.ptp(copy.positions, axis=0) + 30)
        result.append(copy)
    return result


def floors(frames, p, features, flops, fresh):
    """Microseconds per atom of the products at peak, and of writing the output once."""
    n_lm, n = (p["l_max"] + 1) ** 2, p["n_max"]
    count = sum(map(len, frames))
    soap = SOAPTransformer(**p).fit(frames)
    batches = neighborhoods(
        soap._descriptor, features.structures, features.centers, features.offsets
    )
    neighbors = sum(len(batch.pairs().neighbor) for batch in batches) / count
    channels = np.sqrt(2 * features.values.shape[1] / (p["l_max"] + 1))
    work = 2 * (neighbors * n_lm * n + n_lm * channels**2 / 2)
    return 1e6 * work / flops, 1e6 * 8 * features.values.shape[1] / fresh, neighbors


OF_FEW = ("jacobian", "featomic gradients", "quippy gradients")
"""What is measured with the first 50 structures only."""


def make_calls(frames, few, p, n_threads):
    """Functions to measure by name, and the features."""
    soap = SOAPTransformer(**p, n_jobs=n_threads).fit(frames)
    features = soap.transform(frames)
    n_features = features.values.shape[1]
    g = np.random.default_rng(0).normal(size=features.values.shape)
    featomic = featomic_calculator(p)
    calls = {
        "skdesc": lambda: soap.transform(frames),
        "adjoint": lambda: features.vjp(g),
        "dscribe": dscribe_values(frames, p, n_threads),
        "featomic": lambda: featomic.compute(frames),
    }
    if n_threads == 1:
        descriptor, boxed = quippy_descriptor(frames, p), quippy_frames(frames)
        calls["quippy"] = lambda: [descriptor.calc(atoms) for atoms in boxed]
        if p is PARAMETERS["A"]:
            calls["jacobian"] = lambda: soap.transform(few).jacobian()
            calls["featomic gradients"] = lambda: featomic.compute(few, gradients=["positions"])
            if n_features < LONGEST_GRADIENT:
                calls["quippy gradients"] = lambda: [descriptor.calc(atoms, grad=True)
                                                     for atoms in boxed[: len(few)]]
    return calls, features


def measure(name, frames, p, n_threads, rounds, ceilings):
    few = frames[:50]
    calls, features = make_calls(frames, few, p, n_threads)
    n_features = features.values.shape[1]
    times = {
        key: 1e6 * value / sum(map(len, few if key in OF_FEW else frames))
        for key, value in interleaved(calls, rounds).items()
    }
    peers = {key: times[key] for key in ("dscribe", "featomic", "quippy") if key in times}
    fastest = min(peers, key=peers.get)
    compute, write, neighbors = floors(frames, p, features, *ceilings)
    line = (f"{name:11s} {n_threads} {n_features:7d} {neighbors:5.1f} {times['skdesc']:8.2f} "
            f"{compute:6.2f} {write:7.2f} " + " ".join(
                f"{peers.get(key, np.nan):9.1f}" for key in ("dscribe", "featomic", "quippy"))
            + f" {peers[fastest] / times['skdesc']:7.1f} {times['adjoint']:8.2f} "
            f"{(times['adjoint']) / times['skdesc']:6.2f}")
    if "jacobian" in times:
        gradients = min(times[key] for key in OF_FEW[1:] if key in times)
        line += (f" {gradients / times['adjoint']:8.0f} {times['jacobian']:8.1f} "
                 f"{times['featomic gradients']:9.1f} "
                 f"{times['featomic gradients'] / times['jacobian']:7.1f}")
    print(line, flush=True)


MEMORY = """
import resource, sys
sys.path[:0] = {path!r}
from bench_soap import PARAMETERS, SYSTEMS, featomic_calculator
from skdesc import SOAPTransformer
frames = SYSTEMS[{name!r}]()[:100] * {copies}
soap = SOAPTransformer(**PARAMETERS["A"], n_jobs=1).fit(frames)
featomic = featomic_calculator(PARAMETERS["A"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = {call}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def peak_megabytes(name, call, copies=1):
    """Peak memory that a call adds in a fresh process."""
    code = MEMORY.format(path=sys.path, name=name, call=call, copies=copies)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return float(result.stdout) if result.returncode == 0 else np.nan


def report_memory(names):
    print("\npeak memory in MB: output of values, its measured peak, the same for 10x the "
          "structures; Jacobian, featomic's gradients")
    for name in names:
        frames = SYSTEMS[name]()[:100]
        soap = SOAPTransformer(**PARAMETERS["A"]).fit(frames)
        output = 8 * sum(map(len, frames)) * soap.n_features_out_ / 2**20
        values = [peak_megabytes(name, "soap.transform(frames)", copies) for copies in (1, 10)]
        jacobians = [
            peak_megabytes(name, "soap.transform(frames).jacobian()"),
            peak_megabytes(name, "featomic.compute(frames, gradients=['positions'])"),
        ]
        print(f"{name:11s} {output:8.1f} {values[0]:8.1f} {values[1]:8.1f} "
              f"{jacobians[0]:8.1f} {jacobians[1]:8.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--parameters", nargs="*", default=["A", "B"], choices=list(PARAMETERS))
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead")
    options = parser.parse_args()
    if options.memory:
        report_memory(options.systems)
        return
    # featomic asks once, when it is first used, for the threads that its loops may have
    os.environ["RAYON_NUM_THREADS"] = str(max(options.threads))
    with threadpool_limits(1):
        ceilings = machine()
        print(f"peak {ceilings[0] / 1e9:.0f} GFLOP/s, fresh memory {ceilings[1] / 1e9:.1f} GB/s, "
              "one thread; microseconds per atom")
        for key in options.parameters:
            print(f"\nparameters {key}: {PARAMETERS[key]}")
            print("system      T  features    nb   skdesc  flops   bytes   dscribe  featomic    "
                  "quippy fastest  adjoint  /value  /peer's jacobian  featomic   ratio")
            for name in options.systems:
                frames = SYSTEMS[name]()
                for n_threads in options.threads:
                    measure(name, frames, PARAMETERS[key], n_threads, options.rounds, ceilings)


if __name__ == "__main__":
    main()
