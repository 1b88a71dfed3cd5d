/** A mistake somebody could make in operator/compile, as a change of its text. */
export interface SeededBug {
  readonly name: string;
  /** In operator/compile. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

export const SEEDED_BUGS: readonly SeededBug[] = [
  {
    name: "the client's side of an ingress rule is forgotten", file: "compile.ts",
    find: `mirrors(spec.tiers, "ingress", tier.name, segment),`, replace: "",
  },
  {
    name: "the server's side is taken from the wrong direction", file: "compile.ts",
    find: `mirrors(spec.tiers, "egress", tier.name, segment),`, replace: `mirrors(spec.tiers, "ingress", tier.name, segment),`,
  },
  {
    name: "a mirrored rule opens every port", file: "compile.ts",
    find: "ports: draftPorts(rule) })", replace: `ports: "any" })`,
  },
  {
    name: "every tier gets the mirror", file: "compile.ts",
    find: `peer.kind === "tier" && peer.tier === named`, replace: `peer.kind === "tier"`,
  },
  {
    name: "a quarantined pod stays in its tiers", file: "segment-peers.ts",
    find: "return outsideQuarantine(this.#tier(tier).podSelector, this.#spec.quarantine);",
    replace: "return this.#tier(tier).podSelector;",
  },
  {
    name: "quarantine with a value counts with any value", file: "quarantine.ts",
    find: `operator: "NotIn", values: [value]`, replace: `operator: "DoesNotExist"`,
  },
  {
    name: "quarantine follows policyTypes", file: "compile.ts",
    find: `podSelector }, ["Ingress", "Egress"], NOTHING, NOTHING)`, replace: `podSelector }, ["Ingress"], NOTHING, NOTHING)`,
  },
  {
    name: "excluded namespaces are peers", file: "segment-peers.ts",
    find: "namespaceSelector: bothSelectors(home, this.#excluded)", replace: "namespaceSelector: home",
  },
  {
    name: "a tier's namespaceSelector takes the place of the segment's", file: "segment-peers.ts",
    find: "bothSelectors(this.#spec.namespaceSelector, this.#tier(tier).namespaceSelector ?? {})",
    replace: "this.#tier(tier).namespaceSelector ?? this.#spec.namespaceSelector",
  },
  {
    name: "a tier lives everywhere", file: "compile.ts",
    find: "...(tier.namespaceSelector && {", replace: "...(false && {",
  },
  {
    name: "tiers of other namespaces are forgotten", file: "segment-peers.ts",
    find: `this.#spec.boundary === "Namespace"`, replace: "this.#spec.boundary",
  },
  {
    name: "default controls what policyTypes leaves alone", file: "compile.ts",
    find: `kind: "default", podSelector }, spec.policyTypes`, replace: `kind: "default", podSelector }, ["Ingress", "Egress"]`,
  },
  {
    name: "default isolates pods of no tier", file: "compile.ts",
    find: `if (spec.defaultDeny === "TierPods") return [];`, replace: "",
  },
  {
    name: "DNS over TCP alone", file: "draft-rules.ts",
    find: `const PROTOCOLS = ["TCP", "UDP"] as const;`, replace: `const PROTOCOLS = ["TCP"] as const;`,
  },
  {
    name: "DNS although it is denied", file: "compile.ts",
    find: `spec.dns === "Allow" ? dnsRule(facts.dns) : NOTHING`, replace: "dnsRule(facts.dns)",
  },
  {
    name: "every port of the API server's machines", file: "draft-rules.ts",
    find: `ports === "any" ? (apiServer?.ports ?? []) : ports, fact`, replace: "ports, fact",
  },
  {
    name: "a range shrinks to its first port", file: "draft-rules.ts",
    find: "...(endPort !== undefined && { endPort })", replace: "",
  },
  {
    name: "an except is lost", file: "draft-rules.ts",
    find: "...(except.length > 0 && { except: [...new Set(except)].toSorted() })", replace: "",
  },
  {
    name: "a namespaceSelector is lost beside a podSelector", file: "draft-rules.ts",
    find: "...(namespaceSelector && {", replace: "...(namespaceSelector && !podSelector && {",
  },
  {
    name: "a rule of facts alone lets everyone in", file: "draft-rules.ts",
    find: "plain.length > 0 ? ofRules({ peers: plain, ports }) : ofRules()",
    replace: `ofRules({ peers: plain.length > 0 ? plain : "any", ports })`,
  },
  {
    name: "an unknown fact lets everyone in", file: "draft-rules.ts",
    find: "return { rules: [], gaps: [gap],", replace: `return { rules: [{ peers: "any", ports }], gaps: [gap],`,
  },
  {
    name: "merging takes in a neighbour's address", file: "address-blocks.ts",
    find: "2n * size - 1n <= last", replace: "2n * size - 2n <= last",
  },
  {
    name: "rules that begin alike are taken for one", file: "rules.ts",
    find: "[JSON.stringify(value), value] as const", replace: "[JSON.stringify(value).slice(0, 40), value] as const",
  },
];
