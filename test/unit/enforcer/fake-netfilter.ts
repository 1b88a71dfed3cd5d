import type { Backend, MemberView, Netfilter } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { Family } from "../../../operator/enforcer/layout/family.ts";
import { familyOf } from "../../../operator/enforcer/layout/family.ts";
import type { Flow, TrackedFlow } from "../../../operator/enforcer/layout/flow-verdict.ts";
import { HOOK_POINTS } from "../../../operator/enforcer/layout/ruleset.ts";
import type { KernelSet, KernelState } from "../../../operator/enforcer/render/kernel-state.ts";
import { OTHER_FAMILY, setKind } from "../../../operator/enforcer/render/set-kind.ts";

type Sets = Map<string, { readonly made: string; readonly members: Set<string> }>;
type Chains = Map<string, string[]>;

/**
 * A kernel in memory that takes the same texts and refuses what the kernel refuses: rules that refer to missing chains
 * or sets, sets that are there and of another kind, and removing what is in use. One transaction of rules is in force
 * whole or not at all.
 */
export class FakeNetfilter implements Netfilter {
  readonly backend: Backend;
  /** Words that no rule and no set may hold: extensions that this kernel does not have. */
  readonly refuses: string[] = [];
  /** Tracked connections. */
  tracked: TrackedFlow[] = [];
  /** Connections that begin while the next ones are forgotten. */
  begun: readonly TrackedFlow[] = [];
  /** What was written, in order: `sets` or `rules` and the text. */
  readonly written: (readonly ["sets" | "rules", string])[] = [];
  /** Marks that connections hold. */
  readonly held = new Set<string>();
  /** The error, where it cannot be told. */
  foreign: number | NetfilterError = 0;
  /** Thrown, once each, by the next writes; `undefined` lets one pass. */
  readonly failures: (NetfilterError | undefined)[] = [];
  readonly #tables: Record<Family, Chains> = { ipv4: emptyTable(), ipv6: emptyTable() };
  readonly #sets: Sets = new Map();

  constructor(backend: Backend = "nft") {
    this.backend = backend;
  }

