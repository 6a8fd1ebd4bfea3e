"""The arithmetic: one folder an operation, the plain reference beside its fast paths."""
