import { errorText } from "../api/error-message.ts";
import type { Settings } from "../api/settings.ts";
import type { Pod } from "../api/workload.ts";
import type { ApiClient } from "../kube/client.ts";
import { StreamAuthenticator, type EnforcerPods } from "../stream/authenticator.ts";
import { issueServingCertificate, renewalDue, type Authority, type KeyPair } from "../stream/certificates.ts";
import type { StreamHub } from "../stream/hub.ts";
import { StreamServer } from "../stream/server.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { AuthorityStore } from "./authority-store.ts";
import { ENFORCER_NAME, STREAM_AUDIENCE } from "./enforcer-daemonset.ts";
import { OPERATOR_NAME } from "./enforcer-reconciler.ts";
import { isEnforcer } from "./enforcer-retirement.ts";
import { tokenReviewer } from "./token-reviewer.ts";

export interface StreamEndpointOptions {
  readonly client: ApiClient;
  readonly hub: StreamHub;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly settings: Settings;
  readonly namespace: string;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const RETRY_MS = 2_000;
const RENEWAL_CHECK_MS = 600_000;

/** The stream's server with its certificate, kept fresh, and its door-keeper. */
export class StreamEndpoint {
  readonly #options: StreamEndpointOptions;
  readonly #store: AuthorityStore;
  #server: StreamServer | undefined;
  #serving: KeyPair | undefined;
  #authority: Authority | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: StreamEndpointOptions) {
    this.#options = options;
    this.#store = new AuthorityStore(options.client, options.namespace, () => new Date());
  }

  get listening(): boolean {
    return this.#server !== undefined;
  }

  /** Serves as soon as the CA can be had, and tries until then. */
  async start(): Promise<void> {
    if (this.#stopped) return;
    let next = RENEWAL_CHECK_MS;
    try {
      await this.#refresh();
    } catch (error) {
      next = RETRY_MS;
      this.#options.log.warn("the stream's certificate could not be refreshed, will be tried again", {
        error: errorText(error),
      });
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.start(), next);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#server?.stop();
  }

  async #refresh(): Promise<void> {
    const { namespace, settings, log } = this.#options;
    const authority = await this.#store.refresh();
    const now = new Date();
    const sameAuthority = this.#authority?.current.certificate === authority.current.certificate;
    if (this.#serving === undefined || !sameAuthority || renewalDue(this.#serving, now)) {
      this.#serving = await issueServingCertificate(authority, [`${OPERATOR_NAME}.${namespace}.svc`], now);
      this.#authority = authority;
      this.#server?.useCertificate(tlsOf(this.#serving));
    }
    if (this.#server !== undefined || this.#stopped) return;
    const server = this.#createServer(this.#serving);
    const port = await server.start(settings.ports.stream);
    this.#server = server;
    log.info("stream is being served", { port });
  }

  #createServer(serving: KeyPair): StreamServer {
    const { client, hub, namespace, settings, log, metrics } = this.#options;
    const authenticator = new StreamAuthenticator({
      review: tokenReviewer(client),
      enforcerPods: this.#enforcerPods,
      audience: STREAM_AUDIENCE,
      username: `system:serviceaccount:${namespace}:${ENFORCER_NAME}`,
      now: Date.now,
      monotonic: () => performance.now(),
    });
    return new StreamServer({
      tls: tlsOf(serving),
      hub,
      authenticate: (token, node) => authenticator.authenticate(token, node),
      log,
      heartbeatMs: settings.timings.heartbeatMs,
      refused: (status) => metrics.streamRefusals.inc({ code: String(status) }),
    });
  }

  readonly #enforcerPods: EnforcerPods = (name, uid) => {
    const { pods, namespace } = this.#options;
    const pod = pods.get(`${namespace}/${name}`);
    if (pod === undefined || pod.uid !== uid || pod.finished) return undefined;
    return isEnforcer(pod) ? { nodeName: pod.nodeName } : undefined;
  };
}

function tlsOf({ certificate, key }: KeyPair): { readonly cert: string; readonly key: string } {
  return { cert: certificate, key };
}
