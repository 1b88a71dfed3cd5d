/** Settings that travel to the enforcers in the stream's `hello`, and are kept with their disk copy. */
export interface EnforcerSettings {
  /** How often the kernel is compared with what should be in it. Milliseconds. */
  readonly driftCheckMs: number;
  /** Silence on the stream after which the enforcer reconnects. Milliseconds; three heartbeats by default. */
  readonly streamSilenceMs: number;
}

export const DEFAULT_ENFORCER_SETTINGS: EnforcerSettings = { driftCheckMs: 5_000, streamSilenceMs: 45_000 };
