"""XML read element by element: the whole file is never held, and nothing in it expands without bound."""

import contextlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Container, Iterator
from xml.parsers import expat

from linkjax.lexicon.formats.reading import Reading

_CHUNK = 1 << 16
_LONGEST = 1 << 20  # an entry of a dictionary has some kilobytes
_DEEPEST = 100
_LONGEST_ENTITY = 200  # JMdict's have up to 60 characters
_MOST_DEFAULTS, _LONGEST_DEFAULT = 16, 20


def stream_elements(reading: Reading, tags: Container[str]) -> Iterator[tuple[str, ElementTree.Element]]:
    """Yields (tag of its parent, element) for each element of one of these tags that is in none of them.

    Broken XML ends the file: it is malformed there, and what came before has been yielded. So is an element
    of more than 1 MiB or more than 100 deep. External entities are never fetched. Internal ones, and default values of
    attributes, may not be long or of others, so that an element expands to 100 times its size at most.
    """
    parser = ElementTree.XMLPullParser(("start", "end"))
    prolog: _Prolog | None = _Prolog()
    open_elements: list[ElementTree.Element] = []
    wanted_depth = line = silent = 0
    with reading.open() as file:
        try:
            while chunk := file.read(_CHUNK):
                if prolog and (prolog.is_over(chunk)):
                    prolog = None
                parser.feed(chunk)
                line += chunk.count(b"\n")
                silent += len(chunk)
                for event, element in parser.read_events():
                    if event == "start":
                        open_elements.append(element)
                        wanted_depth += element.tag in tags
                        if len(open_elements) > _DEEPEST:
                            reading.malformed(line + 1, f"XML elements more than {_DEEPEST} deep", ends=True)
                            return
                        continue
                    open_elements.pop()
                    parent = open_elements[-1] if open_elements else None
                    if element.tag in tags:
                        wanted_depth -= 1
                        if not wanted_depth:
                            yield "" if parent is None else parent.tag, element
                    if not wanted_depth and parent is not None:
                        parent.remove(element)
                        silent = 0
                if silent > _LONGEST:
                    reading.malformed(line + 1, f"XML with no end of an element in {_LONGEST:,} bytes", ends=True)
                    return
            parser.close()
        except (ElementTree.ParseError, expat.ExpatError) as error:
            place = error.position[0] if isinstance(error, ElementTree.ParseError) else error.lineno
            reading.malformed(place, f"broken XML ({error})", ends=True)
        except _TooMuch as error:
            reading.malformed(line + 1, str(error), ends=True)
        except (LookupError, ValueError) as error:
            reading.malformed(1, f"XML of an encoding not known here ({error})", ends=True)


class _TooMuch(Exception):
    pass


class _Begun(Exception):
    pass


class _Prolog:
    """Looks at what stands before the root element, which is where entities are declared."""

    def __init__(self):
        self._parser = expat.ParserCreate()
        self._parser.EntityDeclHandler = self._entity
        self._parser.AttlistDeclHandler = self._attribute
        self._parser.StartElementHandler = self._start
        self._defaults = 0

    def is_over(self, chunk: bytes) -> bool:
        """Whether the root element begins in these bytes.

        Raises:
          _TooMuch: something is declared that might expand without bound.
        """
        with contextlib.suppress(_Begun):
            self._parser.Parse(chunk)
            return False
        return True

    def _entity(self, name: str, is_parameter: int, value: str | None, *_: str | None) -> None:
        if value is not None and (len(value) > _LONGEST_ENTITY or "&" in value or "%" in value):
            raise _TooMuch(f"the entity '{name:.40}' is of other entities or longer than {_LONGEST_ENTITY} characters")

    def _attribute(self, element: str, name: str, kind: str, default: str | None, required: int) -> None:
        self._defaults += default is not None
        if default is not None and (self._defaults > _MOST_DEFAULTS or len(default) > _LONGEST_DEFAULT):
            raise _TooMuch(
                f"more than {_MOST_DEFAULTS} default values of attributes, or one that is long, '{name:.40}'"
            )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        raise _Begun
