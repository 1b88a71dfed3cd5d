import type { Family } from "./layout/family.ts";
import type { PacketCounts } from "./packet-counts.ts";

/** What an enforcer tells whoever scrapes it. */
export interface NodeFigures {
  readonly counts: PacketCounts;
  readonly rules: Readonly<Record<Family, number>>;
  readonly sets: number;
  readonly ready: boolean;
}

/** In the text format of Prometheus. */
export function metricsText({ counts, rules, sets, ready }: NodeFigures): string {
  return [
    ...metric("tierwall_dropped_packets_total", "counter", "Packets that policies did not allow.", [[{}, counts.dropped]]),
    ...metric(
      "tierwall_would_drop_packets_total",
      "counter",
      "First packets of connections that policies in mode Audit would not have allowed.",
      counts.wouldDrop.map(({ policy, tier, direction, packets }) => [{ policy, tier, direction }, packets]),
    ),
    ...metric("tierwall_rules", "gauge", "Rules of ours in the kernel.", [
      [{ family: "ipv4" }, rules.ipv4],
      [{ family: "ipv6" }, rules.ipv6],
    ]),
    ...metric("tierwall_sets", "gauge", "Sets of ours in the kernel.", [[{}, sets]]),
    ...metric("tierwall_enforcing", "gauge", "1 while what the operator wants is in force.", [[{}, ready ? 1 : 0]]),
    "",
  ].join("\n");
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

function metric(name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]): readonly string[] {
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${pairs.length === 0 ? "" : `{${pairs.join()}}`} ${value}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines];
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
