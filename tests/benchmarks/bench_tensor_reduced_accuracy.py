"""Test error against number of features: full, compressed, random and learned descriptors.

python tests/benchmarks/bench_tensor_reduced_accuracy.py [perov5 monbtaw qm7] [--train 1500]
    [--test 1500] [--seeds 3] [--gap 0] [--only WORD ...]

Data are those of ``skdesc.datasets.fetch_*``. Energies per atom are modeled by a term for the
composition and a ridge regression on the features averaged over the atoms of a structure; the
ridge parameter is chosen by leave-one-out errors of the training set. A seed chooses structures and
weights; errors are medians over seeds, with the least and the largest. With --gap, sparse Gaussian
processes with that many sparse points per element are fitted to the energies too. --only takes
candidates that have one of the words in their name.
"""

import argparse
import time

import numpy as np
from scipy import sparse
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, TensorReducedTransformer, datasets

COMMON = {"cutoff": 5.0, "n_max": 6, "l_max": 4, "atom_sigma": 0.5}
BATCH = 100
ALPHAS = np.logspace(-8, 2, 31)


class Data:
    """Training and test structures of a set, their energies per atom and compositions."""

    def __init__(self, name, n_train, n_test, seed):
        found = getattr(datasets, f"fetch_{name}")()
        rng = np.random.default_rng(seed)
        rows = [rng.permutation(found.train)[:n_train], rng.permutation(found.test)[:n_test]]
        self.frames = [found.frames[index] for part in rows for index in part]
        self.n_train = len(rows[0])
        self.n_atoms = np.array([len(atoms) for atoms in self.frames])
        self.y = np.asarray(found.energies)[np.concatenate(rows)] / self.n_atoms
        self.species = np.unique(np.concatenate([atoms.numbers for atoms in self.frames]))
        self.composition = np.array([
            np.bincount(np.searchsorted(self.species, atoms.numbers), minlength=len(self.species))
            / len(atoms) for atoms in self.frames
        ])
        own = self.composition[: self.n_train]
        ridge = 1e-8 * np.eye(len(self.species))
        self.solver = np.linalg.solve(own.T @ own + ridge, own.T)
        self.rest = self.y - self.composition @ (self.solver @ self.y[: self.n_train])

    def features(self, transformer):
        """Mean features; sparse, where most of them are zero, and then as a Gram matrix."""
        train = self.frames[: self.n_train]
        transformer.fit(train, (self.y * self.n_atoms)[: self.n_train])
        batches = [transformer.transform(self.frames[start : start + BATCH])
                   for start in range(0, len(self.frames), BATCH)]
        if batches[0].shape[1] < 3000:
            F = np.concatenate(batches)
            return F - self.composition @ (self.solver @ F[: self.n_train])
        F = sparse.vstack([sparse.csr_array(batch) for batch in batches]).tocsr()
        gram = (F @ F[: self.n_train].T).toarray()
        # the composition taken out of the columns, on both sides
        gram -= self.composition @ (self.solver @ gram[: self.n_train])
        own = self.composition[: self.n_train]
        gram -= (gram @ self.solver.T) @ own.T
        # coordinates with the same scalar products, those of the training structures in full
        values, vectors = np.linalg.eigh(gram[: self.n_train])
        kept = values > 1e-13 * values[-1]
        return gram @ (vectors[:, kept] / np.sqrt(values[kept]))

    def ridge(self, transformer):
        """Root mean square test error in meV per atom of a ridge regression."""
        F = self.features(transformer)
        F /= np.sqrt((F[: self.n_train] ** 2).mean() * F.shape[1])
        y = self.rest[: self.n_train]
        u, s, vt = np.linalg.svd(F[: self.n_train], full_matrices=False)
        # leave-one-out errors of the composition and the features together; structures that
        # alone determine a term of the composition tell nothing
        left = 1 - np.einsum("is,si->i", self.composition[: self.n_train], self.solver)
        telling = left > 0.01
        best = (np.inf, None)
        for alpha in ALPHAS:
            kept = s**2 / (s**2 + alpha)
            residual = y - u @ (kept * (u.T @ y))
            out = (residual / (left - (u**2) @ kept))[telling]
            best = min(best, ((out**2).mean(), alpha))
        coefficients = vt.T @ (s / (s**2 + best[1]) * (u.T @ y))
        errors = self.rest[self.n_train :] - F[self.n_train :] @ coefficients
        return 1e3 * np.sqrt((errors**2).mean())

    def gap(self, transformer, n_sparse):
        """The same for a sparse Gaussian process of the energies."""
        y, cut = self.y * self.n_atoms, self.n_train
        transformer = transformer.set_params(pooling=None)
        model = make_pipeline(
            transformer, GAPRegressor(n_sparse=n_sparse, zeta=2, random_state=0)
        ).fit(self.frames[:cut], y[:cut])
        predicted = np.concatenate([
            model.predict(self.frames[start : start + BATCH])
            for start in range(cut, len(self.frames), BATCH)
        ])
        return 1e3 * np.sqrt((((predicted - y[cut:]) / self.n_atoms[cut:]) ** 2).mean())


