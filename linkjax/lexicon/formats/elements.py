"""XML read element by element: the whole file is never held."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Container, Iterator

from linkjax.lexicon.formats.reading import Reading

_CHUNK = 1 << 16
_LONGEST = 1 << 24
_DEEPEST = 100


def stream_elements(reading: Reading, tags: Container[str]) -> Iterator[tuple[str, ElementTree.Element]]:
    """Yields (tag of its parent, element) for each element of one of these tags.

    Broken XML ends the file: it is malformed there, and what came before has been yielded. So is an element
    of more than 16 MiB or more than 100 deep. External entities are never fetched; how far internal ones expand
    is bounded by Expat itself (2.4 and later), to 100 times what was read once that is 8 MiB:
    https://libexpat.github.io/doc/api/latest/#billion-laughs
    """
    parser = ElementTree.XMLPullParser(("start", "end"))
    open_elements: list[ElementTree.Element] = []
    wanted_depth = line = silent = 0
    with reading.open() as file:
        try:
            while chunk := file.read(_CHUNK):
                parser.feed(chunk)
                line += chunk.count(b"\n")
                silent += len(chunk)
                for event, element in parser.read_events():
                    if event == "start":
                        open_elements.append(element)
                        wanted_depth += element.tag in tags
                        if len(open_elements) > _DEEPEST:
                            reading.malformed(line + 1, f"XML elements more than {_DEEPEST} deep")
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
                    reading.malformed(line + 1, f"XML with no end of an element in {_LONGEST:,} bytes")
                    return
            parser.close()
        except ElementTree.ParseError as error:
            reading.malformed(error.position[0], f"broken XML ({error})")
