"""The section `inhibit_rules` of a configuration."""

from typing import Final

from jobs.dispatch.matcher_section import is_label_name, matchers_of_sections
from jobs.dispatch.yaml_node import Node
from udfs.alerting.inhibition import InhibitRule, InhibitSource
from udfs.alerting.matcher import all_match

_OLD_SOURCE: Final = ("source_match", "source_match_re", "source_matchers", "equal")
_TARGET: Final = ("target_match", "target_match_re", "target_matchers")
_KEYS: Final = ("name", "sources", *_OLD_SOURCE, *_TARGET)


def inhibit_rule(node: Node) -> InhibitRule:
    """Return one rule."""
    fields = node.fields(_KEYS)
    target = matchers_of_sections(*(fields.get(name) for name in _TARGET))
    name = fields["name"].text() if "name" in fields else ""
    if "sources" in fields and fields["sources"].items():
        for key in _OLD_SOURCE:
            if key in fields and fields[key].plain():
                raise fields[key].mistake(f"{key} cannot stand beside sources")
        sources = tuple(_source(each) for each in fields["sources"].items())
    else:
        matchers = matchers_of_sections(*(fields.get(key) for key in _OLD_SOURCE[:3]))
        sources = (InhibitSource(matchers=matchers, equal=_equal(fields.get("equal"))),)
    return InhibitRule(sources=sources, target=target, name=name)


def _source(node: Node) -> InhibitSource:
    fields = node.fields(("matchers", "equal"))
    matchers = matchers_of_sections(None, None, fields.get("matchers"))
    if not matchers:
        raise node.mistake("a source needs matchers")
    if all_match(matchers, {}):
        raise node.mistake("at least one matcher of a source must not match the empty value")
    return InhibitSource(matchers=matchers, equal=_equal(fields.get("equal")))


def _equal(node: Node | None) -> tuple[str, ...]:
    names = []
    for each in node.items() if node else ():
        if not is_label_name(each.text()):
            raise each.mistake("a name of a label is wanted here")
        names.append(each.text())
    return tuple(dict.fromkeys(names))
