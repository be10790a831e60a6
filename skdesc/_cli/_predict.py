"""``skdesc predict``: write structures with predictions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from tqdm import tqdm

from ._console import Progress
from ._data import output_format, read_frames, write_frames
from ._models import check_folder, load_for_predictions

_ATOMS_PER_CHUNK = 2000
# names of results in ASE and this package, under which no reference data may remain
_RESULTS = (*all_properties, "virial", "energy_std", "forces_std")


def predict(args):
    """Write structures with predictions."""
    progress = Progress(args)
    check_folder(args.output)
    output_format(args.output)
    model = load_for_predictions(args)
    frames = read_frames(args)
    progress.say(f"read {len(frames)} structures")
    results = []
    for part, predicted in predict_in_chunks(model, frames, args):
        energies, forces, virials = predicted[0], predicted[-2], predicted[-1]
        for index, atoms in enumerate(part):
            copy = atoms.copy()
            found = {"energy": float(energies[index]), "forces": forces[index]}
            if copy.cell.rank == 3:
                found["stress"] = full_3x3_to_voigt_6_stress(
                    -virials[index] / copy.get_volume()
                )
            for key in _RESULTS:  # remove reference data, which would be mistaken for predictions
                copy.info.pop(key, None)
                copy.arrays.pop(key, None)
            if args.std:
                copy.info["energy_std"] = float(predicted[1][index])
            copy.calc = SinglePointCalculator(copy, **found)
            results.append(copy)
    write_frames(args.output, results)
    progress.say(f"wrote {args.output}")
    return 0


def predict_in_chunks(model, frames, args):
    """Yield structures with their energies, [standard deviations,] forces and virials."""
    ends = np.cumsum([len(atoms) for atoms in frames]) // _ATOMS_PER_CHUNK
    starts = [*np.flatnonzero(np.diff(ends, prepend=-1)), len(frames)]
    with tqdm(total=len(frames), unit="structure", disable=args.quiet) as bar:
        for start, stop in pairwise(starts):
            part = frames[start:stop]
            yield part, model.predict(
                part, return_std=args.std, return_forces=True, return_virials=True
            )
            bar.update(len(part))
