"""`octomil doctor`: what is missing or slow on this machine, one file per group of checks.

Each check is two functions: one that looks at the machine, and one that judges what was seen. The
judges take values and return findings, so that every verdict can be tested on any machine.
"""
