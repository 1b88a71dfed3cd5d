/** Nanoseconds a packet by round, as the sender measured them on one node. */
export interface Times {
  readonly established: readonly number[];
  readonly newBoth: readonly number[];
  readonly newIn: readonly number[];
  /** Packets that the node must have forwarded. */
  readonly sent: number;
}

export type Kind = "established" | "newBoth" | "newIn";

/** What a ruleset adds to the baseline, in ns a packet. */
export interface Figure {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Bursts of a node in one round. */
const BURSTS_PER_ROUND = 100;
/** The share of a round's bursts that are taken for undisturbed. */
const CALM = 0.05;

/** Bursts that the sender has to make. */
export function burstsOf(rounds: number): number {
  return rounds * BURSTS_PER_ROUND;
}

/** The difference of two nodes that took turns. */
export function difference(times: Times, baseline: Times, kind: Kind): Figure {
  const without = calmRounds(baseline[kind]);
  const rounds = calmRounds(times[kind]).map((time, round) => time - (without[round] ?? Number.NaN));
  return { median: median(rounds), least: Math.min(...rounds), most: Math.max(...rounds) };
}

/** The time itself, median of the rounds. */
export function absolute(times: Times, kind: Kind): number {
  return median(calmRounds(times[kind]));
}

/** How far apart the middle half of one node's rounds is, as a share: what else the machine did. */
export function unrest(times: Times): number {
  const shares = (["established", "newIn", "newBoth"] as const).map((kind) => {
    const rounds = calmRounds(times[kind]);
    return (quantile(rounds, 0.75) - quantile(rounds, 0.25)) / median(rounds);
  });
  return Math.max(...shares);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** What else the machine does makes a burst longer, never shorter. */
function calmRounds(bursts: readonly number[]): readonly number[] {
  const rounds = Array.from({ length: bursts.length / BURSTS_PER_ROUND }, (_, round) => round * BURSTS_PER_ROUND);
  return rounds.map((first) => quantile(bursts.slice(first, first + BURSTS_PER_ROUND), CALM));
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;
}