  async read(family: Family): Promise<KernelState> {
    const sets = [...this.#sets].map(([name, { made, members }]): [string, KernelSet] => {
      const type = setKind(made, family);
      return [name, { type, members: new Set(type === OTHER_FAMILY ? [] : members) }];
    });
    return { ...(await this.leftovers(family)), sets: new Map(sets) };
  }

  async outline(family: Family, members: MemberView): Promise<string> {
    return outlineOf(await this.read(family), members);
  }

  async leftovers(family: Family): Promise<Pick<KernelState, "chains" | "hooks">> {
    const chains = this.#tables[family];
    const ours = [...chains].filter(([name]) => name.startsWith("TW-"));
    return {
      chains: new Map(ours.map(([name, lines]) => [name, [...lines]])),
      hooks: new Map(HOOK_POINTS.map((point) => {
        const rules = chains.get(point) ?? [];
        const lines = rules.filter((line) => /-[jg] TW-/.test(line));
        return [point, { lines, first: lines.length > 0 && rules.indexOf(lines.at(-1) ?? "") === lines.length - 1 }];
      })),
    };
  }

  async reached(): Promise<ReadonlyMap<string, number>> {
    return new Map();
  }

  async restoreSets(text: string): Promise<void> {
    this.#write("sets", text);
    for (const line of text.trimEnd().split("\n")) {
      const [verb = "", name = "", ...rest] = line.split(" ");
      this.#refuseUnknown(line);
      const set = this.#sets.get(name);
      if (verb === "create") {
        if (set === undefined) this.#sets.set(name, { made: line, members: new Set() });
        // The kernel compares everything but the family.
        else if (anyFamily(set.made) !== anyFamily(line)) throw refused(`set with the same name already exists: ${name}`);
        continue;
      }
      if (set === undefined) throw refused(`the set ${name} does not exist`);
      if (verb === "destroy" && this.#uses(name)) throw refused(`set ${name} is in use`);
      if (verb === "destroy") this.#sets.delete(name);
      if (verb === "add" && setKind(set.made, familyOf(rest.join(" "))) === OTHER_FAMILY) throw refused(`cannot parse: ${line}`);
      if (verb === "add") set.members.add(rest.join(" "));
      if (verb === "del") {
        const member = set.members.values().find((each) => each.replace(" nomatch", "") === rest.join(" "));
        set.members.delete(member ?? "");
      }
    }
  }

  async restoreRules(family: Family, text: string): Promise<void> {
    this.#write("rules", text);
    for (const transaction of text.split(/(?<=^COMMIT\n)/m)) {
      const lines = transaction.trimEnd().split("\n");
      if (lines[0] !== "*filter" || lines.at(-1) !== "COMMIT") throw refused("not a transaction");
      const chains: Chains = new Map([...this.#tables[family]].map(([name, rules]) => [name, [...rules]]));
      for (const line of lines.slice(1, -1)) this.#take(line, chains);
      this.#tables[family] = chains;
    }
  }

  async foreignMarkBits(): Promise<number> {
    if (typeof this.foreign !== "number") throw this.foreign;
    return this.foreign;
  }

  async connectionHolds(_family: Family, mark: string): Promise<boolean> {
    const [value = 0, mask = 0] = mark.split("/").map(Number);
    return this.held.values().some((each) => ((Number(each.split("/")[0]) & mask) >>> 0) === value);
  }

  async flows(): Promise<readonly TrackedFlow[]> {
    return this.tracked;
  }

  async forget(_family: Family, flows: readonly Flow[]): Promise<void> {
    this.tracked = [...this.tracked.filter((flow) => !(flows as readonly Flow[]).includes(flow)), ...this.begun];
    this.begun = [];
  }

  async forgetAddress(_family: Family, address: string): Promise<void> {
    this.tracked = this.tracked.filter(({ source, server }) => source !== address && server !== address);
  }

  close(): void {
    // Nothing runs.
  }

  #write(kind: "sets" | "rules", text: string): void {
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.written.push([kind, text]);
  }

  #take(line: string, chains: Chains): void {
    const [, declared] = line.match(/^:(\S+) /) ?? [];
    if (declared !== undefined) return void chains.set(declared, []);
    const [, verb = "", name = "", rest = ""] = line.match(/^-([AIDFX]) (\S+) ?(.*)$/) ?? [];
    const chain = chains.get(name);
    if (chain === undefined) throw refused(`no chain by that name: ${line}`);
    if (verb === "A") chain.push(this.#checked(rest, chains));
    if (verb === "I") {
      const [, place = "", rule = ""] = rest.match(/^(\d+) (.*)$/) ?? [];
      if (Number(place) > chain.length + 1) throw refused(`index of insertion too big: ${line}`);
      chain.splice(Number(place) - 1, 0, this.#checked(rule, chains));
    }
    if (verb === "F") chain.length = 0;
    if (verb === "D") {
      const index = chain.indexOf(rest);
      if (index === -1) throw refused(`no such rule: ${line}`);
      chain.splice(index, 1);
    }
    if (verb === "X") {
      const used = chains.values().some((lines) => lines.some((rule) => rule.endsWith(` ${name}`)));
      if (used || chain.length > 0) throw refused(`chain is in use: ${name}`);
      chains.delete(name);
    }
  }

  #checked(rule: string, chains: Chains): string {
    this.#refuseUnknown(rule);
    const chain = rule.match(/-[jg] (TW-\S+)/)?.[1];
    if (chain !== undefined && !chains.has(chain)) throw refused(`no chain ${chain}`);
    for (const [, set = ""] of rule.matchAll(/--match-set (\S+)/g)) {
      if (!this.#sets.has(set)) throw refused(`Set ${set} doesn't exist.`);
    }
    return rule;
  }

  #refuseUnknown(line: string): void {
    const unknown = this.refuses.find((word) => line.includes(word));
    if (unknown !== undefined) throw refused(`unknown option ${unknown}`);
  }

  #uses(set: string): boolean {
    const lines = Object.values(this.#tables).flatMap((chains) => [...chains.values()].flat());
    return lines.some((line) => line.includes(`--match-set ${set} `));
  }
}

export function outlineOf({ chains, hooks, sets }: KernelState, members: MemberView): string {
  const inside = [...sets].map(([name, set]) => [name, members === "listed" ? [...set.members] : set.members.size]);
  return JSON.stringify([[...chains], [...hooks], inside]);
}

function anyFamily(made: string): string {
  return made.replace(/ family \S+/, "");
}

function emptyTable(): Chains {
  return new Map(HOOK_POINTS.map((point) => [point, []]));
}

function refused(message: string): NetfilterError {
  return new NetfilterError("ApplyFailed", message);
}
