"""Fresh interpreters that import what this one imports."""

import os
import subprocess
import sys


def start_python(code, *arguments, env=None, **options):
    """Start an interpreter that finds the same modules as this one, from any folder."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run_python(code, **options):
    """Run code in such an interpreter and fail with what it says."""
    process = start_python(code, **options)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
