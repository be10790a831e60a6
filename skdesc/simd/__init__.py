"""The innermost loops in C, for several instruction sets; only compiled code sees them."""
