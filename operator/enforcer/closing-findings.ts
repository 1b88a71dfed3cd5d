import { blockTest, parseAddress } from "../api/address.ts";
import type { NodeState } from "../api/node-state.ts";
import type { Finding } from "./finding.ts";
import type { Family } from "./layout/family.ts";
import { FAMILIES, familyOf } from "./layout/family.ts";

/** What of `failClosed` has to do with the node's networks. */
interface ClosingSettings {
  readonly failClosed: boolean;
  readonly podCIDRs: readonly string[];
}

const NAMES: Readonly<Record<Family, string>> = { ipv4: "IPv4", ipv6: "IPv6" };

/** What `failClosed` leaves open all the same: each family is closed by itself, and only in networks that are known. */
export function closingFindings(
  { failClosed, podCIDRs }: ClosingSettings,
  pods: NodeState["pods"],
): readonly Finding[] {
  if (!failClosed) return [];
  if (podCIDRs.length === 0) return [refused("names none", "a new pod is")];
  const addresses = [...pods.values()].flatMap((pod) => pod.addresses);
  return FAMILIES.flatMap((family) => {
    const ours = addresses.filter((address) => familyOf(address) === family);
    const nets = podCIDRs.filter((net) => familyOf(net) === family);
    if (ours.length === 0) return [];
    const name = NAMES[family];
    if (nets.length === 0) return [refused(`names none of ${name}`, `the ${name} addresses of a new pod are`)];
    const outside = ours.find((address) => !liesIn(address, nets));
    return outside === undefined ? [] : [incomplete(outside, nets)];
  });
}

function refused(names: string, open: string): Finding {
  return {
    reason: "FailClosedRefused",
    message:
      `failClosed needs the node's exact pod networks, and its Node ${names} in spec.podCIDRs: ` +
      `${open} open until it is programmed`,
    holds: true,
  };
}

function incomplete(address: string, nets: readonly string[]): Finding {
  return {
    reason: "FailClosedIncomplete",
    message:
      `a pod has the address ${address}, outside of ${nets.join(", ")}, which failClosed closes: ` +
      "new pods with such addresses are open until they are programmed",
    holds: true,
  };
}

function liesIn(text: string, nets: readonly string[]): boolean {
  const address = parseAddress(text);
  return address !== undefined && nets.some((cidr) => blockTest({ cidr })?.(address) === true);
}
