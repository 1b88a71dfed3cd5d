// `npm run demo`: the main job on a real two-node cluster, from `kubectl apply` to dropped packets and back.
import { parseArgs } from "node:util";

import { Lab } from "../test/lab/lab.ts";
import { monotonicMs } from "../test/lab/prober.ts";
import { waitFor } from "../test/lab/wait.ts";
import { countOpen, printMatrix, type Expectation } from "./matrix.ts";
import { Narrator } from "./narrator.ts";
import {
  asTheShopSays,
  everythingOpen,
  MEMBERS,
  namespaceManifests,
  reachability,
  withoutTheDatabase,
} from "./shop.ts";

const { values: options } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
const narrator = new Narrator(process.stdout);
let surprises = 0;

/** Runs a command as a reader would type it, and shows what it says. @returns its output */
async function kubectl(lab: Lab, line: string): Promise<string> {
  narrator.command(`kubectl ${line}`);
  const { stdout, stderr, code } = await lab.kubectl(words(line));
  if (stdout.trim() !== "") narrator.output(stdout);
  if (code !== 0) throw new Error(`kubectl ${line}: ${stderr.trim()}`);
  return stdout;
}

/** Splits at blanks outside of single quotes. */
function words(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

async function showMatrix(lab: Lab, expected: Expectation): Promise<void> {
  const matrix = await reachability(lab);
  const found = printMatrix(narrator, matrix, expected);
  surprises += found;
  const { open, pairs } = countOpen(matrix);
  if (found === 0)
    narrator.good(
      `as expected: ${open} of ${pairs} pairs are open${open < pairs ? `, ${pairs - open} dropped (·)` : ""}`,
    );
  else narrator.bad(`${found} pairs not as expected, marked (!)`);
}

async function install(lab: Lab): Promise<void> {
  narrator.heading("Install Tierwall");
  await kubectl(lab, "apply --server-side -k kustomize/overlays/dev");
  await kubectl(lab, "-n tierwall-system rollout status deployment/tierwall-operator --timeout=120s");
  await waitFor(
    "every node's enforcer being Ready",
    async () => {
      const nodes = await lab.get([
        "get",
        "segmentnodes",
        "-o=jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}",
      ]);
      return nodes
        .trim()
        .split(/\s+/)
        .filter((status) => status === "True").length === lab.nodes.length
        ? true
        : undefined;
    },
    { timeoutMs: 90_000 },
  );
  await kubectl(lab, "get segmentnodes");
}

async function populate(lab: Lab): Promise<void> {
  narrator.heading("Two copies of a shop, and a stranger");
  await lab.apply(namespaceManifests());
  await Promise.all(
    MEMBERS.map(({ namespace, tier, node, port }) =>
      lab.workload({ namespace, name: tier, labels: { tier }, node, tcp: [port], udp: [] }),
    ),
  );
  await Promise.all(
    [...new Set(MEMBERS.map(({ namespace }) => namespace))].map((namespace) => lab.podsReady(namespace)),
  );
  await kubectl(lab, "get pods -A -l tier -o wide");
  narrator.say("Before any policy, everybody reaches everybody:");
  await showMatrix(lab, everythingOpen);
}

async function segment(lab: Lab): Promise<void> {
  narrator.heading("One SegmentPolicy");
  const start = monotonicMs();
  await kubectl(lab, "apply --server-side -f config/samples/shop.yaml");
  await kubectl(lab, "wait --for=condition=Ready segpol/shop --timeout=60s");
  narrator.good(`in force on every node, confirmed, ${Math.round(monotonicMs() - start)} ms after the first command`);
  await kubectl(lab, "get segpol,segmentnodes");
  await kubectl(lab, "get networkpolicies -A");
  narrator.say("Now each tier is reached by whom the policy names, within its own namespace:");
  await showMatrix(lab, asTheShopSays);
}

async function cut(lab: Lab): Promise<void> {
  narrator.heading("An edit cuts backend → db, while a connection is open");
  const prober = await lab.prober("shop-dev", "backend");
  const hold = await prober.hold({ to: await lab.podIP("shop-dev", "db"), port: 5432, protocol: "tcp" });
  await waitFor("the connection carrying data", async () => ((await hold.look()).echoes > 5 ? true : undefined), {
    timeoutMs: 5_000,
  });
  const { echoes } = await hold.look();
  narrator.good(`shop-dev/backend talks to shop-dev/db: ${echoes} lines there and back so far`);
  const start = monotonicMs();
  await kubectl(lab, `patch segpol shop --type=json -p '[{"op":"remove","path":"/spec/tiers/2/ingress"}]'`);
  await kubectl(lab, "wait --for=jsonpath={.status.observedGeneration}=2 segpol/shop --timeout=60s");
  await kubectl(lab, "wait --for=condition=Ready segpol/shop --timeout=60s");
  await new Promise((resolve) => setTimeout(resolve, 500));
  const { lastEchoAtMs } = await hold.release();
  const after = monotonicMs() - lastEchoAtMs;
  if (after < 300) {
    surprises += 1;
    narrator.bad("the connection is still alive");
  } else {
    narrator.good(`the open connection fell silent ${Math.round(lastEchoAtMs - start)} ms after the edit was sent`);
  }
  await prober.stop();
  await showMatrix(lab, withoutTheDatabase);
}

async function remove(lab: Lab): Promise<void> {
  narrator.heading("Take it away");
  await kubectl(lab, "delete -f config/samples/shop.yaml");
  await waitFor(
    "the NetworkPolicies being gone",
    async () => {
      return (await lab.get(["get", "networkpolicies", "-A", "-o=name"])).trim() === "" ? true : undefined;
    },
    { timeoutMs: 30_000 },
  );
  await new Promise((resolve) => setTimeout(resolve, 500));
  narrator.say("Everything is open again:");
  await showMatrix(lab, everythingOpen);
}

async function main(): Promise<number> {
  narrator.say(
    `Tierwall, shown on a real Kubernetes cluster of two nodes with ${MEMBERS.length} pods, all on this machine.`,
  );
  narrator.heading("A cluster");
  const started = monotonicMs();
  const lab = await Lab.start({ nodes: 2, log: (line) => narrator.say(line) });
  narrator.good(`two nodes are Ready after ${((monotonicMs() - started) / 1000).toFixed(0)} s`);
  try {
    narrator.say("To follow along in another terminal:");
    narrator.say(`  export KUBECONFIG=${lab.kubeconfig} PATH=${lab.plane.binaries}:$PATH`);
    await kubectl(lab, "get nodes -o wide");
    await install(lab);
    await populate(lab);
    await segment(lab);
    await cut(lab);
    await remove(lab);
  } finally {
    if (options.keep) await keep(lab);
    else await lab.stop();
  }
  narrator.say("");
  if (surprises === 0) narrator.good("the demo went as expected");
  else narrator.bad(`${surprises} things were not as expected`);
  return surprises === 0 ? 0 : 1;
}

async function keep(lab: Lab): Promise<void> {
  await lab.keep();
  narrator.say("");
  narrator.say(`The cluster stays up. To use it:`);
  narrator.say(`  export KUBECONFIG=${lab.kubeconfig} PATH=${lab.plane.binaries}:$PATH`);
  narrator.say(`To take it down:  npm run lab:remove -- ${lab.id}`);
}

try {
  process.exitCode = await main();
} catch (error) {
  narrator.bad(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
process.exit();
