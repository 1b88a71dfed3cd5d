// Time to merge the addresses of 5,000 nodes, in both families, into the blocks of a `nodes` peer.
// Method: 20 runs in one process after 3 warm-up runs; median and maximum of this process's monotonic clock.
import { mergeAddresses, nodeAddresses } from "../../operator/compile/address-blocks.ts";

const nodes = Array.from({ length: 5_000 }, (_, index) => ({
  addresses: [`10.${index >> 8}.${index & 255}.7`, `fd00:1::${index.toString(16)}`],
  podCIDRs: [`10.${128 + (index >> 8)}.${index & 255}.0/24`, `fd00:2:${index.toString(16)}::/64`],
}));
let blocks = 0;
const times = Array.from({ length: 23 }, () => {
  const start = performance.now();
  blocks = mergeAddresses(nodes.flatMap(nodeAddresses)).length;
  return performance.now() - start;
}).slice(3).toSorted((a, b) => a - b);
process.stdout.write(`addresses of 5,000 nodes: ${blocks} blocks, median ${times[10]?.toFixed(1)} ms, max ${times.at(-1)?.toFixed(1)} ms\n`);
