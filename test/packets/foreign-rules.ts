import { withoutCounts } from "./enforced-node.ts";
import type { ScratchNetwork } from "./enforcer-network.ts";

/** Where others' rules are put. */
type Node = Pick<ScratchNetwork, "inNode">;

const TABLES = ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"] as const;

/** What kube-proxy, CNI plugins and administrators have on a node, with names and texts that look like ours. */
const RULES = `*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 9 -j NOTRACK
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:TWIN - [0:0]
-A PREROUTING -j TWIN
-A TWIN -m connmark --mark 0x1/0x1 -j CONNMARK --restore-mark --nfmask 0x1 --ctmask 0x1
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-FORWARD - [0:0]
:TWO-FACED - [0:0]
:XTW-FWD - [0:0]
:tw-local - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -j tw-local
-A FORWARD -m comment --comment "not TW-FWD" -j KUBE-FORWARD
-A FORWARD -m set --match-set SET src -j TWO-FACED
-A FORWARD -j XTW-FWD
-A OUTPUT -m set --match-set XTW-SET dst -j tw-local
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A TWO-FACED -m limit --limit 5/sec -j LOG --log-prefix "TW-DROP "
-A tw-local -p tcp -m tcp --dport 22 -j RETURN
COMMIT
`;

const SETS = `create foreign4 hash:net family inet
add foreign4 203.0.113.0/24
create foreign6 hash:net family inet6
add foreign6 2001:db8::/64
create XTW-four hash:ip family inet timeout 0
add XTW-four 203.0.113.9
create XTW-six hash:ip family inet6
add XTW-six 2001:db8::9
create tw-all list:set
add tw-all foreign4
`;

const NATIVE = `table inet TW-native {
  set TW-set { type ipv4_addr; elements = { 203.0.113.1 } }
  chain TW-FWD { type filter hook forward priority 10; ip saddr @TW-set accept; }
}
`;

/** Fills a node with the rules and sets of others, in both backends and families. */
export async function addForeignRules(network: Node): Promise<void> {
  await feed(network, SETS, "ipset restore");
  for (const tables of TABLES) {
    const family = tables.startsWith("ip6") ? 6 : 4;
    const rules = RULES.replace("XTW-SET", family === 4 ? "XTW-four" : "XTW-six").replace("SET", `foreign${family}`);
    await feed(network, rules, `${tables}-restore`);
  }
  await feed(network, NATIVE, "nft -f -");
}

/** Everything that packets may meet on the node, as text: of ours and of others. */
export async function allRules(network: Node): Promise<string> {
  const saved = await Promise.all(
    TABLES.map(async (tables) => `# ${tables}\n${withoutCounts(await network.inNode(`${tables}-save`))}`),
  );
  const native = await network.inNode("nft", "list", "ruleset");
  const sets = await network.inNode("ipset", "save");
  return [...saved, native.replaceAll(/packets \d+ bytes \d+/g, ""), sets].join("\n");
}

/** Puts what the nft backend holds of ours into the legacy one too, as a change of the node's backend leaves it. */
export async function copyOursToLegacy(network: Node): Promise<void> {
  for (const tables of ["iptables", "ip6tables"]) {
    const saved = await network.inNode(`${tables}-nft-save`, "-t", "filter");
    const ours = saved.split("\n").filter((line) => /^:TW-|^-A (?:TW-|\S+ -j TW-)/.test(line));
    await feed(network, ["*filter", ...ours, "COMMIT", ""].join("\n"), `${tables}-legacy-restore --noflush`);
  }
}

async function feed(network: Node, text: string, command: string): Promise<void> {
  await network.inNode("sh", "-c", `printf %s "$1" | ${command}`, "sh", text);
}
