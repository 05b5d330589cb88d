"""PEFT's adapters answer the same here: those of the goldens, on ids that no golden has."""

import peer
import places

LOGITS = 2e-4
IDS = peer.some_ids(14, 80, seed=7)


def run(tool, report, named):
    for name, folder in places.golden_models().items():
        for config in sorted(folder.parent.rglob("adapter_config.json")):
            adapter = config.parent
            subject = str(adapter.relative_to(folder.parents[1]))
            with report.guarded("adapters", subject):
                got = tool.logits(folder, ids=IDS, adapter=adapter).values
                want = peer.logits(peer.read_adapted(folder, adapter), IDS)
                report.add("adapters", subject, "logits with PEFT's adapter", peer.difference(got, want), LOGITS)
