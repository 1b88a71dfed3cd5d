export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * Milliseconds to wait after the `failures`th failure in a row (from 1): doubled each time up to `mostMs`, then spread
 * downwards by up to a half, so that many clients of a restarted server do not return together.
 */
export function waitAfter(failures: number, { firstMs, mostMs }: Backoff, random: () => number): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 30)) * (1 - random() / 2);
}
