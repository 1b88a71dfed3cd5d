import type { Family } from "../../../operator/enforcer/layout/family.ts";
import { ControlPlane } from "../../lab/control-plane.ts";
import { ADDRESSES, FAMILIES, NODES, type NodeHost, POD_NETS, type PodHost } from "./address-plan.ts";

/** A Service with one endpoint. */
export interface BedService {
  readonly name: string;
  readonly pod: PodHost;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
  readonly targetPort: number;
}

/** Where a Service is reached: it has an address of each family, and a port on each node. */
export interface ServiceAddress {
  readonly clusterIPs: Readonly<Record<Family, string>>;
  readonly port: number;
  readonly nodePort: number;
}

/** An API server with the bed's Services in it, for the kube-proxies of any number of beds. */
export class ServicePlane {
  readonly plane: ControlPlane;
  readonly #addresses = new Map<string, ServiceAddress>();

  private constructor(plane: ControlPlane) {
    this.plane = plane;
  }

  static async start(services: readonly BedService[]): Promise<ServicePlane> {
    const plane = new ServicePlane(await ControlPlane.start());
    try {
      await plane.#fill(services);
      return plane;
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  address(service: BedService): ServiceAddress {
    const address = this.#addresses.get(objectName(service));
    if (address === undefined) throw new Error(`no Service ${objectName(service)}`);
    return address;
  }

  get all(): readonly ServiceAddress[] {
    return [...this.#addresses.values()];
  }

  async stop(): Promise<void> {
    await this.plane.stop();
  }

  async #fill(services: readonly BedService[]): Promise<void> {
    const distinct = new Map(services.map((service) => [objectName(service), service])).values().toArray();
    const items = [...NODES.map(nodeObject), ...distinct.flatMap((service) => [
      serviceObject(service), ...FAMILIES.map((family) => slice(service, family)),
    ])];
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
    await this.#kubectl(["create", "--filename=-"], list);
    for (const node of NODES) {
      const addresses = FAMILIES.map((family) => ({ type: "InternalIP", address: ADDRESSES[node][family] }));
      const status = { addresses };
      await this.#kubectl(["patch", "node", node, "--subresource=status", `--patch=${JSON.stringify({ status })}`]);
    }
    const created = JSON.parse(await this.#kubectl(["get", "services", "--output=json"])) as CreatedServices;
    for (const { metadata, spec } of created.items) {
      const [first] = spec.ports;
      if (first?.nodePort === undefined) continue;
      const [ipv4 = "", ipv6 = ""] = spec.clusterIPs;
      const { port, nodePort } = first;
      this.#addresses.set(metadata.name, { clusterIPs: { ipv4, ipv6 }, port, nodePort });
    }
  }

  #kubectl(args: readonly string[], input = ""): Promise<string> {
    return this.plane.kubectl(args, { input }).then(({ code, stdout, stderr }) => {
      if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
      return stdout;
    });
  }
}

/** Rows give one name to different Services. */
function objectName({ name, pod, protocol, port, targetPort }: BedService): string {
  return `${name}-${pod}-${protocol.toLowerCase()}-${port}-${targetPort}`;
}

interface CreatedServices {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: {
      /** In the order that was asked for. */
      readonly clusterIPs: readonly string[];
      readonly ports: readonly { readonly port: number; readonly nodePort?: number }[];
    };
  }[];
}

function nodeObject(node: NodeHost): object {
  const { ipv4, ipv6 } = POD_NETS[node];
  return { apiVersion: "v1", kind: "Node", metadata: { name: node }, spec: { podCIDR: ipv4, podCIDRs: [ipv4, ipv6] } };
}

function serviceObject(service: BedService): object {
  const { protocol, port, targetPort } = service;
  return {
    apiVersion: "v1", kind: "Service", metadata: { name: objectName(service) },
    spec: {
      type: "NodePort", ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"],
      ports: [{ protocol, port, targetPort }],
    },
  };
}

function slice(service: BedService, family: Family): object {
  const name = objectName(service);
  return {
    apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice",
    metadata: { name: `${name}-${family}`, labels: { "kubernetes.io/service-name": name } },
    addressType: family === "ipv4" ? "IPv4" : "IPv6",
    endpoints: [{ addresses: [ADDRESSES[service.pod][family]], conditions: { ready: true } }],
    ports: [{ name: "", protocol: service.protocol, port: service.targetPort }],
  };
}
