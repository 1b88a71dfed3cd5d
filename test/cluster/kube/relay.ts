import type { KubeConfig } from "@kubernetes/client-node";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { loadKubeConfig } from "../../../operator/kube/config.ts";

/** Stands between a client and the API server, and does to the bytes what networks do. */
export class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: "open" | "frozen" | "cut" = "open";

  private constructor(target: URL) {
    this.#server = createServer((near) => {
      if (this.#state === "cut") {
        near.destroy();
        return;
      }
      const far = connect(Number(target.port), target.hostname);
      for (const [one, other] of [[near, far], [far, near]] as const) {
        this.#sockets.add(one);
        if (this.#state === "open") one.pipe(other);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
    });
  }

  static async start(target: string): Promise<Relay> {
    const relay = new Relay(new URL(target));
    await new Promise<void>((resolve, reject) => {
      relay.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return relay;
  }

  /** The one in the file, by way of here. */
  kubeConfig(file: string): KubeConfig {
    const { port } = this.#server.address() as AddressInfo;
    const config = loadKubeConfig(file, {});
    config.clusters = config.clusters.map((cluster) => ({ ...cluster, server: `https://127.0.0.1:${port}` }));
    return config;
  }

  /** Nothing comes through any more, and nobody is told: these connections are lost for good. */
  freeze(): void {
    this.#state = "frozen";
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** Ends every connection and refuses new ones. */
  cut(): void {
    this.#state = "cut";
    for (const socket of this.#sockets) socket.destroy();
  }

  /** New connections work again. */
  open(): void {
    this.#state = "open";
  }

  async stop(): Promise<void> {
    this.cut();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }
}
