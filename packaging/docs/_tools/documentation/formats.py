"""Generates the tables of formats and of recognised products from their registries."""

from bridge.explain.products import PRODUCTS
from bridge.formats import FORMATS
from documentation.markdown import code, sentence, table


def formats_markdown() -> str:
    """Returns the table of all formats: name, product, payload form, device setting."""
    rows = [
        (
            ", ".join(map(code, (one.name, *one.aliases))),
            one.product,
            code(one.payload),
            sentence(one.setting).replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_"),
        )
        for one in FORMATS.values()
    ]
    return table(("`format:`", "product", "payload", "setting on the device"), rows)


def products_markdown() -> str:
    """Returns the table of all products that the bridge recognises, with the format that fits."""
    rows = sorted(((each.name, code(each.format or "")) for each in PRODUCTS), key=lambda row: row[0].lower())
    return table(("product", "`format:`"), rows)
