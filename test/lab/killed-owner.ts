// Starts a lab, says what it is called, and waits to be killed: see lab.test.ts.
import { Lab } from "./lab.ts";

const lab = await Lab.start({ nodes: 1, dns: false });
await lab.workload({ namespace: "default", name: "left-behind" });
await lab.podsReady("default");
process.stdout.write(`${JSON.stringify(lab.record)}\n`);
setInterval(() => { /* stay */ }, 60_000);
