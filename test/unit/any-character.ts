import fc from "fast-check";

const SURROGATES = { first: 0xd800, count: 0x800 };

/** Any character of Unicode. fast-check's own `unit: "binary"` is the same, behind a second of preparation. */
export const anyCharacter: fc.Arbitrary<string> = fc.nat(0x10ffff - SURROGATES.count)
  .map((point) => String.fromCodePoint(point < SURROGATES.first ? point : point + SURROGATES.count));
