"""
OpenMM: dynamics with a force in Python
=======================================

:func:`skdesc.openmm.make_force` returns a ``PythonForce``, which is added to a system like any
other. Integrators, thermostats, barostats and reporters of OpenMM do the rest.
"""

import openmm
from ase.build import bulk
from copper import potential
from openmm import unit

from skdesc.openmm import make_force


def main(steps=100):
    """Run dynamics at constant temperature; return the last structure, energy and forces."""
    atoms = bulk("Cu", cubic=True) * (3, 3, 3)
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    system.setDefaultPeriodicBoxVectors(*(atoms.cell.array * unit.angstrom))
    system.addForce(make_force(potential(), atoms.symbols))
    integrator = openmm.LangevinMiddleIntegrator(300, 1 / unit.picosecond, 2 * unit.femtosecond)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatform("Reference"))
    context.setPositions(atoms.positions * unit.angstrom)
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(steps)
    state = context.getState(positions=True, energy=True, forces=True)
    atoms.positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    energy = state.getPotentialEnergy() / unit.MOLAR_GAS_CONSTANT_R  # in kelvin
    print(f"{len(atoms)} atoms: potential energy {energy / unit.kelvin:.0f} K after {steps} steps")
    return atoms, state


if __name__ == "__main__":
    main()
