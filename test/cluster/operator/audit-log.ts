import { readFile } from "node:fs/promises";

/** One answered request, as the API server recorded it. */
export interface Call {
  readonly verb: string;
  readonly user: string;
  /** Which token was shown: two processes of one ServiceAccount are told apart by it. Empty for certificates. */
  readonly credential: string;
  /** With its subresource: `segmentpolicies/status`. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly code: number;
  readonly message: string;
  readonly uri: string;
  /** When it arrived, in milliseconds since 1970. */
  readonly at: number;
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly requestReceivedTimestamp: string;
  readonly user: { readonly username?: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
  readonly objectRef?: {
    readonly resource?: string; readonly subresource?: string; readonly namespace?: string; readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number; readonly message?: string };
}

const WRITES = new Set(["create", "update", "patch", "delete", "deletecollection"]);
const CREDENTIAL = "authentication.kubernetes.io/credential-id";

/** The API server's audit log, in the order in which it answered. */
export class AuditLog {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** How many calls there are; given to `calls`, those are passed over. */
  async mark(): Promise<number> {
    return (await this.calls()).length;
  }

  async calls(from = 0): Promise<readonly Call[]> {
    const text = await readFile(this.#path, "utf8");
    // The last line may be half written.
    const lines = text.slice(0, text.lastIndexOf("\n")).split("\n");
    const events = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as AuditEvent);
    return events.filter(({ stage }) => stage === "ResponseComplete").slice(from).map(callOf);
  }

  /** Writes to NetworkPolicies and to the status of SegmentPolicies that succeeded. */
  async segmentWrites(from = 0): Promise<readonly Call[]> {
    const kinds = ["networkpolicies", "segmentpolicies/status"];
    const calls = await this.calls(from);
    return calls.filter(({ verb, code, resource }) => WRITES.has(verb) && code < 300 && kinds.includes(resource));
  }
}

function callOf(event: AuditEvent): Call {
  const { verb, user, objectRef = {}, responseStatus = {}, requestURI, requestReceivedTimestamp } = event;
  const { resource = "", subresource, namespace = "", name = "" } = objectRef;
  return {
    verb, namespace, name,
    user: user.username ?? "",
    credential: user.extra?.[CREDENTIAL]?.[0] ?? "",
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    code: responseStatus.code ?? 0,
    message: responseStatus.message ?? "",
    uri: requestURI,
    at: Date.parse(requestReceivedTimestamp),
  };
}
