"""From matched signals to an answer: pure, and able to say why.

1. A signal that a matching counter speaks against is out.
2. On each layer the first proof in the table's order wins; "unknown" loses to any name.
3. Inside a container the DMI is the host's: it names the provider, never the platform.
4. Support is believed only where nothing at all is proven.
5. Without a proof, hints name the provider if they all name the same one (confidence "low").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from oatie_ops.environment.facts import Facts
from oatie_ops.environment.layers import LAYERS, UNKNOWN, Evidence, Signal, SignalReport, Weight
from oatie_ops.records import dataclass


@dataclass
class Evaluation:
    """The layers, and for each of them the signals that speak for the winner, the decisive one first."""

    layers: dict[str, str] = field(default_factory=dict)
    winners: dict[str, Signal] = field(default_factory=dict)
    confidence: str | None = None
    hints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    evidence: dict[str, tuple[Evidence, ...]] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)
    pull_request: bool | None = None
    outcomes: dict[str, str] = field(default_factory=dict)  # signal id -> why it did not count


def evaluate(
    facts: Facts, table: Sequence[Signal], counters_of: Mapping[str, Sequence[Signal]]
) -> Evaluation:
    matched = [s for s in table if s.weight is not Weight.COUNTER and s.when.holds(facts)]
    result = Evaluation()
    standing = [s for s in matched if not _countered(s, facts, counters_of, result)]
    proofs = [s for s in standing if s.weight is Weight.PROOF]
    candidates = proofs or [s for s in standing if s.weight is Weight.SUPPORT]
    for layer in ("container", *(name for name in LAYERS if name != "container")):
        _decide(layer, candidates, result)
    _weigh_hints([s for s in standing if s.weight is Weight.HINT], result)
    result.evidence = {layer: _evidence(layer, standing, facts, result) for layer in result.layers}
    result.identity = _identity(proofs, facts, result)
    result.pull_request = _pull_request(facts, result)
    return result


def _countered(
    signal: Signal, facts: Facts, counters_of: Mapping[str, Sequence[Signal]], result: Evaluation
) -> bool:
    for counter in counters_of.get(signal.id, ()):
        if counter.when.holds(facts):
            result.outcomes[signal.id] = f"not believed: {counter.when.seen(facts)} speaks against it"
            return True
    return False


def _decide(layer: str, candidates: Sequence[Signal], result: Evaluation) -> None:
    unnamed: tuple[Signal, str] | None = None
    for signal in candidates:
        value = next((claimed for name, claimed in signal.claims if name == layer), None)
        if value is None:
            continue
        if _is_withheld(signal, layer, result):
            continue
        if value != UNKNOWN:
            result.layers[layer], result.winners[layer] = value, signal
            break
        unnamed = unnamed or (signal, value)
    else:
        if unnamed:
            result.winners[layer], result.layers[layer] = unnamed
    if layer == "provider" and layer in result.layers:
        result.confidence = "high"


def _is_withheld(signal: Signal, layer: str, result: Evaluation) -> bool:
    return layer == "platform" and signal.family == "machine" and "container" in result.layers


def _weigh_hints(hints: Sequence[Signal], result: Evaluation) -> None:
    by_provider: dict[str, list[Signal]] = {}
    for signal in hints:
        by_provider.setdefault(signal.claims[0][1], []).append(signal)
    result.hints = {
        provider: tuple(s.id.rsplit(".", 1)[1] for s in signals) for provider, signals in by_provider.items()
    }
    if "provider" in result.layers:
        return
    if len(by_provider) == 1:
        provider, signals = next(iter(by_provider.items()))
        result.layers["provider"], result.winners["provider"] = provider, signals[0]
        result.confidence = "low"
    for signal in hints:
        if len(by_provider) > 1:
            result.outcomes[signal.id] = "hints name several providers, so none of them is claimed"


def _evidence(
    layer: str, standing: Sequence[Signal], facts: Facts, result: Evaluation
) -> tuple[Evidence, ...]:
    value, winner = result.layers[layer], result.winners[layer]
    agreeing = [s for s in standing if s is not winner and (layer, value) in s.claims]
    return tuple(Evidence(s.id, s.weight.value, s.when.seen(facts)) for s in (winner, *agreeing))


def _identity(proofs: Sequence[Signal], facts: Facts, result: Evaluation) -> dict[str, str]:
    """From the most specific signal down; another provider's variables say nothing about this one."""
    provider = result.layers.get("provider")
    found: dict[str, str] = {}
    for signal in proofs:
        if dict(signal.claims).get("provider", provider) != provider:
            continue
        for key, get in signal.identity:
            if key not in found and (value := get(facts).strip()):
                found[key] = value
    return found


def _pull_request(facts: Facts, result: Evaluation) -> bool | None:
    for layer in ("ci", "platform"):
        winner = result.winners.get(layer)
        if winner is not None and winner.pull_request is not None:
            return winner.pull_request.holds(facts)
    return None


def explain(
    facts: Facts, table: Sequence[Signal], counters_of: Mapping[str, Sequence[Signal]]
) -> tuple[SignalReport, ...]:
    """Every row of the table with what became of it."""
    result = evaluate(facts, table, counters_of)
    return tuple(_report(signal, facts, result) for signal in table)


def _report(signal: Signal, facts: Facts, result: Evaluation) -> SignalReport:
    matched = signal.when.holds(facts)
    return SignalReport(
        signal.id,
        signal.weight.value,
        str(signal.when),
        dict(signal.claims),
        matched,
        _outcome(signal, result) if matched else "no match",
    )


def _outcome(signal: Signal, result: Evaluation) -> str:
    if signal.weight is Weight.COUNTER:
        return f"speaks against {', '.join(signal.against)}"
    if reason := result.outcomes.get(signal.id):
        return reason
    parts = [_standing(signal, layer, value, result) for layer, value in signal.claims]
    return "; ".join(parts) or "seen"


def _standing(signal: Signal, layer: str, value: str, result: Evaluation) -> str:
    winner = result.winners.get(layer)
    if winner is signal:
        return f"decides {layer}: {value}"
    if _is_withheld(signal, layer, result):
        return f"{layer} is withheld: a container sees the firmware of its host"
    if winner is None:
        return f"too weak to claim {layer}: {value}"
    if result.layers[layer] == value:
        return f"agrees on {layer}: {value}"
    if value == UNKNOWN:
        return f"{layer} is known better by {winner.id}"
    if signal.weight is not winner.weight:
        return f"{layer} is decided by stronger evidence: {winner.id}"
    return f"{layer}: {winner.id} is more specific"
