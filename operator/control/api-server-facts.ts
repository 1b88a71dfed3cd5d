import { addressText, parseAddress } from "../api/address.ts";
import type { NetworkPolicyPort } from "../api/network-policy.ts";
import { readPort } from "../api/network-policy-parser.ts";
import { Reader } from "../api/reader.ts";
import type { ApiServerFacts } from "../compile/facts.ts";

/** The EndpointSlice that the API servers keep themselves: what stands behind Service `default/kubernetes`. */
export const API_SERVER_SLICE = { namespace: "default", name: "kubernetes" };

/** @returns `undefined` while no endpoint is ready. @throws ReadError */
export function readApiServer(slice: unknown): ApiServerFacts | undefined {
  const root = new Reader(slice);
  const ready = root
    .at("endpoints")
    .or((list) => list.list(), [])
    .filter((endpoint) => endpoint.at("conditions").or((conditions) => conditions.at("ready").value, true) !== false);
  const texts = ready.flatMap((endpoint) => endpoint.at("addresses").each((address) => address.text()));
  const blocks = new Set(
    texts.flatMap((text) => {
      const address = parseAddress(text);
      return address === undefined ? [] : [`${addressText(address)}/${address.bits}`];
    }),
  );
  const ports = root.at("ports").or((list) => list.each(readEndpointPort), []);
  return blocks.size === 0 || ports.length === 0 ? undefined : { blocks: [...blocks].toSorted(), ports };
}

/** An EndpointPort has a name and an appProtocol besides. */
function readEndpointPort(port: Reader): NetworkPolicyPort {
  const { path } = port;
  return readPort(new Reader({ protocol: port.at("protocol").value, port: port.at("port").value }, path));
}
