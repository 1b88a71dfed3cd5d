import type { RootHookObject } from "mocha";
import { ControlPlane } from "../lab/control-plane.ts";
import { STOCK } from "./operator/installation.ts";

let shared: Promise<ControlPlane> | undefined;

/** One API server without controllers for all tests of this process; each test keeps to a namespace of its own. */
export function controlPlane(): Promise<ControlPlane> {
  shared ??= ControlPlane.start();
  return shared;
}

export const mochaHooks: RootHookObject = {
  async afterAll() {
    const plane = await shared?.catch(() => undefined);
    await plane?.stop();
    await STOCK.clear();
  },
};
