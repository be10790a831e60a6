"""Pages of HTML, taken apart."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """Checks that elements are closed, and collects text and attributes."""

    def __init__(self):
        super().__init__()
        self.stack, self.text, self.tags, self.sources = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def outline(path):
    """Tags, text and links of a page, all of whose elements are closed."""
    parser = Outline()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    assert parser.stack == []
    return parser
