import { addressText, parseNetwork } from "../../operator/api/address.ts";
import type { AddressPlan, Family, Host } from "./case.ts";

/** A network around a host: `free` is how many bits at the end are anybody's; 0 is the host alone. */
export function block(plan: AddressPlan, host: Host, free: number, family: Family): string {
  const width = (family === "ipv4" ? 32 : 128) - free;
  const network = parseNetwork(`${plan.address(host, family)}/${width}`);
  if (network === undefined) throw new Error(`no address of ${host} in ${family}`);
  return `${addressText({ bits: network.bits, value: network.base })}/${width}`;
}

/** All of a family. */
export function anyBlock(family: Family): string {
  return family === "ipv4" ? "0.0.0.0/0" : "::/0";
}

/** Half of a family: `host` decides which. */
export function half(plan: AddressPlan, host: Host, family: Family): string {
  return block(plan, host, family === "ipv4" ? 31 : 127, family);
}

/** One `ipBlock` peer for each family of the plan: a policy of both families needs both. */
export function blockPeers(
  plan: AddressPlan,
  cidr: (family: Family) => string,
  except?: (family: Family) => readonly string[],
): readonly object[] {
  return plan.families.map((family) => ({
    ipBlock: { cidr: cidr(family), ...(except && { except: except(family) }) },
  }));
}

/** These hosts and no others, as `ipBlock` peers. */
export function hostBlocks(plan: AddressPlan, ...hosts: readonly Host[]): readonly object[] {
  return hosts.flatMap((host) => blockPeers(plan, (family) => block(plan, host, 0, family)));
}
