import { compare } from "../api/label-selector.ts";
import type { LivePod } from "./live-pod.ts";

/**
 * Who has which address. An address is handed to a new pod while the old one is still Terminating: of several claimants
 * the one that is not being deleted has it. Two that are equal in that are a contradiction: then nobody is a peer by
 * it, and each stays isolated on its own node.
 */
export class AddressBook {
  readonly #claims = new Map<string, readonly LivePod[]>();
  readonly #contested = new Set<string>();

  claim(address: string, pod: LivePod): void {
    this.#set(address, [...this.claimants(address), pod]);
  }

  release(address: string, pod: LivePod): void {
    this.#set(address, this.claimants(address).filter((other) => other !== pod));
  }

  claimants(address: string): readonly LivePod[] {
    return this.#claims.get(address) ?? [];
  }

  /** Whose pod is meant by a packet with this address anywhere in the cluster. */
  owner(address: string): LivePod | undefined {
    const [first, second] = best(this.claimants(address));
    return second === undefined ? first : undefined;
  }

  /** Whether this pod is the one behind the address on its node. Where equals share a node, one is picked for good. */
  isLocalOwner(address: string, pod: LivePod): boolean {
    const claimants = this.claimants(address);
    if (claimants.length === 1) return true;
    const neighbours = claimants.filter((other) => other.pod.nodeName === pod.pod.nodeName);
    return best(neighbours).toSorted((a, b) => compare(a.uid, b.uid))[0] === pod;
  }

  /** Addresses that several pods claim with equal right. */
  contested(): readonly string[] {
    return [...this.#contested].toSorted(compare);
  }

  #set(address: string, claimants: readonly LivePod[]): void {
    if (claimants.length === 0) this.#claims.delete(address);
    else this.#claims.set(address, claimants);
    if (best(claimants).length > 1) this.#contested.add(address);
    else this.#contested.delete(address);
  }
}

function best(claimants: readonly LivePod[]): readonly LivePod[] {
  if (claimants.length < 2) return claimants;
  const staying = claimants.filter(({ pod }) => !pod.deleting);
  return staying.length > 0 ? staying : claimants;
}
