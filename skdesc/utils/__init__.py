"""Helpers without physics: indexing, threads, memory, compatibility."""
