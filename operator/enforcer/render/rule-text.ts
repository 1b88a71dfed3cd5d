import type { Match, Rule, Target } from "../layout/rule.ts";
import type { Marks } from "./marks.ts";
import { markText } from "./marks.ts";

/**
 * The rule as `iptables-save` prints it, without `-A <chain>`: a kernel that holds what we want holds the same text.
 */
export function ruleText({ matches, target }: Rule, marks: Marks): string {
  const sorted = matches.toSorted((a, b) => RANK[a.kind] - RANK[b.kind]);
  return [...sorted.map((match) => matchText(match, marks)), targetText(target, marks)].join(" ");
}

/** iptables prints the packet's own header first; sorting is stable, so the rest stays as layout put it. */
const RANK: Readonly<Record<Match["kind"], number>> = {
  source: 0,
  destination: 1,
  protocol: 2,
  ports: 2,
  set: 3,
  tracked: 3,
  mark: 3,
  state: 3,
};

function matchText(match: Match, marks: Marks): string {
  switch (match.kind) {
    case "source":
      return `-s ${match.net}`;
    case "destination":
      return `-d ${match.net}`;
    case "protocol":
      return `-p ${match.protocol.toLowerCase()}`;
    case "ports": {
      const protocol = match.protocol.toLowerCase();
      const ports = match.from === match.to ? match.from : `${match.from}:${match.to}`;
      return `-p ${protocol} -m ${protocol} --dport ${ports}`;
    }
    case "set":
      return `-m set --match-set ${match.set} ${match.side}`;
    case "tracked":
      return ["-m conntrack", ...trackedText(match)].join(" ");
    case "mark":
      return `-m connmark --mark ${markText(match.mark, marks)}`;
    case "state":
      return `-m comment --comment ${marks.state}`;
  }
}

function trackedText({ state, direction }: Extract<Match, { kind: "tracked" }>): readonly string[] {
  const states = state === undefined ? [] : [state === "! NEW" ? "! --ctstate NEW" : `--ctstate ${state}`];
  return direction === undefined ? states : [...states, `--ctdir ${direction}`];
}

function targetText(target: Target, marks: Marks): string {
  switch (target.kind) {
    case "return":
      return "-j RETURN";
    case "drop":
      return "-j DROP";
    case "jump":
      return `-j ${target.chain}`;
    case "goto":
      return `-g ${target.chain}`;
    case "mark":
      return `-j CONNMARK --set-xmark ${markText(target.mark, marks)}`;
  }
}
