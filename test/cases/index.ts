import { BAD_INPUT } from "./bad-input.ts";
import type { CaseRow, StepRow } from "./case.ts";
import { ESTABLISHED } from "./established.ts";
import { IP_BLOCKS } from "./ip-blocks.ts";
import { ISOLATION } from "./isolation.ts";
import { ENDINGS, LIFECYCLE } from "./lifecycle.ts";
import { NAMED_PORTS } from "./named-ports.ts";
import { NODES } from "./nodes.ts";
import { PEERS } from "./peers.ts";
import { PORTS } from "./ports.ts";
import { PROTOCOLS } from "./protocols.ts";
import { SERVICES } from "./services.ts";
import { TWINS } from "./twins.ts";

export { HELD_ELSEWHERE } from "./elsewhere.ts";

/** What users are promised of a packet, as data, by number of the case. A name is unique within its case. */
export const CASES: readonly (CaseRow | StepRow)[] = [
  ...ISOLATION, ...PEERS, ...PORTS, ...NAMED_PORTS, ...IP_BLOCKS, ...SERVICES, ...NODES, ...LIFECYCLE, ...ENDINGS,
  ...ESTABLISHED, ...PROTOCOLS, ...BAD_INPUT, ...TWINS,
].toSorted((a, b) => a.case - b.case);
