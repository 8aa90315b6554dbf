"""Widgets: what the nouns of the store look like where a browser can ask the kernel for more.

Each module holds one widget: what it shows first, and what it answers when it is asked, made of what
the Store's verbs return. The JavaScript file of the same name draws it, with `common.js` before it
and no build step. Beside every widget stands the same as static HTML, which is what is left when the
notebook is opened without its kernel, exported, or read on GitHub.

    choose      which value is shown by which widget
    base        how a widget is made and asked, and how it stands beside its static form
    cells       rows as texts
    explorer    a table of any size
    builder     a form for a transform: columns, built-in functions, statement, preview
    highlight   a statement in colours
    model       how good a model is, its versions, buttons to deploy and roll back
    binding     coverage, errors, versions and latency of predictions
    diff        what differs between two snapshots
    lineage     a graph to walk through
    runs        the history of loads, refreshes and trainings
    search      the button that ends a search
"""
