import { createHash } from "node:crypto";

/** 128 bits of SHA-256 in hex: names that nobody can make collide on purpose, short enough to travel often. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
