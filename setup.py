"""Extension modules; all metadata are in pyproject.toml.

Environment variables: SKDESC_NO_OPENMP=1 builds serial code, SKDESC_DEBUG_CYTHON=1 adds bounds
checks, SKDESC_CYTHON_COVERAGE=1 adds line tracing, SKDESC_EXTRA_CFLAGS appends compiler flags.
After one of them has changed, build with --force.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# module: whether it uses OpenMP; those that take longest to compile come first
EXTENSIONS = {
    "skdesc.simd._simd_cy": False,
    "skdesc.invariants._environments_cy": True,
    "skdesc.neighbors._pairs_cy": False,
    "skdesc.invariants._packed_coefficients_cy": True,
    "skdesc.invariants._tensor_reduced_cy": False,
    "skdesc.invariants._power_spectrum_cy": False,
    "skdesc.density._expansion_cy": True,
    "skdesc.density._mixed_expansion_cy": False,
    "skdesc.invariants._scatter_cy": False,
    "skdesc.invariants._inner_cy": False,
    "skdesc.structures._content_cy": False,
    "skdesc.invariants._invariant_cy": False,
    "skdesc.utils._threads_cy": True,
}
# Cython finds which files the others need
SIMD = [f"skdesc/simd/{name}" for name in ("simd.c", "simd.h", "simd_loops.h", "simd_products.h")]

DEBUG = bool(os.environ.get("SKDESC_DEBUG_CYTHON"))
COVERAGE = bool(os.environ.get("SKDESC_CYTHON_COVERAGE"))
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "linetrace": COVERAGE,
}
OPENMP_PROGRAM = r"""
#include <omp.h>
int main(void) {
    int threads = 0;
    #pragma omp parallel num_threads(2) reduction(+:threads)
    threads += 1;
    return threads == 2 && omp_get_max_threads() > 0 ? 0 : 1;
}
"""


def count_cores():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class BuildExt(build_ext):
    """Translate and compile what has changed, on all cores, and probe the compiler for OpenMP."""

    def finalize_options(self):
        super().finalize_options()
        if self.parallel is None:
            self.parallel = count_cores()

    def run(self):
        if self.inplace:
            self.adopt_modules_in_place()
        super().run()

    def adopt_modules_in_place(self):
        """Take up-to-date modules beside their sources for built, as an installation left them."""
        for extension in self.extensions:
            file_name = self.get_ext_filename(extension.name)
            in_place, built = Path(file_name), Path(self.build_lib, file_name)
            if in_place.exists() and not built.exists():
                built.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(in_place, built)

    def build_extensions(self):
        # in parallel only where processes fork: elsewhere this file would be run again
        translated = cythonize(
            self.extensions,
            compiler_directives=DIRECTIVES,
            nthreads=self.parallel if sys.platform == "linux" else 0,
            force=self.force,
        )
        openmp = self.find_openmp()
        flags = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
        if DEBUG:
            flags = ["-O1", "-g", "-UNDEBUG"]
        flags += os.environ.get("SKDESC_EXTRA_CFLAGS", "").split()
        for extension, source in zip(self.extensions, translated, strict=True):
            extension.sources, extension.depends = source.sources, source.depends
            extension.extra_compile_args += flags
            if EXTENSIONS[extension.name]:
                extension.extra_compile_args += openmp
                extension.extra_link_args += openmp
        super().build_extensions()

    def find_openmp(self):
        """Flags with which a small OpenMP program compiles, links and runs; none: serial."""
        if os.environ.get("SKDESC_NO_OPENMP"):
            return []
        flags = ["-fopenmp"]
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(OPENMP_PROGRAM, encoding="utf-8")
            program = str(Path(folder, "probe"))
            try:
                objects = self.compiler.compile([str(source)], folder, extra_postargs=flags)
                self.compiler.link_executable(objects, program, extra_postargs=flags)
                subprocess.run([program], check=True, timeout=30)
            except Exception as error:
                warnings.warn(
                    f"skdesc is built without OpenMP and will use one thread: the compiler could "
                    f"not build and run a test program with {flags} ({error}). Install OpenMP "
                    "(Debian: libgomp1, macOS: libomp) and build again.",
                    stacklevel=1,
                )
                return []
        return flags


def make_extensions():
    """The table above."""
    macros = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
    if COVERAGE:
        macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1")]
    extensions = []
    for name in EXTENSIONS:
        simd = name == "skdesc.simd._simd_cy"
        sources = [name.replace(".", "/") + ".pyx", *SIMD[:simd]]
        depends = SIMD if simd else []
        extensions.append(
            Extension(name, sources, include_dirs=["skdesc/simd"], define_macros=macros,
                      depends=depends)
        )  # fmt: skip
    return extensions


if __name__ == "__main__":
    setup(ext_modules=make_extensions(), cmdclass={"build_ext": BuildExt})
