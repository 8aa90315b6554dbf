"""A transform put together from chosen columns and built-in functions.

`offers` says which functions suit a column and what they ask for; `choices` holds what was chosen, and
makes of it the arguments of `transform`; `builder` is the noun that `build` gives.
"""

from workbench.building.builder import Builder, Preview, build
from workbench.building.choices import Applied, Choices, Feature, Source

__all__ = ["Applied", "Builder", "Choices", "Feature", "Preview", "Source", "build"]
