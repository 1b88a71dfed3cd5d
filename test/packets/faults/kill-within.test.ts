import assert from "node:assert/strict";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { FULL } from "../../depth.ts";
import { type Kill, playKills } from "./kills.ts";
import { Scene } from "./scene.ts";
import { Toolbox } from "./toolbox.ts";

/** Where a tool is when the enforcer dies: it has been told a part, and hears the rest. */
interface Place {
  readonly name: string;
  readonly tool: "ipset" | "restore";
  /** In the first line that it has not been told yet. */
  readonly before: string;
}

const NARROWING: readonly Place[] = [
  { name: "a new set is being filled", tool: "ipset", before: "add " },
  { name: "the new rules are not committed yet", tool: "restore", before: "COMMIT" },
  { name: "a member is about to be taken out", tool: "ipset", before: "del " },
  { name: "the new generation is being written", tool: "restore", before: "--set-xmark" },
];
const WIDENING = NARROWING.filter(({ before }) => before === "add " || before === "COMMIT");
const BACKENDS: readonly Backend[] = ["nft", "legacy"];

describe("an enforcer that gets kill -9 while a tool of its runs", function () {
  this.timeout(120_000);
  let scene: Scene;
  let toolbox: Toolbox;

  before(async () => {
    toolbox = await Toolbox.create();
    scene = await Scene.create();
  });
  afterEach(() => scene.quiet());
  after(async () => {
    await scene.remove();
    await toolbox.remove();
  });

  for (const backend of FULL ? BACKENDS : ["nft"] as const) {
    it(`in a narrowing: the tool does what it was told, and the next enforcer the rest (${backend})`, async () => {
      await play("narrowing", backend, NARROWING);
    });
  }

  for (const backend of FULL ? BACKENDS : ["legacy"] as const) {
    it(`in a widening: the tool does what it was told, and the next enforcer the rest (${backend})`, async () => {
      await play("widening", backend, WIDENING);
    });
  }

  async function play(change: "narrowing" | "widening", backend: Backend, places: readonly Place[]): Promise<void> {
    const tools = { ipset: "ipset", restore: `${scene.iptables(backend)}-restore` } as const;
    for (const tool of Object.values(tools)) await toolbox.makeStoppable(tool);
    try {
      const kills = places.map((place) => killedWhile(place, tools[place.tool], backend));
      await playKills(scene, change, { backend, path: toolbox.folder }, kills);
    } finally {
      for (const tool of Object.values(tools)) await toolbox.mend(tool);
    }
  }

  function killedWhile({ name, before }: Place, tool: string, backend: Backend): Kill {
    return {
      name: `while ${name}`,
      strike: async (enforcer, change) => {
        const stopped = await toolbox.stopAt(tool, before);
        const said = change().then(() => "it was confirmed", (error: unknown) => String(error));
        try {
          await Promise.race([stopped.begun(), said.then((words) => assert.fail(`${tool} heard no "${before}": ${words}`))]);
          await enforcer.stop();
          const left = await look(backend);
          await stopped.release();
          await stopped.ended();
          assert.notEqual(await look(backend), left, "the tool has done nothing more");
        } finally {
          await stopped.release();
        }
      },
    };
  }

  /** All that the tools may have changed. */
  async function look(backend: Backend): Promise<string> {
    const sets = (await scene.onNode("ipset", "save")).split("\n").toSorted();
    return [...await scene.tables(backend), ...sets].join("\n");
  }
});
