"""Epochly: make a model faster, and only while the evidence bounds the error."""
