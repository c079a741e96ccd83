"""Reads a page of metrics as Prometheus's own client library does, which refuses what is not OpenMetrics.

Prints one line of JSON for each family: its name, type, help text, and samples.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

for family in text_string_to_metric_families(sys.stdin.read()):
    samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
    print(json.dumps({"name": family.name, "type": family.type, "help": family.documentation, "samples": samples}))
