"""Commands that succeed and that fail."""

from skdesc._cli import main

SMALL = ["--cutoff", "4.2", "--n-max", "4", "--l-max", "3", "--n-sparse", "20",
         "--sigma-forces", "0.05"]


def run(capsys, *words):
    """Output and messages of a command that succeeds."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out, err


def fail(capsys, *words):
    """Message of a command that fails without a traceback."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err
