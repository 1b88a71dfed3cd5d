/** A mistake that somebody could make. `find` stands exactly once in the file, so that the list cannot rot unseen. */
export interface SeededBug {
  readonly name: string;
  /** From the folder `operator`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const BUGS: readonly SeededBug[] = [
  {
    name: "a podSelector alone looks in every namespace",
    file: "resolve/policy-resolution.ts",
    find: "const everywhere = ipBlock === undefined ? namespaceSelector : {};",
    replace: "const everywhere = ipBlock === undefined ? namespaceSelector ?? {} : {};",
  },
  {
    name: "a port without a number is always TCP",
    file: "resolve/policy-resolution.ts",
    find: "if (port === undefined) return { protocol };",
    replace: 'if (port === undefined) return { protocol: "TCP" };',
  },
  {
    name: "endPort is left out",
    file: "resolve/policy-resolution.ts",
    find: "...(endPort !== undefined && endPort !== port && { endPort })",
    replace: "",
  },
  {
    name: "egress to a named port anywhere looks in the own namespace only",
    file: "resolve/policy-resolution.ts",
    find: "to.length === 0 ? [{ podSelector: {}, namespaceSelector: {} }] : peers;",
    replace: "to.length === 0 ? [{ podSelector: {} }] : peers;",
  },
  {
    name: "egress to a named port inside a block forgets the block",
    file: "resolve/policy-resolution.ts",
    find: "...(peer.ipBlock && { block: peer.ipBlock }),",
    replace: "",
  },
  {
    name: "host network pods are peers",
    file: "resolve/live-pod.ts",
    find: "return !this.pod.hostNetwork && !this.pod.finished;",
    replace: "return !this.pod.finished;",
  },
  {
    name: "a relabelled pod is taken for the same",
    file: "resolve/live-pod.ts",
    find: "&& sameText(a.labels, b.labels)",
    replace: "",
  },
  {
    name: "with enforce Segments only generated policies count",
    file: "resolve/live-policy.ts",
    find: "return counted.map(({ id }) => id).toSorted();",
    replace: 'return counted.filter(({ segment }) => enforce === "All" || segment !== undefined).map(({ id }) => id).toSorted();',
  },
  {
    name: "a namespace that loses its label stays selected",
    file: "resolve/pod-groups.ts",
    find: "if (is === home.selectedBy.has(selected)) continue;",
    replace: "if (home.selectedBy.has(selected)) continue;",
  },
  {
    name: "ingress rules answer for egress too",
    file: "enforcer/layout/policy-class.ts",
    find: '(direction === "Ingress" ? policy.ingress : policy.egress)',
    replace: "[...policy.ingress, ...policy.egress]",
  },
  {
    name: "the wrong end of the packet is looked up in peer sets",
    file: "enforcer/layout/policy-class.ts",
    find: 'this.#setSide = direction === "Ingress" ? "src" : "dst";',
    replace: 'this.#setSide = direction === "Ingress" ? "dst" : "src";',
  },
  {
    name: "the wrong end of the packet is compared with blocks",
    file: "enforcer/layout/policy-class.ts",
    find: 'this.#side = direction === "Ingress" ? "source" : "destination";',
    replace: 'this.#side = "source";',
  },
  {
    name: "exceptions are forgotten",
    file: "enforcer/layout/policy-class.ts",
    find: "if (except.length === 0) return plain;",
    replace: "if (except.length < 9) return plain;",
  },
  {
    name: "the exceptions of all blocks are merged",
    file: "enforcer/layout/policy-class.ts",
    find: "return blocks.map((block) => rule(",
    replace:
      "const except = blocks.flatMap((block) => block.except ?? []);\n" +
      "    return blocks.map(({ cidr }) => ({ cidr, except })).map((block) => rule(",
  },
  {
    name: "a named port is any port of its protocol",
    file: "enforcer/layout/policy-class.ts",
    find: '{ kind: "set", set: this.#shelf.namedPort(port.name, protocol), side: "dst,dst" },',
    replace: "",
  },
  {
    name: "a named port does not look at its protocol",
    file: "enforcer/layout/set-shelf.ts",
    find: "port.name === name && port.protocol === protocol",
    replace: "port.name === name",
  },
  {
    name: "a port's number alone is looked at, not its protocol",
    file: "enforcer/layout/port-group.ts",
    find: "return `${port.protocol} ${port.port}-",
    replace: "return `${port.port}-",
  },
  {
    name: "of several peers one counts",
    file: "enforcer/layout/union.ts",
    find: "const sources = this.#ids.map(",
    replace: "const sources = this.#ids.slice(0, 1).map(",
  },
  {
    name: "/0 with exceptions is half of it",
    file: "enforcer/layout/set-shelf.ts",
    find: "{ base: 1n << BigInt(ADDRESS_BITS[family] - 1), length: 1 },",
    replace: "",
  },
  {
    name: "only a pod's first address is isolated",
    file: "enforcer/layout/leaf.ts",
    find: "const addresses = pod.addresses.filter(",
    replace: "const addresses = pod.addresses.slice(0, 1).filter(",
  },
  {
    name: "what pods send to their own node is never judged",
    file: "enforcer/layout/layout.ts",
    find: 'judgeLocal: options.nodeTraffic === "Enforce",',
    replace: "judgeLocal: false,",
  },
  {
    name: "an established connection passes whatever the rules say now",
    file: "enforcer/layout/skeleton.ts",
    find: 'rule([{ kind: "tracked", state: "ESTABLISHED", direction: "REPLY" }], RETURN),',
    replace: 'rule([{ kind: "tracked", state: "ESTABLISHED" }], RETURN),',
  },
  {
    name: "the mark of a verdict and that of a cut are one",
    file: "enforcer/render/marks.ts",
    find: 'fieldText(name === "denied" ? deniedValue(mask) : generation, mask)',
    replace: "fieldText(generation, mask)",
  },
  {
    name: "a cut connection's server may go on",
    file: "enforcer/layout/skeleton.ts",
    find: 'rule([{ kind: "mark", mark: "denied" }, REPLY], DROP),',
    replace: "",
  },
  {
    name: "neighbour discovery of isolated pods is dropped",
    file: "enforcer/layout/skeleton.ts",
    find: "[130, 131, 132, 133, 135, 136, 143]",
    replace: "[130, 131, 132, 133, 143]",
  },
  {
    name: "a member that leaves a set cuts nothing",
    file: "enforcer/family-firewall.ts",
    find: "const narrower = narrowed || (",
    replace: "const narrower = narrowed || (false && ",
  },
  {
    name: "members never leave a set",
    file: "enforcer/render/set-text.ts",
    find: 'return lines("del", name,',
    replace: 'return lines("add", name,',
  },
  {
    name: "a range is its first port",
    file: "enforcer/render/rule-text.ts",
    find: ": `${match.from}:${match.to}`;",
    replace: ": match.from;",
  },
  {
    name: "a class stays as it was when a policy of it is edited",
    file: "enforcer/layout/class-cache.ts",
    find: "const unchanged = reusable && state.policies === last.policies;",
    replace: "const unchanged = reusable;",
  },
  {
    name: "a bucket stays as it was while it has as many addresses",
    file: "enforcer/layout/buckets.ts",
    find: "sameElements(last.leaves, leaves)",
    replace: "last.leaves.length === leaves.length",
  },
  {
    name: "a chain of addresses stays as it was, without the new ones",
    file: "enforcer/render/leaf-order.ts",
    find: ": [...rules.slice(0, count).filter((rule) => !old.has(rule)), ...kept, ...rules.slice(count)];",
    replace: ": [...(kept.length > 0 ? kept : rules.slice(0, count)), ...rules.slice(count)];",
  },
  {
    name: "a set is copied, and the rules look it up as it was",
    file: "enforcer/render/set-versions.ts",
    find: "[...ruleset.chains].map(([name, list]) => [name, renamedRules(list, names)])",
    replace: "ruleset.chains",
  },
];
