/** Something about a node that its SegmentNode has to say. */
export interface Finding {
  /** For a condition: CamelCase. */
  readonly reason: string;
  /** What it means, and what to do. */
  readonly message: string;
  /** The policies of pods hold all the same; where not, none of the node's is confirmed. */
  readonly holds: boolean;
}
