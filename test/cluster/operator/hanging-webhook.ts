import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { ControlPlane } from "../../lab/control-plane.ts";
import type { Manifest } from "./segment.ts";

/** Namespaces with this label are those that the webhook is asked about. */
export const HANGING = { "example.com/hangs": "yes" } as const;

/** What the API server asks of a webhook. */
interface AdmissionRequest {
  readonly uid: string;
  readonly operation: string;
  readonly namespace: string;
  readonly name: string;
  readonly dryRun?: boolean;
}

/** An admission webhook for NetworkPolicies that takes every question and answers none, until it is let go. */
export class HangingWebhook {
  readonly #server: Server;
  readonly #authority: string;
  readonly #asked: AdmissionRequest[] = [];
  /** Answers that are owed. */
  readonly #held = new Set<() => void>();
  #hangs = true;

  private constructor(plane: ControlPlane, certificate: { readonly certificate: string; readonly key: string }) {
    this.#authority = plane.authority.certificate;
    this.#server = createServer({ cert: certificate.certificate, key: certificate.key }, (call, answer) => {
      void this.#take(call, answer);
    });
  }

  static async start(plane: ControlPlane): Promise<HangingWebhook> {
    const certificate = await plane.authority.issue({ user: "hanging-webhook", addresses: ["127.0.0.1"] });
    const webhook = new HangingWebhook(plane, certificate);
    await new Promise<void>((resolve, reject) => {
      webhook.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return webhook;
  }

  /** Everything that it was asked but for dry runs, as `<operation> <namespace>/<name>`. */
  get asked(): readonly string[] {
    const real = this.#asked.filter(({ dryRun }) => dryRun !== true);
    return real.map(({ operation, namespace, name }) => `${operation} ${namespace}/${name}`);
  }

  /** Whether the API server asks it already. */
  get bites(): boolean {
    return this.#asked.length > 0;
  }

  /** Questions that the API server still waits for the answer of. */
  get held(): number {
    return this.#held.size;
  }

  /** It is waited for as long as a webhook can be, and nothing passes without it. */
  configuration(): Manifest {
    const { port } = this.#server.address() as AddressInfo;
    return {
      apiVersion: "admissionregistration.k8s.io/v1", kind: "ValidatingWebhookConfiguration",
      metadata: { name: "hanging" },
      webhooks: [{
        name: "hanging.example.com", admissionReviewVersions: ["v1"], sideEffects: "None",
        failurePolicy: "Fail", timeoutSeconds: 30, namespaceSelector: { matchLabels: HANGING },
        rules: [{
          apiGroups: ["networking.k8s.io"], apiVersions: ["v1"], resources: ["networkpolicies"],
          operations: ["CREATE", "UPDATE", "DELETE"],
        }],
        clientConfig: {
          url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(this.#authority).toString("base64"),
        },
      }],
    };
  }

  /** From now on it allows everything at once, what it was asked before too. */
  letGo(): void {
    this.#hangs = false;
    for (const allow of this.#held) allow();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(call: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { request } = JSON.parse(await text(call)) as { readonly request: AdmissionRequest };
    this.#asked.push(request);
    const allow = (): void => {
      answer.writeHead(200, { "content-type": "application/json" });
      const response = { uid: request.uid, allowed: true };
      answer.end(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response }));
    };
    if (!this.#hangs) return allow();
    this.#held.add(allow);
    answer.once("close", () => this.#held.delete(allow));
  }
}
