/** Runs inside a node's network namespace: makes it enforce the state on stdin with the backend that is named. */
import { json } from "node:stream/consumers";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { LinuxHost } from "../../../operator/enforcer/host.ts";
import { CommandNetfilter } from "../../../operator/enforcer/netfilter/command-netfilter.ts";
import { NodeFirewall } from "../../../operator/enforcer/node-firewall.ts";
import { readState } from "../../packets/enforcer-state.ts";

const backend = process.argv[2] === "legacy" ? "legacy" : "nft";
const firewall = new NodeFirewall({
  netfilter: (chosen) => new CommandNetfilter(chosen),
  chooseBackend: async () => backend,
  host: new LinuxHost(),
  monotonic: () => performance.now(),
});
const { signal } = new AbortController();
await firewall.prepare({ ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: [] }, signal);
await firewall.apply(readState(await json(process.stdin)), signal);
await firewall.sweep(signal);
