import { APPLICATIONS } from "./recipes-applications.ts";
import { FIRST_STEPS } from "./recipes-first-steps.ts";
import type { Scene } from "./recipes-scene.ts";

/** What each recipe promises, as who reaches whom: written by hand from its comments, by the name of its file. */
export const RECIPES: Readonly<Record<string, readonly Scene[]>> = { ...FIRST_STEPS, ...APPLICATIONS };
