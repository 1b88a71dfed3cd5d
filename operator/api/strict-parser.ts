import { parseAddress, parseNetwork, type Network } from "./address.ts";
import { canonicalSelector, type LabelSelector } from "./label-selector.ts";
import { isLabelKey, isLabelValue } from "./label-syntax.ts";
import { readSelector } from "./meta-parser.ts";
import type { IPBlock, NetworkPolicyPeer } from "./network-policy.ts";
import { readIPBlock, readPeer } from "./network-policy-parser.ts";
import { ReadError, type Reader } from "./reader.ts";

// Parts of NetworkPolicies that people write for us: what the API server would refuse is refused here, with its path.

const LABEL_VALUE = "a label value: at most 63 of letters, digits, '-', '_' and '.'";

/** @throws ReadError, also for a key or value that no label can have */
export function readStrictSelector(reader: Reader): LabelSelector {
  const selector = readSelector(reader);
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    const label = reader.at("matchLabels").at(key);
    if (!isLabelKey(key)) throw new ReadError(label.path, "is no label key: write [prefix/]name");
    if (!isLabelValue(value)) throw label.wrong(LABEL_VALUE);
  }
  for (const requirement of reader.at("matchExpressions").or((list) => list.list(), [])) {
    const key = requirement.at("key");
    if (!isLabelKey(key.text())) throw key.wrong("a label key: write [prefix/]name");
    for (const value of requirement.at("values").or((list) => list.list(), [])) {
      if (!isLabelValue(value.text())) throw value.wrong(LABEL_VALUE);
    }
  }
  return selector;
}

/** As the API server gives it back: what it stores is compared with what we wrote. @throws ReadError */
export function readStrictPeer(peer: Reader): NetworkPolicyPeer {
  const { ipBlock, ...selectors } = readPeer(peer);
  if (ipBlock !== undefined) {
    if (Object.keys(selectors).length > 0) throw peer.wrong("an ipBlock alone, or podSelector and/or namespaceSelector");
    return { ipBlock: readStrictBlock(peer.at("ipBlock")) };
  }
  const [podSelector, namespaceSelector] = (["podSelector", "namespaceSelector"] as const).map((key) =>
    peer.at(key).maybe((selector) => canonicalSelector(readStrictSelector(selector))),
  );
  return { ...(podSelector && { podSelector }), ...(namespaceSelector && { namespaceSelector }) };
}

/** In the one form that the API server's schema takes: a mistyped digit then shows as host bits. @throws ReadError */
export function readStrictBlock(reader: Reader): IPBlock {
  const block = readIPBlock(reader);
  const whole = readNetwork(reader.at("cidr"));
  for (const except of reader.at("except").or((list) => list.list(), [])) {
    const part = readNetwork(except);
    const inside = part.bits === whole.bits && part.length > whole.length && contains(whole, part);
    if (!inside) throw except.wrong(`a network inside ${block.cidr} and smaller`);
  }
  return block;
}

function readNetwork(cidr: Reader): Network {
  const text = cidr.text();
  const network = parseNetwork(text);
  if (network === undefined) {
    const single = parseAddress(text);
    const instead = single === undefined ? "such as 10.72.0.0/16 or fd00:72::/32" : `such as ${text}/${single.bits}`;
    throw cidr.wrong(`a network ${instead}`);
  }
  const address = parseAddress(text.slice(0, text.indexOf("/")));
  if (address?.value !== network.base) throw cidr.wrong("a network without host bits, such as 10.72.0.0/16");
  return network;
}

function contains(whole: Network, part: Network): boolean {
  const shift = BigInt(whole.bits - whole.length);
  return part.base >> shift === whole.base >> shift;
}
