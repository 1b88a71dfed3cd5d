import type { Labels } from "./meta.ts";
import type { Protocol } from "./network-policy.ts";
import { Reader } from "./reader.ts";
import type { NamedPort, Namespace, Node, Pod } from "./workload.ts";

/** Those that packets carry; the others are names. */
const NODE_ADDRESS_TYPES: ReadonlySet<unknown> = new Set(["InternalIP", "ExternalIP"]);

/** @throws ReadError */
export function readPod(object: unknown): Pod {
  const root = new Reader(object);
  const meta = root.at("metadata");
  const spec = root.at("spec");
  const status = root.at("status");
  const phase = status.present ? status.at("phase").or((reader) => reader.text(), "") : "";
  const finished = phase === "Succeeded" || phase === "Failed";
  const addresses = finished || !status.present ? [] : readAddresses(status);
  const addressMissing = phase === "Running" && addresses.length === 0;
  return {
    namespace: meta.at("namespace").text(),
    name: meta.at("name").text(),
    uid: meta.at("uid").text(),
    labels: meta.at("labels").or((reader) => reader.texts(), {}),
    nodeName: spec.at("nodeName").or((reader) => reader.text(), ""),
    addresses,
    ...(addressMissing && { addressMissing }),
    hostNetwork: spec.at("hostNetwork").or((reader) => reader.flag(), false),
    finished,
    deleting: meta.at("deletionTimestamp").present,
    ports: readNamedPorts(spec),
  };
}

function readAddresses(status: Reader): readonly string[] {
  return status.at("podIPs").or((list) => list.each((entry) => entry.at("ip").text()), []);
}

/** Init containers count only while they run beside the others (`restartPolicy: Always`). */
function readNamedPorts(spec: Reader): readonly NamedPort[] {
  const containers = spec.at("containers").or((list) => list.list(), []);
  const sidecars = spec
    .at("initContainers")
    .or((list) => list.list(), [])
    .filter((container) => container.at("restartPolicy").value === "Always");
  const ports: NamedPort[] = [];
  for (const container of [...containers, ...sidecars]) {
    for (const port of container.at("ports").or((list) => list.list(), [])) {
      const name = port.at("name").or((reader) => reader.text(), "");
      if (name === "") continue;
      const protocol: Protocol = port
        .at("protocol")
        .or((reader) => reader.oneOf<Protocol>(["TCP", "UDP", "SCTP"]), "TCP");
      ports.push({ name, protocol, port: port.at("containerPort").integer(1, 65535) });
    }
  }
  return ports;
}

/** @throws ReadError */
export function readNamespace(object: unknown): Namespace {
  const root = new Reader(object);
  const meta = root.at("metadata");
  const phase = root.at("status").present
    ? root
        .at("status")
        .at("phase")
        .or((reader) => reader.text(), "")
    : "";
  return {
    name: meta.at("name").text(),
    uid: meta.at("uid").text(),
    labels: meta.at("labels").or((reader) => reader.texts(), {}),
    terminating: phase === "Terminating" || meta.at("deletionTimestamp").present,
  };
}

/** @throws ReadError */
export function readNode(object: unknown): Node {
  const root = new Reader(object);
  const meta = root.at("metadata");
  const labels: Labels = meta.at("labels").or((reader) => reader.texts(), {});
  const statusList = (key: string) =>
    root.at("status").or((status) => status.at(key).or((list) => list.list(), []), []);
  const ofNetwork = statusList("addresses").filter((entry) => NODE_ADDRESS_TYPES.has(entry.at("type").value));
  return {
    name: meta.at("name").text(),
    uid: meta.at("uid").text(),
    labels,
    ready: statusList("conditions").some(
      (condition) => condition.at("type").value === "Ready" && condition.at("status").value === "True",
    ),
    operatingSystem: labels["kubernetes.io/os"] ?? "linux",
    addresses: ofNetwork.map((entry) => entry.at("address").text()),
    podCIDRs: root.at("spec").or((spec) => spec.at("podCIDRs").or((list) => list.each((item) => item.text()), []), []),
    createdAt: Date.parse(meta.at("creationTimestamp").or((reader) => reader.text(), "")) || 0,
  };
}
