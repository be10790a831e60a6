"""Registry of public data sets; to add one, edit this file only.

Only files that can be made from published files and verified have ``sources`` and a
``content_sha256``. All others must be placed in the data home by hand, as extended xyz.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DataFile:
    """One extended xyz file, compressed by xz, of a data set.

    ``sources`` are the paths, in the repository, of the extended xyz files it is made of in that
    order, with the forces under ``forces_key``; ``content_sha256`` is the `content_digest` of the
    result. Where it is not downloaded, ``upstream`` says in words what it was made of.
    """

    name: str
    subset: str
    upstream: str | None = None
    sources: tuple[str, ...] = ()
    content_sha256: str | None = None
    forces_key: str = "forces"


@dataclass(frozen=True)
class DataSet:
    """A data set made of files of one public repository at one commit (in full to download).

    ``train`` and ``test`` name the subsets that are the published split. If ``test`` is empty
    there is none, and a fifth of the frames, drawn with a fixed seed, is for testing.
    """

    title: str
    repository: str
    commit: str | None
    licence: str | None
    files: tuple[DataFile, ...]
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    notes: str = ""
    max_force: float | None = None
    isolated_energies: dict[str, float] = field(default_factory=dict)

    @property
    def source(self):
        """Where the set is published, as one line of text."""
        return f"https://github.com/{self.repository}" + (
            f" @ {self.commit}" if self.commit else ""
        )


def _mlearn(element):
    return DataSet(
        title=f"{element}, of the comparison of potentials by Zuo et al. (2020)",
        repository="materialsvirtuallab/mlearn",
        commit="10c427a5",
        licence="MIT",
        files=(
            DataFile(f"mlearn_{element}_train.extxyz.xz", "train", f"data/{element}/training.json"),
            DataFile(f"mlearn_{element}_test.extxyz.xz", "test", f"data/{element}/test.json"),
        ),
        train=("train",),
        test=("test",),
        notes=(
            "VASP, PBE: energies, forces and stresses, with the published split. The published "
            "stresses are in kB with an order of components that differs by element; the files "
            "read here hold them in ASE's convention. The training data of Cu are not at that "
            "commit; https://github.com/ACEsuit/ACEData has them."
        ),
    )


REGISTRY = {
    "mlearn_Cu": _mlearn("Cu"),
    "mlearn_Li": _mlearn("Li"),
    "mlearn_Si": _mlearn("Si"),
    "monbtaw": DataSet(
        title="Mo-Nb-Ta-W alloys",
        repository="materialsvirtuallab/maml",
        commit="f7c0b6f6",
        licence="BSD-3-Clause",
        files=(
            DataFile("maml_MoNbTaW_train.extxyz.xz", "train", "mvl_models/pes/MoNbTaW/training"),
            DataFile("maml_MoNbTaW_test.extxyz.xz", "test", "mvl_models/pes/MoNbTaW/training"),
        ),
        train=("train",),
        test=("test",),
        notes="VASP, PBE: energies, forces and stresses of elements, binaries and the alloy.",
    ),
    "ethanol": DataSet(
        title="Ethanol, of the BOTNet data sets",
        repository="davkovacs/BOTNet-datasets",
        commit="4a5ea06c3f514f24164428823ba1f5e2d2233b58",
        licence="MIT",
        files=(
            DataFile(
                "botnet_eth_train.extxyz.xz",
                "train",
                sources=("dataset_ethanol/train.xyz",),
                content_sha256=(
                    "3def59e51b97fe06ecabfe6c89c5778a1f97a748587a08498f24e96e076cde5a"
                ),
            ),
            DataFile(
                "botnet_eth_test_MD.extxyz.xz",
                "test",
                sources=("dataset_ethanol/test_MD.xyz",),
                content_sha256=(
                    "00be8b4663dc72a657771d9c06292db24bda717bc12b8557ede489b9ec69e7aa"
                ),
            ),
        ),
        train=("train",),
        test=("test",),
        notes="PBE: energies and forces of molecular dynamics.",
        isolated_energies={
            "H": -13.568422383046626, "C": -1025.2770951782686, "O": -2035.5709809589698,
        },
    ),
    "acetylacetone": DataSet(
        title="Acetylacetone, of the BOTNet data sets",
        repository="davkovacs/BOTNet-datasets",
        commit="4a5ea06c3f514f24164428823ba1f5e2d2233b58",
        licence="MIT",
        files=(
            DataFile(
                "acac_train_300K.extxyz.xz",
                "train_300K",
                sources=("dataset_acac/train_300K.xyz",),
                content_sha256=(
                    "1623676279ee57b63c25846d318199c0c79d3484a3b61404bc0eca0d66bb34fc"
                ),
            ),
            DataFile(
                "acac_test_MD_300K.extxyz.xz",
                "test_300K",
                sources=("dataset_acac/test_MD_300K.xyz",),
                content_sha256=(
                    "2c0e34e90ca65e11156cf3d5f4f301f6d9552e2ed90eea8feeefa2915e5d319b"
                ),
            ),
            DataFile(
                "acac_test_MD_600K.extxyz.xz",
                "test_600K",
                sources=("dataset_acac/test_MD_600K.xyz",),
                content_sha256=(
                    "e123861f02bbd189055127b61eea2e3b7259fa89f13ffb79171e0a16581f372b"
                ),
            ),
        ),
        train=("train_300K",),
        test=("test_300K", "test_600K"),
        notes="PBE-D3: energies and forces. Trained at 300 K, tested at 300 K and 600 K.",
        isolated_energies={
            "H": -13.568422178253735, "C": -1026.8538996116154, "O": -2037.796869412825,
        },
    ),
    "qm7": DataSet(
        title="QM7: molecules of H, C, N, O and S",
        repository="qmlcode/qml",
        commit="8bb833cd",
        licence="MIT",
        files=(
            DataFile("qm7_train5000.extxyz.xz", "train", "tests/qm7"),
            DataFile("qm7_test2101.extxyz.xz", "test", "tests/qm7"),
        ),
        train=("train",),
        test=("test",),
        notes="PBE0 atomisation energies, no forces.",
    ),
    "qm9_500": DataSet(
        title="500 molecules of QM9",
        repository="felixmusil/rascal_benchmarks",
        commit=None,
        licence=None,
        files=(DataFile("qm9_500_dHf.extxyz.xz", "all"),),
        notes="Energies only, paired with the structures of librascal by their order in the file.",
    ),
    "carbon_gap17": DataSet(
        title="Carbon: parts of the data of the potential C-GAP-17",
        repository="dft-dutoit/XPOT",
        commit="fcd88b97",
        licence="CC BY-NC-SA 4.0",
        files=(
            DataFile("cgap17_crystalline_train.extxyz.xz", "crystalline",
                     "examples/gap_C_XYZ/bulk_cryst_train.xyz"),
            DataFile("cgap17_highT_md.extxyz.xz", "melt",
                     "paper-data/JCP-2023/C-GAP-17/test-set-opt/test_sets/high_t_md_test.xyz"),
            DataFile("cgap17_dimers.extxyz.xz", "dimers",
                     "C-GAP-17 of https://github.com/jla-gardner/load-atoms @ 7971ae10"),
        ),
        notes=(
            "CASTEP, LDA: energies and forces. 400 crystals of 4 to 8 atoms, 147 snapshots of "
            "200 atoms at high temperature, and 30 points of the dimer's curve."
        ),
    ),
    "iron_gap22": DataSet(
        title="Iron: databases 9 to 12 of Fe-GAP22",
        repository="leiapple/Fe-GAP22",
        commit="99f2d848adf0b32ba749fa4627fc81e67ca1a931",
        licence="MIT",
        files=(
            DataFile(
                "fe_gap22_DB9-12.extxyz.xz",
                "all",
                sources=tuple(f"New_DBs/DB{number}.xyz" for number in (9, 10, 11, 12)),
                content_sha256=(
                    "5d5718fca10a1204378172cd2f597744e57d9c1d2883b78919127a82f735dd8a"
                ),
                forces_key="force",
            ),
        ),
        notes="Quantum ESPRESSO, PBE: energies, forces, and stresses where computed.",
    ),
    "hea25": DataSet(
        title="HEA25: alloys of 25 d-block elements",
        repository="abmazitov/torch_alchemical",
        commit="08e111a0",
        licence=None,
        files=(
            DataFile("hea25_sample100.extxyz.xz", "all", "a sample of 100 frames"),
        ),
        notes="PBEsol: energies, forces and stresses.",
        max_force=20.0,
    ),
    "jarvis_vacancy": DataSet(
        title="JARVIS vacancies: bulk and defective cells of 78 elements",
        repository="usnistgov/alignn",
        commit=None,
        licence=None,
        files=(DataFile("jarvis_vacancy_78el.extxyz.xz", "all"),),
        notes="Energies only.",
    ),
    "perov5": DataSet(
        title="Perov-5: perovskites of 56 elements, Castelli et al. (2012)",
        repository="gabeguo/cdvae_xrd",
        commit=None,
        licence="MIT",
        files=(
            DataFile("perov5_train.extxyz.xz", "train", "data/perov_5"),
            DataFile("perov5_test.extxyz.xz", "test", "data/perov_5"),
        ),
        train=("train",),
        test=("test",),
        notes=(
            "Formation energies per cell of five atoms, no forces. Of the 18928 perovskites that "
            "are published, two parts of a fifth each are used."
        ),
    ),
    "batio3": DataSet(
        title="Barium titanate",
        repository="lab-cosmo/atomistic-cookbook",
        commit="d50df712",
        licence="BSD-3-Clause",
        files=(DataFile("cosmo_BaTiO3_500.extxyz.xz", "all"),),
        notes="Energies and forces of 500 cells of 40 atoms.",
    ),
    "gaas": DataSet(
        title="Gallium arsenide",
        repository="lab-cosmo/atomistic-cookbook",
        commit="f542b2ace73bde311c294ae3963f4034c455d2c1",
        licence="BSD-3-Clause",
        files=(
            DataFile(
                "cosmo_GaAs_100.extxyz.xz",
                "all",
                sources=("examples/species_standardization/dataset/GaAs.xyz",),
                content_sha256=(
                    "c92bac4b12ef35ab0d64f6a4ce0c2e19aa8a8d338c480d034c6c93ba48ffe3a0"
                ),
            ),
        ),
        notes="Energies and forces. The compositions differ, so that energies need a baseline.",
    ),
}
