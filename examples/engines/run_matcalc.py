"""
matcalc: elastic constants, equation of state
=============================================

matcalc computes properties of materials with any ASE calculator.
"""

import warnings

from ase.build import bulk
from copper import potential
from matcalc import ElasticityCalc, EOSCalc
from pymatgen.io.ase import AseAtomsAdaptor

from skdesc.calculator import SkdescCalculator


def main():
    """Return the bulk modulus by strains and by the equation of state, in GPa."""
    calculator = SkdescCalculator(potential())
    structure = AseAtomsAdaptor.get_structure(bulk("Cu", cubic=True))
    with warnings.catch_warnings():
        # components that vanish by symmetry are no straight lines
        warnings.filterwarnings("ignore", message="Elastic strain-stress", category=RuntimeWarning)
        elastic = ElasticityCalc(calculator, fmax=1e-3).calc(structure)
    state = EOSCalc(calculator, fmax=1e-3, max_abs_strain=0.03).calc(structure)
    by_strains = elastic["bulk_modulus_vrh"] * 160.21766208  # from eV/angstrom^3
    by_volume = state["bulk_modulus_bm"]
    print(f"bulk modulus {by_strains:.0f} GPa by strains, {by_volume:.0f} GPa by volumes")
    return by_strains, by_volume


if __name__ == "__main__":
    main()
