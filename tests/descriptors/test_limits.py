"""Memory is known beforehand, bounded and refused; long work can be interrupted."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from helpers.memory import peak_of
from helpers.systems import distorted_gaas

from skdesc import SOAPTransformer, TensorReducedTransformer
from skdesc.utils import memory

CASES = [
    ("one crystal", [bulk("Cu", cubic=True).repeat(3)], {}),
    ("many molecules", [molecule("CH3OH"), molecule("H2CO")] * 150, {}),
    ("pooled", [distorted_gaas()] * 60, {"pooling": "mean"}),
    ("inner", [distorted_gaas()] * 60, {"pooling": "inner"}),
    ("one atom each", [Atoms("H", [(0, 0, 0)])] * 600, {"pooling": "mean"}),
    ("one atom each, inner", [bulk("Cu")] * 520, {"pooling": "inner"}),
    ("slabs in vacuum", [fcc111("Cu", (2, 2, 4), vacuum=25.0, periodic=True)] * 20, {}),
    ("some centers", [distorted_gaas()] * 60, {"centers": ["Ga"], "dtype": "float32"}),
]


@pytest.mark.parametrize(("frames", "parameters"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])
@pytest.mark.parametrize("transformer", [SOAPTransformer, TensorReducedTransformer])
def test_estimates_of_memory(transformer, frames, parameters):
    """At least what is taken, and not far more; the part beside the output does not grow."""
    soap = transformer(n_max=6, l_max=4, **parameters).fit(frames)
    estimate = soap.memory_estimate(frames)
    taken = peak_of(lambda: soap.transform(frames))
    assert taken < estimate < 3 * taken + 20e6
    more = frames * 4
    taken_by_more = peak_of(lambda: soap.transform(more))
    n_rows = len(frames)
    if soap.pooling is None:
        n_rows = len(soap.transform(frames).values)
    output = n_rows * soap.n_features_out_ * np.dtype(soap.dtype).itemsize
    assert soap.memory_estimate(more) - estimate <= 3 * output + 20e6
    arrays = 120 * sum(map(len, more))  # the structures themselves, and which atoms are theirs
    batch = soap._descriptor.batch_bytes(soap._locate(more)[0], soap.pooling)
    assert taken_by_more < 4 * output + arrays + batch


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_what_does_not_fit_is_refused_at_once(monkeypatch, pooling):
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000)
    soap = SOAPTransformer(n_max=4, l_max=3, pooling=pooling).fit([molecule("CH4")])
    frames = [molecule("CH4")] * 20
    match = (r"rows of \d+ features in float64 need .* GB, but this machine has .*; lower n_max "
             r"or l_max, use compression, fewer centers, dtype='float32' or pooling, or "
             r"transform fewer structures at a time; memory_estimate\(X\)")
    with pytest.raises(ValueError, match=match):
        soap.transform(frames)
    assert soap.memory_estimate(frames) > 10_000


def test_size_is_known_before_anything_is_computed():
    soap = SOAPTransformer(species=range(1, 60), n_max=12, l_max=9, radial_basis="laplacian")
    soap.fit([molecule("CH4")])
    channels = 59 * 12
    assert soap.n_features_out_ == 10 * channels * (channels + 1) // 2
    assert soap.memory_estimate([molecule("CH4")] * 1000) > 5000 * 8 * soap.n_features_out_


PROGRAM = """
import sys
import numpy as np
from ase import Atoms
from skdesc import SOAPTransformer

rng = np.random.default_rng(0)
n = 60_000 if sys.argv[1] == "one" else 40
grid = np.stack(np.meshgrid(*[np.arange(40)] * 3), -1).reshape(-1, 3)[:n]
atoms = Atoms(rng.integers(1, 9, n), 2.2 * grid + rng.uniform(-0.1, 0.1, (n, 3)))
frames = [atoms] * (60_000 // n)
soap = SOAPTransformer(n_max=12, l_max=10, cutoff=4.5, pooling="sum").fit(frames[:1])
small = atoms[:5]
before = soap.transform([small])
print("ready", flush=True)
try:
    soap.transform(frames)
    print("finished", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    assert (soap.transform([small]) == before).all()
    print("alive", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("kind", ["one", "many"])
def test_interrupts(kind):
    """Of one huge structure and of many, long before they are done; all works afterwards."""
    command = [sys.executable, "-c", PROGRAM, kind]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.7)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.stdout.readline() == "alive\n"
        assert child.wait(timeout=60) == 0
    finally:
        child.kill()
        child.stdout.close()
