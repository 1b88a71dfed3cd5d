/** What is known of an answer that is no success. */
export interface FailedAnswer {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly method: string;
  readonly path: string;
}

/** The API server answered, and not with success. Carries its `Status` object's own words. */
export class ApiError extends Error {
  readonly status: number;
  /** Of the Status object: `Conflict`, `AlreadyExists`, `Expired`…; empty if the answer was no Status object. */
  readonly reason: string;
  /** From `Retry-After` or the Status object's details; `undefined` if the server did not say. */
  readonly retryAfterSeconds: number | undefined;
  readonly method: string;
  readonly path: string;

  constructor(answer: FailedAnswer) {
    super(`${answer.method} ${answer.path}: ${answer.status} ${answer.message}`);
    this.name = "ApiError";
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterSeconds = answer.retryAfterSeconds;
    this.method = answer.method;
    this.path = answer.path;
  }
}

/** No whole answer came: refused, reset, timed out, or no valid TLS. Whether a write took place is then unknown. */
export class Unreachable extends Error {
  constructor(method: string, path: string, cause: unknown) {
    super(`${method} ${path}: ${cause instanceof Error ? cause.message || cause.name : String(cause)}`, { cause });
    this.name = "Unreachable";
  }
}

export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}

/** Milliseconds that the server asked us to wait, or 0. */
export function retryAfterMs(error: unknown): number {
  return error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
}

/** Reads an answer or a watch's ERROR object; what is no Status object is quoted, shortened. */
export function errorFromAnswer(
  method: string, path: string, status: number, text: string, retryAfter?: string,
): ApiError {
  const { reason, message, retryAfterSeconds } = parseStatus(text);
  const seconds = Number(retryAfter ?? NaN);
  return new ApiError({
    method, path, status, reason,
    message: message || text.slice(0, 200),
    retryAfterSeconds: Number.isFinite(seconds) ? seconds : retryAfterSeconds,
  });
}

interface StatusObject {
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown } | null;
}

function parseStatus(text: string): { reason: string; message: string; retryAfterSeconds?: number } {
  try {
    const { reason, message, details }: StatusObject = JSON.parse(text);
    return {
      reason: typeof reason === "string" ? reason : "",
      message: typeof message === "string" ? message : "",
      ...(typeof details?.retryAfterSeconds === "number" && { retryAfterSeconds: details.retryAfterSeconds }),
    };
  } catch {
    // A proxy's page, say: quoted by the caller.
    return { reason: "", message: "" };
  }
}
