import type { Manifest } from "./segment.ts";
import { namespace, segmentPolicy } from "./segment.ts";

export interface WideSegment {
  readonly name: string;
  readonly namespaces: number;
  readonly tiers: number;
}

export function placesOf({ name, namespaces }: WideSegment): readonly string[] {
  return Array.from({ length: namespaces }, (_, index) => `${name}-${index}`);
}

export function namespacesOf(segment: WideSegment): readonly Manifest[] {
  return placesOf(segment).map((place) => namespace(place, segment.name));
}

/** Tiers in a chain: each is talked to by the one before, the first by anyone. `spec` is put over it. */
export function chain(
  { name, tiers }: WideSegment, port = 8080, spec: Readonly<Record<string, unknown>> = {},
): Manifest {
  const tier = (index: number) => ({
    name: `tier-${index}`,
    ingress: [{
      from: [index === 0 ? { anywhere: {} } : { tier: `tier-${index - 1}` }],
      // The edit of one port concerns the last tier and, by its mirror, the one before.
      ports: [{ port: index === tiers - 1 ? port : 8000 + index }],
    }],
  });
  return segmentPolicy(name, { tiers: Array.from({ length: tiers }, (_, index) => tier(index)), ...spec });
}
