"""Shared ground: settings, database and tenancy, clock, money, events, effects, jobs, crypto, errors, logs, metrics.

Imports nothing else of ours.
"""
