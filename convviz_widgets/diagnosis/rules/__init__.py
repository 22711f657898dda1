"""The rules, by what they look at; each stands with its limits, its needs and its code."""
