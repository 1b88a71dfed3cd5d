export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * How long to wait after the `failures`th failure in a row, in milliseconds: doubled each time, then spread downwards
 * by up to a half, so that a cluster's enforcers do not come back all at once.
 */
export function waitAfter(failures: number, { firstMs, mostMs }: Backoff, random: () => number): number {
  const full = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return full * (1 - random() / 2);
}
