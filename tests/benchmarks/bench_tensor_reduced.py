"""Tensor-reduced descriptors: cost against the number of elements, the order, and peers.

python tests/benchmarks/bench_tensor_reduced.py [--rounds 5] [--no-peers]

Face-centered cubic alloys of 108 atoms with 4, 25 and 78 elements; cutoff 5, n_max 8. Values
include the neighbor list and the reading of the Atoms, for every package; the adjoint is dE/dr
from a given dE/d(features). Times are medians of interleaved rounds on one thread, in
microseconds per atom.
"""

import argparse

import numpy as np
from bench_soap import PARAMETERS, dscribe_values, featomic_calculator
from systems import ALLOY, alloy, interleaved
from threadpoolctl import threadpool_limits

from skdesc import SOAPTransformer, TensorReducedTransformer

N_CHANNELS = 64


def many_elements():
    """78 elements: those of the alloy, and more of the periodic table."""
    from ase.data import chemical_symbols

    atoms = alloy(25)[0]
    names = ALLOY + [name for name in chemical_symbols[1:84] if name not in ALLOY][:53]
    assert len(set(names)) == 78
    symbols = np.array([names[index % 78] for index in range(len(atoms))])
    np.random.RandomState(0).shuffle(symbols)
    atoms.symbols = symbols
    return [atoms]


ALLOYS = {4: lambda: alloy(4), 25: lambda: alloy(25), 78: many_elements}


def reduced(frames, **changes):
    """A fitted transformer, its features and a cotangent."""
    parameters = {"n_channels": N_CHANNELS, "random_state": 0, "n_jobs": 1, **changes}
    transformer = TensorReducedTransformer(**parameters).fit(frames)
    features = transformer.transform(frames)
    return transformer, features, np.random.default_rng(0).normal(size=features.values.shape)


def against_elements(rounds):
    print(f"\norder 2, K = {N_CHANNELS}, l_max 6: time against the number of elements")
    print("scheme          what       features " + " ".join(f"{s:>7d} el." for s in ALLOYS)
          + "  largest / 4 el.")
    for scheme in ("sketch", "decomposition"):
        calls, sizes = {}, set()
        for s, make in ALLOYS.items():
            frames = make()
            transformer, features, g = reduced(frames, scheme=scheme)
            sizes.add(features.values.shape[1])
            calls["values", s] = lambda t=transformer, f=frames: t.transform(f)
            calls["adjoint", s] = lambda f=features, g=g: f.vjp(g)
        assert sizes == {N_CHANNELS * 7}
        times = interleaved(calls, rounds)
        for what in ("values", "adjoint"):
            row = [1e6 * times[what, s] / 108 for s in ALLOYS]
            print(f"{scheme:15s} {what:10s} {max(sizes):8d} "
                  + " ".join(f"{t:11.1f}" for t in row) + f"  {max(row) / row[0]:8.2f}")


def against_order(rounds):
    print(f"\nK = {N_CHANNELS}, l_max 4, 25 elements: time against the order")
    print("scheme          order features   values  ratio  adjoint  ratio")
    frames = alloy(25)
    for scheme in ("sketch", "decomposition"):
        calls, sizes = {}, {}
        for order in (2, 3, 4):
            transformer, features, g = reduced(
                frames, scheme=scheme, correlation_order=order, l_max=4
            )
            sizes[order] = features.values.shape[1]
            calls["values", order] = lambda t=transformer: t.transform(frames)
            calls["adjoint", order] = lambda f=features, g=g: f.vjp(g)
        times = {key: 1e6 * value / 108 for key, value in interleaved(calls, rounds).items()}
        for order in (2, 3, 4):
            values, adjoint = times["values", order], times["adjoint", order]
            print(f"{scheme:15s} {order:5d} {sizes[order]:8d} {values:8.1f} "
                  f"{values / times['values', 2]:6.2f} {adjoint:8.1f} "
                  f"{adjoint / times['adjoint', 2]:6.2f}")


def against_peers(rounds):
    from quippy.descriptors import Descriptor

    frames = alloy(25)
    p = PARAMETERS["A"]
    transformer, *_ = reduced(frames)
    soap = SOAPTransformer(**p, n_jobs=1).fit(frames)
    numbers = sorted({int(z) for z in frames[0].numbers})
    listed = "{" + " ".join(map(str, numbers)) + "}"
    mixed = Descriptor(
        f"soap cutoff={p['cutoff']} n_max={p['n_max']} l_max={p['l_max']} "
        f"atom_sigma={p['atom_sigma']} cutoff_transition_width=0.5 n_species={len(numbers)} "
        f"species_Z={listed} n_Z={len(numbers)} Z={listed} R_mix=T Z_mix=T sym_mix=F "
        f"coupling=F K={N_CHANNELS}"
    )
    featomic = featomic_calculator(p)
    calls = {
        "skdesc, tensor-reduced": lambda: transformer.transform(frames),
        "skdesc, full": lambda: soap.transform(frames),
        "dscribe, full": dscribe_values(frames, p, 1),
        "featomic, full": lambda: featomic.compute(frames),
        "quippy, tensor-reduced": lambda: [mixed.calc(atoms) for atoms in frames],
    }
    times = interleaved(calls, rounds)
    print(f"\n25 elements, order 2, K = {N_CHANNELS}, l_max 6: values against peers")
    for name, value in times.items():
        print(f"{name:24s} {1e6 * value / 108:10.1f}  "
              f"{value / times['skdesc, tensor-reduced']:8.1f} times")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        against_elements(arguments.rounds)
        against_order(arguments.rounds)
        if not arguments.no_peers:
            against_peers(arguments.rounds)
