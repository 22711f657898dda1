"""The rules, by what they look at; each stands with its thresholds, its needs and its code.

A new rule is a function in one of these modules, or in a new one, below ``@rule(...)``: nothing
else names it. It is given what ``takes`` picks from the evidence, has its thresholds as keyword
arguments, and returns findings; the decorator says what it needs and which other rules it explains.

Optional are the rules that it explains, the ``code`` of its findings, and an entry in
``apps/show_me.py``: without one, "Show me" leads to the maps of a finding's channel, else to the
distributions of its layer, else to the loss.
"""
