import { createHash } from "node:crypto";
import { errorMessage } from "../api/error-message.ts";

/** Status of a `TokenReview` (authentication.k8s.io/v1). */
export interface TokenReviewStatus {
  readonly authenticated: boolean;
  readonly username: string;
  readonly audiences: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Asks the API server about a token. @throws when it cannot be asked */
export type TokenReviewer = (token: string, audiences: readonly string[]) => Promise<TokenReviewStatus>;

/** The enforcer pod of that name and uid that is alive, as this replica has observed it. */
export type EnforcerPods = (name: string, uid: string) => { readonly nodeName: string } | undefined;

export type AuthResult =
  | { readonly allowed: true }
  /** 401: no valid token. 403: a valid token of somebody else. 503: nobody could be asked. */
  | { readonly allowed: false; readonly status: 401 | 403 | 503; readonly reason: string };

export interface AuthenticatorOptions {
  readonly review: TokenReviewer;
  readonly enforcerPods: EnforcerPods;
  /** `tierwall-operator`. */
  readonly audience: string;
  /** `system:serviceaccount:<namespace>:tierwall-enforcer`. */
  readonly username: string;
  /** Wall clock, milliseconds since the epoch: tokens say in it when they expire. */
  readonly now: () => number;
  /** Milliseconds that never go back: beliefs last by it. */
  readonly monotonic: () => number;
  /** How long an answer is believed. */
  readonly positiveMs?: number;
  readonly negativeMs?: number;
}

const CLAIM = "authentication.kubernetes.io";
const MAX_CACHED = 20_000;

interface Cached {
  readonly answer: Promise<TokenReviewStatus>;
  /** `Infinity` while the question is open: whoever comes meanwhile waits for the same answer. */
  until: number;
  /** By the wall clock; of a token that was vouched for, `Infinity` of every other. */
  expiry: number;
}

/**
 * Decides whether the bearer of a token may follow a node's stream. Any pod of a node can get a token with the right
 * audience and node claim, so the ServiceAccount and the very pod are checked too. Only the API server's answer is
 * cached; the pod is looked up each time.
 */
export class StreamAuthenticator {
  readonly #options: AuthenticatorOptions;
  readonly #cache = new Map<string, Cached>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  async authenticate(token: string, node: string): Promise<AuthResult> {
    if (token === "") return refused(401, "no bearer token");
    let status: TokenReviewStatus;
    try {
      status = await this.#review(token);
    } catch (error) {
      return refused(503, `the token could not be reviewed: ${errorMessage(error)}`);
    }
    return this.#judge(status, node);
  }

  #judge({ authenticated, audiences, username, extra }: TokenReviewStatus, node: string): AuthResult {
    if (!authenticated) return refused(401, "the API server does not know the token");
    if (!audiences.includes(this.#options.audience)) return refused(401, "the token is for another audience");
    if (username !== this.#options.username) return refused(403, `${username} is not the enforcer's ServiceAccount`);
    const [boundNode, pod, uid] = ["node-name", "pod-name", "pod-uid"].map((name) => single(extra[`${CLAIM}/${name}`]));
    if (boundNode !== node) return refused(403, `the token is bound to node ${boundNode ?? "none"}, not ${node}`);
    if (pod === undefined || uid === undefined) return refused(403, "the token is not bound to a pod");
    const found = this.#options.enforcerPods(pod, uid);
    if (found === undefined) return refused(403, `pod ${pod} is no live enforcer`);
    if (found.nodeName !== node) return refused(403, `pod ${pod} runs on node ${found.nodeName}, not ${node}`);
    return { allowed: true };
  }

  async #review(token: string): Promise<TokenReviewStatus> {
    const { audience, monotonic, negativeMs = 5_000, positiveMs = 60_000, review } = this.#options;
    const key = createHash("sha256").update(token).digest("base64");
    const known = this.#cache.get(key);
    if (known !== undefined && this.#isBelieved(known)) return await known.answer;
    const asked: Cached = { answer: review(token, [audience]), until: Infinity, expiry: Infinity };
    this.#makeRoom();
    this.#cache.set(key, asked);
    try {
      const status = await asked.answer;
      asked.until = monotonic() + (status.authenticated ? positiveMs : negativeMs);
      if (status.authenticated) asked.expiry = expiryOf(token);
      return status;
    } catch (error) {
      // Not knowing is no answer: the next one asks again.
      if (this.#cache.get(key) === asked) this.#cache.delete(key);
      throw error;
    }
  }

  #isBelieved({ until, expiry }: Cached): boolean {
    const { monotonic, now } = this.#options;
    return monotonic() < until && now() < expiry;
  }

  #makeRoom(): void {
    if (this.#cache.size < MAX_CACHED) return;
    for (const [key, cached] of this.#cache) if (!this.#isBelieved(cached)) this.#cache.delete(key);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size >= MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
  }
}

function refused(status: 401 | 403 | 503, reason: string): AuthResult {
  return { allowed: false, status, reason };
}

function single(values: readonly string[] | undefined): string | undefined {
  return values?.length === 1 ? values[0] : undefined;
}

/** The JWT's `exp` in milliseconds, `Infinity` if none. It only shortens belief in what the API server vouched for. */
function expiryOf(token: string): number {
  try {
    const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString();
    const claims: { readonly exp?: unknown } = JSON.parse(payload);
    return typeof claims.exp === "number" ? claims.exp * 1000 : Infinity;
  } catch {
    return Infinity;
  }
}
