/** Resource version, by kind, of what a state was computed from. */
export type Versions = Readonly<Record<string, string>>;

/** As the value of `?since=`: `networkpolicies:12,pods:345`. */
export function formatVersions(versions: Versions): string {
  return Object.entries(versions).map(([kind, version]) => `${kind}:${version}`).join(",");
}

/** @throws Error for what `formatVersions` does not write */
export function parseVersions(text: string): Versions {
  const entries = text === "" ? [] : text.split(",").map((entry) => {
    const [, kind, version] = /^([a-z.]{1,63}):([0-9]{1,20})$/.exec(entry) ?? [];
    if (kind === undefined || version === undefined) {
      throw new Error(`not a list of versions: ${JSON.stringify(text.slice(0, 60))}`);
    }
    return [kind, version] as const;
  });
  return Object.fromEntries(entries);
}

/**
 * The first kind of which `mine` is older than `theirs`. Kubernetes ≥ 1.35 documents resource versions as integers
 * that may be compared; they outgrow JavaScript's numbers.
 */
export function behind(mine: Versions, theirs: Versions): string | undefined {
  return Object.keys(theirs).find((kind) => {
    const [here, there] = [mine[kind], theirs[kind]];
    return here !== undefined && there !== undefined && BigInt(here) < BigInt(there);
  });
}
