"""Figures of others, to compare with.

In meV per atom and meV/angstrom, unless said otherwise. Sources: the tables of Zuo et al., J. Phys.
Chem. A 124, 731 (2020), where mean absolute or root mean square is not certain; figures marked ~
are as quoted in secondary sources.
"""

PUBLISHED = {
    "Cu": "GAP 0.46; 10, MTP 0.41",
    "Li": "GAP 0.49; 10, MTP 0.49",
    "Si": "GAP 2.91; 70, MTP 2.21",
    "MoNbTaW": "SNAP MAE ~5.1; ~140",
    "ethanol": "rMD17 MAE: GAP ~0.39; ~18.1, ACE ~0.13; ~7.3",
    "acetylacetone": "RMSE at 300 K: MACE ~0.06; ~5.1, BOTNet ~0.06; ~6.3",
    "qm7": "MAE of SOAP kernels ~1 kcal/mol per molecule",
}
# beginnings of the names of training files
FILES = {
    "mlearn_Cu": "Cu",
    "mlearn_Li": "Li",
    "mlearn_Si": "Si",
    "maml_MoNbTaW": "MoNbTaW",
    "botnet_eth": "ethanol",
    "acac": "acetylacetone",
    "qm7": "qm7",
}
