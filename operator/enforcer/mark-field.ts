import type { KernelFinding } from "./kernel-findings.ts";
import { connmarkInUse, connmarkUnknown } from "./kernel-findings.ts";
import type { Netfilter } from "./netfilter/netfilter.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";
import { FIELDS } from "./render/marks.ts";
import { kernelMarks } from "./render/plan.ts";

/** Where in the connection mark our verdicts stand, if anywhere. */
export type MarkField =
  | { readonly kind: "ours"; readonly bits: number }
  /** Others leave no room, or use the bits that were asked for. */
  | { readonly kind: "taken"; readonly bits: 0; readonly finding: KernelFinding }
  /** It cannot be told which bits others use. */
  | { readonly kind: "unknown"; readonly bits: 0; readonly finding: KernelFinding };

/** A field that nobody else uses. @param asked the bits that it is to have; 0 = whichever are free */
export async function chooseField(netfilter: Netfilter, asked: number, signal: AbortSignal): Promise<MarkField> {
  const foreign = await foreignBits(netfilter, signal);
  if (foreign instanceof NetfilterError) return { kind: "unknown", bits: 0, finding: connmarkUnknown(foreign.message) };
  const free = (asked === 0 ? FIELDS : [asked]).filter((mask) => (mask & foreign) === 0);
  // What connections carry now goes on counting only in the field in which it stands.
  const standing = kernelMarks(await netfilter.leftovers("ipv4", signal))?.mask ?? 0;
  const bits = free.includes(standing) ? standing : free[0];
  return bits === undefined ? { kind: "taken", bits: 0, finding: connmarkInUse(foreign) } : { kind: "ours", bits };
}

/**
 * Whether it should be chosen anew: others may have begun to use it, and then what stands in it is no verdict of ours
 * any more; or it can be told again who uses what.
 */
export async function isOutdated(field: MarkField, netfilter: Netfilter, signal: AbortSignal): Promise<boolean> {
  // Nobody waits for others to leave.
  if (field.kind === "taken") return false;
  const foreign = await foreignBits(netfilter, signal);
  const unknown = foreign instanceof NetfilterError;
  return field.kind === "unknown" ? !unknown : unknown || (foreign & field.bits) !== 0;
}

/** Bits of the connection mark that others use; the error where that cannot be told. */
async function foreignBits(netfilter: Netfilter, signal: AbortSignal): Promise<number | NetfilterError> {
  try {
    return await netfilter.foreignMarkBits(signal);
  } catch (error) {
    if (error instanceof NetfilterError && !signal.aborted) return error;
    throw error;
  }
}