def soap(species, compression):
    return SOAPTransformer(species, **COMMON, compression=compression, pooling="mean")


def candidates(species, seed):
    """Label and transformer of all that are compared."""

    def reduced(species, k, **changes):
        return TensorReducedTransformer(
            species, **COMMON, n_channels=k, random_state=seed, pooling="mean", **changes
        )

    for compression in (None, "mu1nu1", "mu2"):
        yield f"full, {compression}", soap(species, compression)
    for scheme in ("sketch", "decomposition"):
        for k in (16, 64, 256, 512):
            yield f"{scheme}, K={k}", reduced(species, k, scheme=scheme)
    for k in (2, 4, 8, 16, 32):
        yield f"learned, K={k}", reduced(species, k, scheme="decomposition", weights="learned")
    for scheme in ("sketch", "decomposition"):
        for k in (16, 64):
            yield f"{scheme}, order 3, K={k}", reduced(
                species, k, scheme=scheme, correlation_order=3)
    for k in (4, 8):
        yield f"learned, order 3, K={k}", reduced(
            species, k, scheme="decomposition", weights="learned", correlation_order=3)


def report(name, n_train, n_test, n_seeds, n_sparse, words):
    sets = [Data(name, n_train, n_test, seed) for seed in range(n_seeds)]
    baseline = [1e3 * np.sqrt((data.rest[data.n_train :] ** 2).mean()) for data in sets]
    first = sets[0]
    print(f"\n{name}: {first.n_train} training and {len(first.frames) - first.n_train} test "
          f"structures, {len(first.species)} elements; composition alone {spread(baseline)} "
          "meV/atom")
    for variants in zip(
        *(candidates(data.species, seed) for seed, data in enumerate(sets)), strict=True
    ):
        label = variants[0][0]
        if not words or any(word in label for word in words):
            descriptors = [descriptor for _, descriptor in variants]
            print(f"{label:24s} {errors_of(sets, descriptors, n_sparse)}", flush=True)


def errors_of(sets, descriptors, n_sparse):
    """Number of features, errors, and processor time of one descriptor for each set."""
    start = time.process_time()
    pairs = list(zip(sets, descriptors, strict=True))
    line = spread([data.ridge(descriptor) for data, descriptor in pairs])
    n_features = descriptors[0].n_features_out_
    if n_sparse and n_features < 10_000:
        line += f"  GAP {spread([data.gap(descriptor, n_sparse) for data, descriptor in pairs])}"
    return f"{n_features:9d}  {line}  {time.process_time() - start:6.0f} s"


def spread(errors):
    return f"{np.median(errors):7.1f} ({min(errors):.1f} to {max(errors):.1f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=["perov5", "monbtaw", "qm7"])
    parser.add_argument("--train", type=int, default=1500)
    parser.add_argument("--test", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--gap", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    for one in arguments.sets:
        report(one, arguments.train, arguments.test, arguments.seeds, arguments.gap,
               arguments.only)
