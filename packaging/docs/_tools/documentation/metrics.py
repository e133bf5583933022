"""Generates the table of metrics from their table in the code, with the alerts that use each."""

from bridge.monitoring.metric_table import METRICS
from documentation.alarms import rules
from documentation.markdown import code, table


def markdown() -> str:
    """Returns the table of all metrics: name and labels, type, meaning, alerts."""
    rows, alert_rules = [], rules()
    for name, kind in METRICS.items():
        exported = kind.exported(name)
        labels = f"{{{', '.join(kind.labels)}}}" if kind.labels else ""
        # Every kind of problem has an alert on `problems`; the page of problems lists them.
        used = [rule["alert"] for rule in alert_rules if exported in rule["expr"]] if name != "problems" else []
        alerts = ", ".join(map(code, used)) if name != "problems" else "[one for each kind](health.md#problems)"
        rows.append((f"`{exported}{labels}`", kind.type, kind.help, alerts))
    return table(("metric", "type", "meaning", "alert"), rows)
