"""The file: YAML into typed values, with the line and column of everything that is wrong.

What lives here: the model (every key that works, its type, its default, its words), the reading of the file, the
checks across keys, the JSON Schema. What must not: a socket, a log line, a class of another room. A room never sees
``Settings``; ``app.py`` hands each the slice that it uses.

=================  =================================================================================================
``problems``       what is wrong with a file, as a value
``values``         one value of the file into one typed value (durations, sizes, addresses, names); pure
``secret_source``  ``{file | env | value}``, read when asked
``kinds``          the types that a single key may have
``model``          pydantic models, one for each section
``tree``           YAML nodes into plain data, with positions and ``${NAME}``
``portals``        several sites in one file: the data of each, and where in the file each key of it stands
``schema``         the JSON Schema of the model
``wording``        pydantic's errors into plain sentences
``checks``         what no single key can know
``load``           the way through all of them
=================  =================================================================================================
"""
