"""Small outputs of programs, as short as ASE takes them, written for these tests."""

OUTCAR = """ vasp.6.4.2 20Jul23 complex
 POTCAR:    PAW_PBE Cu 22Jun2005
   VRHFIN =Cu: d10 p1
   k-points           NKPTS =      1   k-points in BZ   number of bands    NBANDS=      9
   ions per type =               2
   ISPIN  =      1    spin polarized calculation?
 k-points in reciprocal lattice and weights: Automatic mesh
   0.00000000  0.00000000  0.00000000       1.000

-------------------- Iteration      1(   1)  --------------------
"""
STEP = """
-------------------- Iteration      1(   1)  --------------------

  FORCE on cell =-STRESS in cart. coord.  units (eV):
  Total       0.50000     0.25000     0.12500     0.10000     0.20000     0.30000
  in kB      16.02177     8.01088     4.00544     3.20435     6.40871     9.61306
  external pressure =        9.35 kB  Pullay stress =        0.00 kB

      direct lattice vectors                 reciprocal lattice vectors
     3.600000000  0.000000000  0.000000000     0.277777778  0.000000000  0.000000000
     0.000000000  3.600000000  0.000000000     0.000000000  0.277777778  0.000000000
     0.000000000  0.000000000  3.600000000     0.000000000  0.000000000  0.277777778

 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         0.010000      0.020000     -0.030000
      0.00000      1.90000      1.80000        -0.010000     -0.020000      0.030000
 -----------------------------------------------------------------------------------
    total drift:                                0.000000      0.000000      0.000000

  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =        -7.45000000 eV

  energy  without entropy=       -7.44000000  energy(sigma->0) =       -7.44500000

"""
XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="program" type="string">vasp </i></generator>
 <atominfo>
  <atoms> 2 </atoms>
  <array name="atoms" ><set>
    <rc><c>Cu</c><c> 1</c></rc>
    <rc><c>Cu</c><c> 1</c></rc>
  </set></array>
 </atominfo>
 <kpoints><varray name="kpointlist" ><v> 0.0 0.0 0.0 </v></varray>
  <varray name="weights" ><v> 1.0 </v></varray></kpoints>
 <structure name="initialpos" >
  <crystal><varray name="basis" >
    <v> 3.6 0.0 0.0 </v><v> 0.0 3.6 0.0 </v><v> 0.0 0.0 3.6 </v>
  </varray></crystal>
  <varray name="positions" ><v> 0.0 0.0 0.0 </v><v> 0.0 0.5 0.5 </v></varray>
 </structure>
%s
</modeling>
"""
CALC = """ <calculation>
  <scstep><energy><i name="e_fr_energy">-7.45</i><i name="e_wo_entrp">-7.44</i>
  <i name="e_0_energy">-7.445</i></energy></scstep>
  <structure>
   <crystal><varray name="basis" >
    <v> 3.6 0.0 0.0 </v><v> 0.0 3.6 0.0 </v><v> 0.0 0.0 3.6 </v>
   </varray></crystal>
   <varray name="positions" ><v> 0.0 0.0 0.0 </v><v> 0.0 0.52777778 0.5 </v></varray>
  </structure>
  <varray name="forces" ><v> 0.01 0.02 -0.03 </v><v> -0.01 -0.02 0.03 </v></varray>
  <varray name="stress" ><v> 16.02177 3.0 1.0 </v><v> 3.0 8.01088 2.0 </v>
  <v> 1.0 2.0 4.00544 </v></varray>
  <energy><i name="e_fr_energy">-7.45</i><i name="e_wo_entrp">-7.44</i>
  <i name="e_0_energy">-7.445</i></energy>
 </calculation>
"""
PWO = """
     Program PWSCF v.7.2 starts on 26Nov2026 at 12: 0: 0

     bravais-lattice index     =            0
     lattice parameter (alat)  =       6.8030  a.u.
     unit-cell volume          =     314.8500 (a.u.)^3
     number of atoms/cell      =            2
     number of atomic types    =            1

     celldm(1)=   6.803014  celldm(2)=   0.000000  celldm(3)=   0.000000

     crystal axes: (cart. coord. in units of alat)
               a(1) = (   1.000000   0.000000   0.000000 )
               a(2) = (   0.000000   1.000000   0.000000 )
               a(3) = (   0.000000   0.000000   1.000000 )

   Cartesian axes

     site n.     atom                  positions (alat units)
         1           Cu  tau(   1) = (   0.0000000   0.0000000   0.0000000  )
         2           Cu  tau(   2) = (   0.0000000   0.5277778   0.5000000  )

!    total energy              =      -2.00000000 Ry
     estimated scf accuracy    <       0.00000001 Ry

     Forces acting on atoms (cartesian axes, Ry/au):

     atom    1 type  1   force =     0.00100000    0.00200000   -0.00300000
     atom    2 type  1   force =    -0.00100000   -0.00200000    0.00300000

     Total force =     0.005000     Total SCF correction =     0.000000

     Computing stress (Cartesian axis) and pressure

          total   stress  (Ry/bohr**3)                   (kbar)     P=        9.35
   0.00010000   0.00000000   0.00000000           14.71        0.00        0.00
   0.00000000   0.00005000   0.00000000            0.00        7.36        0.00
   0.00000000   0.00000000   0.00002500            0.00        0.00        3.68


     JOB DONE.
