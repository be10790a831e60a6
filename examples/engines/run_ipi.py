"""
i-PI: path integrals in one process
===================================

i-PI loads the file of ``skdesc.ipi_driver`` as a driver of its own kind, without a socket. Here
four beads stand for the quantum nature of each copper atom.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase.build import bulk
from ase.io import write
from copper import potential

import skdesc.ipi_driver
from skdesc.io import save

INPUT = """
<simulation verbosity="quiet">
  <output prefix="run">
    <properties stride="1"> [step, conserved{electronvolt}, potential{electronvolt}] </properties>
    <trajectory filename="positions" stride="10" format="ase"> positions </trajectory>
  </output>
  <total_steps> STEPS </total_steps>
  <prng> <seed> 1 </seed> </prng>
  <ffdirect name="skdesc">
    <pes> custom </pes>
    <pes_path> DRIVER </pes_path>
    <parameters> { template: start.extxyz, model: copper.skd } </parameters>
  </ffdirect>
  <system>
    <initialize nbeads="4">
      <file mode="ase"> start.extxyz </file>
      <velocities mode="thermal" units="kelvin"> 300 </velocities>
    </initialize>
    <forces> <force forcefield="skdesc"> </force> </forces>
    <ensemble> <temperature units="kelvin"> 300 </temperature> </ensemble>
    <motion mode="dynamics">
      <dynamics mode="nve"> <timestep units="femtosecond"> 1.0 </timestep> </dynamics>
    </motion>
  </system>
</simulation>
"""


def main(steps=20, folder=None):
    """Run dynamics of a ring polymer; return conserved quantity and potential of each step."""
    with TemporaryDirectory() as temporary:
        folder = Path(folder or temporary)
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        atoms.rattle(0.02, seed=1)
        write(folder / "start.extxyz", atoms)
        save(potential(), folder / "copper.skd")
        text = INPUT.replace("DRIVER", skdesc.ipi_driver.__file__).replace("STEPS", str(steps))
        (folder / "input.xml").write_text(text)
        program = Path(sys.executable).with_name("i-pi")
        subprocess.run([program, "input.xml"], cwd=folder, check=True)
        table = np.loadtxt(folder / "run.out")
    drift = np.ptp(table[:, 1])
    print(f"4 beads of {len(atoms)} atoms: conserved quantity within {drift:.1e} eV")
    return table


if __name__ == "__main__":
    main()