"""
CASTEP = """ | Welcome to CASTEP version 23.1 |
 ************************************ Title ************************************

 *******************************************************************************
                           -------------------------------
                                      Unit Cell
                           -------------------------------
        Real Lattice(A)              Reciprocal Lattice(1/A)
   3.600000     0.000000     0.000000        1.745329     0.000000     0.000000
   0.000000     3.600000     0.000000        0.000000     1.745329     0.000000
   0.000000     0.000000     3.600000        0.000000     0.000000     1.745329

                           -------------------------------
                                     Cell Contents
                           -------------------------------
                         Total number of ions in cell =    2
                      Total number of species in cell =    1
                        Max number of any one species =    2

            xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            x  Element         Atom        Fractional coordinates of atoms  x
            x                 Number           u          v          w      x
            x--------------------------------------------------------------x
            x  Cu                1         0.000000   0.000000   0.000000   x
            x  Cu                2         0.000000   0.527778   0.500000   x
            xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

Final energy, E             =  -7.445000000     eV
Final free energy (E-TS)    =  -7.450000000     eV
(energies not corrected for finite basis set)

NB est. 0K energy (E-0.5TS)      =  -7.447500000     eV

 ************************** Forces **************************
 *                                                          *
 *               Cartesian components (eV/A)                *
 * -------------------------------------------------------- *
 *                         x            y            z      *
 *                                                          *
 * Cu              1      0.01000      0.02000     -0.03000 *
 * Cu              2     -0.01000     -0.02000      0.03000 *
 *                                                          *
 ************************************************************

 ***************** Stress Tensor *****************
 *                                               *
 *          Cartesian components (GPa)           *
 * --------------------------------------------- *
 *             x             y             z     *
 *                                               *
 *  x     -1.602177      0.000000      0.000000  *
 *  y      0.000000     -0.801088      0.000000  *
 *  z      0.000000      0.000000     -0.400544  *
 *                                               *
 *  Pressure:    0.9346                          *
 *                                               *
 *************************************************

Initialisation time =      1.00 s
Calculation time    =     10.00 s
Finalisation time   =      0.10 s
Total time          =     11.10 s
"""
CP2K = """ DBCSR| Multiplication driver                                               BLAS
  **** **** ******  **  PROGRAM STARTED AT               2026-01-01 00:00:00.000
 CP2K| version string:                                     CP2K version 2023.1
 CP2K| is freely available from                            https://www.cp2k.org/

 CELL| Volume [angstrom^3]:                                           46.656000
 CELL| Vector a [angstrom]:       3.600     0.000     0.000   |a| =    3.600000
 CELL| Vector b [angstrom]:       0.000     3.600     0.000   |b| =    3.600000
 CELL| Vector c [angstrom]:       0.000     0.000     3.600   |c| =    3.600000

 ATOMIC KIND INFORMATION

  1. Atomic kind: Cu                                    Number of atoms:       2

 MODULE QUICKSTEP: ATOMIC COORDINATES IN angstrom

  Atom  Kind  Element       X           Y           Z          Z(eff)       Mass

       1     1 Cu  29    0.000000    0.000000    0.000000     11.0000      63.5460
       2     1 Cu  29    0.000000    1.900000    1.800000     11.0000      63.5460

 SCF WAVEFUNCTION OPTIMIZATION

  *** SCF run converged in    12 steps ***

 ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:              -96.250000000000000

 ATOMIC FORCES in [a.u.]

 # Atom   Kind   Element          X              Y              Z
      1      1      Cu          0.00100000     0.00200000    -0.00300000
      2      1      Cu         -0.00100000    -0.00200000     0.00300000
 SUM OF ATOMIC FORCES           0.00000000     0.00000000     0.00000000

 STRESS TENSOR [GPa]

            X               Y               Z
  X       1.60217700      0.00000000      0.00000000
  Y       0.00000000      0.80108800      0.00000000
  Z       0.00000000      0.00000000      0.40054400

  1/3 Trace(stress tensor):   9.34603000E-01

  **** **** ******  **  PROGRAM ENDED AT                 2026-01-01 00:00:10.000
"""
END = " General timing and accounting informations for this job:\n"
OUTPUTS = {
    "OUTCAR": OUTCAR + 2 * STEP + END,
    "vasprun.xml": XML % (2 * CALC),
    "cu.pwo": PWO,
    "cu.castep": CASTEP,
    "cp2k.out": CP2K,
}
"""By the names of files."""
MTP = """BEGIN_CFG
 Size
    3
 Supercell
    4.0  0.0  0.0
    0.0  5.0  0.0
    0.5  0.0  6.0
 AtomData:  id type  cartes_x  cartes_y  cartes_z  fx  fy  fz
    1  0  0.1  0.2  0.3   0.01  0.02  0.03
    2  1  2.0  2.1  2.2  -0.01 -0.02  0.00
    3  0  1.0  3.1  4.2   0.00  0.00 -0.03
 Energy
    -12.5
 PlusStress:  xx  yy  zz  yz  xz  xy
    1.0  2.0  3.0  0.4  0.5  0.6
 Feature   EFS_by   VASP
 Feature   config_type   two words
END_CFG

BEGIN_CFG
 Size
    1
 Supercell
    3.0  0.0  0.0
    0.0  3.0  0.0
    0.0  0.0  3.0
 AtomData:  id type  direct_x  direct_y  direct_z
    1  1  0.5  0.0  0.0
END_CFG
"""
"""Two configurations of MLIP."""
